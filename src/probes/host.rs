//! What the host says of itself: name, kernel, clocks.

use std::fs;

use nix::{
    sys::utsname::uname,
    time::{ClockId, clock_gettime},
};

use crate::event::{Clock, Nanos, Session};

/// The clock that the kernel side's times are of, now.
pub fn monotonic_now() -> Nanos {
    nanos(ClockId::CLOCK_MONOTONIC)
}

fn nanos(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// The session's first event: this host, now.
pub fn session(command: &str) -> Session {
    let text = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
    let names = uname().ok();
    Session {
        program: concat!("ovscope ", env!("CARGO_PKG_VERSION")).to_owned(),
        host: names.as_ref().map(|u| text(u.nodename())).unwrap_or_default(),
        kernel: names.as_ref().map(|u| text(u.release())).unwrap_or_default(),
        machine: names.as_ref().map(|u| text(u.machine())).unwrap_or_default(),
        cpus: possible_cpus(),
        ovs_version: String::new(),
        command: command.to_owned(),
        clock: Clock { monotonic: monotonic_now(), wall: nanos(ClockId::CLOCK_REALTIME), utc_offset: utc_offset() },
    }
}

fn possible_cpus() -> u32 {
    fs::read_to_string("/sys/devices/system/cpu/possible")
        .ok()
        .and_then(|s| s.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok()))
        .map_or(1, |last| last + 1)
}

/// Seconds east of UTC, as the host's local time has it now.
fn utc_offset() -> i32 {
    chrono::Local::now().offset().local_minus_utc()
}
