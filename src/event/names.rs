//! Names of numbers, as the kernel's headers have them.

/// The symbol (`EAGAIN`) of an errno or of its negative; none for 0, and for those that neither the datapath nor its
/// netlink sockets return (`include/uapi/asm-generic/errno*.h`).
pub fn errno_name(errno: i32) -> Option<&'static str> {
    Some(match errno.unsigned_abs() {
        1 => "EPERM",
        2 => "ENOENT",
        4 => "EINTR",
        5 => "EIO",
        7 => "E2BIG",
        11 => "EAGAIN",
        12 => "ENOMEM",
        14 => "EFAULT",
        16 => "EBUSY",
        17 => "EEXIST",
        19 => "ENODEV",
        22 => "EINVAL",
        27 => "EFBIG",
        28 => "ENOSPC",
        33 => "EDOM",
        34 => "ERANGE",
        40 => "ELOOP",
        61 => "ENODATA",
        71 => "EPROTO",
        90 => "EMSGSIZE",
        93 => "EPROTONOSUPPORT",
        95 => "EOPNOTSUPP",
        96 => "EPFNOSUPPORT",
        97 => "EAFNOSUPPORT",
        98 => "EADDRINUSE",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        105 => "ENOBUFS",
        107 => "ENOTCONN",
        111 => "ECONNREFUSED",
        _ => return None,
    })
}

/// What an upcall's or a put's errno means for the operator, in a few words.
pub fn errno_meaning(errno: i32) -> Option<&'static str> {
    Some(match errno.unsigned_abs() {
        11 => "socket full",
        12 | 105 => "no memory",
        17 => "is there already",
        19 => "no local port",
        27 => "packet too big",
        107 => "no handler",
        111 => "handler's socket is gone",
        _ => return None,
    })
}

/// The name of one of the datapath's own drop reasons by its number within the subsystem (`net/openvswitch/drop.h`),
/// from 1.
pub fn drop_reason_name(place: u16) -> Option<&'static str> {
    const NAMES: [&str; 11] = [
        "OVS_DROP_LAST_ACTION",
        "OVS_DROP_ACTION_ERROR",
        "OVS_DROP_EXPLICIT",
        "OVS_DROP_EXPLICIT_WITH_ERROR",
        "OVS_DROP_METER",
        "OVS_DROP_RECURSION_LIMIT",
        "OVS_DROP_DEFERRED_LIMIT",
        "OVS_DROP_FRAG_L2_TOO_LONG",
        "OVS_DROP_FRAG_INVALID_PROTO",
        "OVS_DROP_CONNTRACK",
        "OVS_DROP_IP_TTL",
    ];
    place.checked_sub(1).and_then(|index| NAMES.get(usize::from(index)).copied())
}
