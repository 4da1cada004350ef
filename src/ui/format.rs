//! Numbers for people: grouped digits, durations and sizes in fitting units, times of day.

use crate::event::{Clock, Nanos};
/// `17 240`, as verdicts write it too.
pub use crate::model::grouped as count;

/// At most seven columns, for narrow tables: `999 999`, then `1.2 M`, `34 G`.
pub fn short_count(n: u64) -> String {
    if n < 1_000_000 {
        return count(n);
    }
    let (mut value, mut unit) = (n as f64 / 1e6, "M");
    for next in ["G", "T", "P", "E"] {
        if value < 999.5 {
            break;
        }
        value /= 1e3;
        unit = next;
    }
    format!("{} {unit}", significant(value))
}

/// A rate per second: grouped, with one decimal below 10 unless it is whole. Never `0` for something.
pub fn rate(per_second: f64) -> String {
    if per_second <= 0.0 {
        "0".to_owned()
    } else if per_second < 0.05 {
        "<0.1".to_owned()
    } else if per_second < 9.95 && (per_second - per_second.round()).abs() > 0.049 {
        format!("{per_second:.1}")
    } else {
        count(per_second.round() as u64)
    }
}

/// `3.2 masks per lookup`.
pub fn masks_per_lookup(masks: f64) -> String {
    let masks = rate(masks);
    format!("{masks} {} per lookup", if masks == "1" { "mask" } else { "masks" })
}

/// Two or three digits that matter: `1.2`, `12`, `120`.
fn significant(value: f64) -> String {
    if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// `9 µs`, `1.2 ms`, `21 ms`, `3.0 s`, `4 min`, `7 h`. The unit takes two columns up to seconds, so that right-aligned
/// numbers align on their units.
pub fn duration(ns: Nanos) -> String {
    let ns = ns as f64;
    if ns < 999.5 {
        format!("{ns:.0} ns")
    } else if ns < 999_500.0 {
        format!("{} µs", significant(ns / 1e3))
    } else if ns < 999.5e6 {
        format!("{} ms", significant(ns / 1e6))
    } else if ns < 99.5e9 {
        format!("{} s ", significant(ns / 1e9))
    } else {
        long_duration(ns / 1e9)
    }
}

fn long_duration(seconds: f64) -> String {
    if seconds < 99.5 * 60.0 {
        format!("{:.0} min", seconds / 60.0)
    } else if seconds < 99.5 * 3600.0 {
        format!("{:.0} h ", seconds / 3600.0)
    } else {
        format!("{:.0} d ", seconds / 86400.0)
    }
}

/// A time that has passed, for reading along: `now`, `3 s`, `4 min`, `7 h`.
pub fn age(ns: Nanos) -> String {
    let seconds = ns / 1_000_000_000;
    if seconds == 0 {
        "now".to_owned()
    } else if seconds < 100 {
        format!("{seconds} s")
    } else {
        long_duration(seconds as f64).trim_end().to_owned()
    }
}

/// `0:42`, `12:04`, `1:02:03`: how long something runs.
pub fn clock_span(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

/// `812 B`, `3.1 MB`.
pub fn bytes(n: u64) -> String {
    let (mut value, mut unit) = (n as f64, "B");
    if n < 1000 {
        return format!("{n} B");
    }
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if value < 999.5 {
            break;
        }
        value /= 1e3;
        unit = next;
    }
    format!("{} {unit}", significant(value))
}

/// A part of a whole, `28 %`. Below one percent it says so, and only all of it is 100.
pub fn share(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 1.0 {
        "<1 %".to_owned()
    } else if percent < 100.0 && percent > 99.0 {
        "99 %".to_owned()
    } else {
        format!("{percent:.0} %")
    }
}

/// The traced host's time of day at `ts`, `12:04:31`; `None` while the clocks are not known.
pub fn time_of_day(clock: Clock, ts: Nanos) -> Option<String> {
    if clock.wall == 0 {
        return None;
    }
    let wall = (i128::from(clock.wall) + i128::from(ts) - i128::from(clock.monotonic)) / 1_000_000_000;
    let day = (wall + i128::from(clock.utc_offset)).rem_euclid(86400);
    Some(format!("{:02}:{:02}:{:02}", day / 3600, day / 60 % 60, day % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(17_240), "17 240");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(short_count(999_999), "999 999");
        assert_eq!(short_count(1_240_000), "1.2 M");
        assert_eq!(short_count(u64::MAX), "18 E");
    }

    #[test]
    fn a_rate_that_is_not_zero_does_not_read_as_zero() {
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate(0.01), "<0.1");
        assert_eq!(rate(0.5), "0.5");
        assert_eq!(rate(3.0), "3");
        assert_eq!(rate(4912.4), "4 912");
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        assert_eq!(duration(0), "0 ns");
        assert_eq!(duration(840), "840 ns");
        assert_eq!(duration(1_200_000), "1.2 ms");
        assert_eq!(duration(999_700), "1.0 ms");
        assert_eq!(duration(21_000_000), "21 ms");
        assert_eq!(duration(3_000_000_000), "3.0 s ");
        assert_eq!(duration(u64::MAX), "213504 d ");
    }

    #[test]
    fn a_share_is_only_whole_when_it_is() {
        assert_eq!(share(1.0), "100 %");
        assert_eq!(share(0.9999), "99 %");
        assert_eq!(share(0.001), "<1 %");
        assert_eq!(share(0.0), "0 %");
    }

    #[test]
    fn the_time_of_day_is_the_traced_hosts() {
        let clock = Clock { monotonic: 5_000_000_000, wall: 1_700_000_000_000_000_000, utc_offset: 3600 };
        assert_eq!(time_of_day(clock, 6_000_000_000).as_deref(), Some("23:13:21"));
        assert_eq!(time_of_day(Clock::default(), 6), None);
    }
}
