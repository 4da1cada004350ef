//! Moments as people write them: a time of day on the traced host, or a length of time from here.

use super::cli::parse_duration;
use crate::event::{Clock, Nanos};

const DAY: i128 = 24 * 3600 * SECOND;
const SECOND: i128 = 1_000_000_000;

/// The moment that `text` means: `14:02`, `14:02:11`, `14:02:11.25` on the host's clock, on the day that is nearest to
/// what lies in `span`, or `+30s`, `-5m` from `now`.
pub fn parse(text: &str, now: Nanos, span: (Nanos, Nanos), clock: Option<Clock>) -> Result<Nanos, String> {
    let bad = || format!("'{text}' is no moment: try 14:02:11, +30s or -5m");
    if let Some(ahead) = text.strip_prefix('+') {
        return Ok(now.saturating_add(nanos(ahead).ok_or_else(bad)?));
    }
    if let Some(back) = text.strip_prefix(['-', '−']) {
        return Ok(now.saturating_sub(nanos(back).ok_or_else(bad)?));
    }
    let of_day = time_of_day(text).ok_or_else(bad)?;
    let clock = clock.ok_or("the recording does not say what time of day it was: +30s and -5m work")?;
    // From the monotonic clock to the host's time of day.
    let offset = i128::from(clock.wall) - i128::from(clock.monotonic) + i128::from(clock.utc_offset) * SECOND;
    let (begin, end) = (i128::from(span.0) + offset, i128::from(span.1) + offset);
    let midnight = begin.div_euclid(DAY) * DAY;
    let distance = |at: i128| (begin - at).max(at - end).max(0);
    let days = [midnight - DAY, midnight, midnight + DAY, end.div_euclid(DAY) * DAY];
    let nearest = days.into_iter().map(|day| day + of_day).min_by_key(|at| distance(*at)).ok_or_else(bad)?;
    Ok(u64::try_from(nearest - offset).unwrap_or(0))
}

fn nanos(text: &str) -> Option<Nanos> {
    parse_duration(text.trim()).ok().and_then(|d| Nanos::try_from(d.as_nanos()).ok())
}

/// Nanoseconds since midnight.
fn time_of_day(text: &str) -> Option<i128> {
    let mut parts = text.trim().split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    let whole = |text: &str, below: u32| -> Option<u32> {
        let digits = !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| digits && *n < below)
    };
    let (whole_seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let digits = fraction.bytes().all(|b| b.is_ascii_digit()) && fraction.len() <= 9;
    let fraction: i128 = format!("{fraction:0<9}").parse().ok().filter(|_| digits)?;
    let seconds = [(whole(hours, 24)?, 3600), (whole(minutes, 60)?, 60), (whole(whole_seconds, 60)?, 1)];
    let seconds: u32 = seconds.into_iter().map(|(n, unit)| n * unit).sum();
    parts.next().is_none().then_some(i128::from(seconds) * SECOND + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    /// Monotonic 0 was 23:00 on the host, two hours east of Greenwich.
    fn clock() -> Clock {
        Clock { monotonic: 0, wall: 20_000 * 24 * HOUR + 21 * HOUR, utc_offset: 7200 }
    }

    fn at(text: &str) -> Result<Nanos, String> {
        parse(text, HOUR, (HOUR / 2, 2 * HOUR), Some(clock()))
    }

    #[test]
    fn a_time_of_day_is_the_nearest_to_the_recording_also_over_midnight() {
        assert_eq!(at("23:30"), Ok(HOUR / 2));
        assert_eq!(at("00:00"), Ok(HOUR));
        assert_eq!(at("0:30:00.5"), Ok(HOUR + HOUR / 2 + 500_000_000));
        assert_eq!(at("23:00:00"), Ok(0));
        assert_eq!(at("02:00"), Ok(3 * HOUR));
    }

    #[test]
    fn a_length_of_time_is_from_here() {
        assert_eq!(at("+30m"), Ok(HOUR + HOUR / 2));
        assert_eq!(at("-1s"), Ok(HOUR - 1_000_000_000));
        assert_eq!(at("-9h"), Ok(0));
    }

    #[test]
    fn nonsense_is_refused_with_what_works() {
        for bad in
            ["", ":", "14", "24:00", "14:60", "14:02:60", "14:02:11:5", "1400:00", "14:+2", "14:02:1.x", "+", "+x"]
        {
            assert!(at(bad).expect_err("nonsense").contains("14:02:11"), "{bad}");
        }
        assert!(parse("14:02", 0, (0, 0), None).expect_err("no clock").contains("+30s"));
    }
}
