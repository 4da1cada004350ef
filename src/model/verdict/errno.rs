//! The errnos that rules look for, by their numbers on Linux.

pub const ENOENT: i32 = 2;
pub const EAGAIN: i32 = 11;
pub const EEXIST: i32 = 17;
pub const EFBIG: i32 = 27;
pub const EMSGSIZE: i32 = 90;
pub const ENOTCONN: i32 = 107;
pub const ECONNREFUSED: i32 = 111;
