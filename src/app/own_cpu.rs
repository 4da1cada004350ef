//! The program's own use of CPU: what it shows of itself.

use nix::time::{ClockId, clock_gettime};

/// Gives, at each call, the CPU time that this process (all its threads, in user space and kernel) used since the call
/// before, in percent of one CPU; `None` at the first call and where the clocks cannot be read. What its probes cost in
/// the kernel is not in it: that is their own cost ([`crate::event::ProbeCost`]).
pub fn own_cpu() -> impl FnMut() -> Option<f64> {
    let mut before: Option<(i64, i64)> = None;
    move || {
        let now = (read(ClockId::CLOCK_PROCESS_CPUTIME_ID)?, read(ClockId::CLOCK_MONOTONIC)?);
        let (used, passed) = before.replace(now).map(|(used, at)| (now.0 - used, now.1 - at))?;
        (passed > 0).then(|| used as f64 / passed as f64 * 100.0)
    }
}

/// Nanoseconds.
fn read(clock: ClockId) -> Option<i64> {
    let time = clock_gettime(clock).ok()?;
    Some(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_busy_thread_is_about_one_cpu_at_most() {
        let mut own = own_cpu();
        assert_eq!(own(), None);
        let mut sum = 0u64;
        let percent = loop {
            sum = sum.wrapping_add(std::hint::black_box(1));
            if let Some(percent) = own() {
                break percent;
            }
        };
        assert!(percent >= 0.0, "{percent} after {sum}");
    }
}
