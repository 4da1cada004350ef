//! How figures are written.

/// A part of a whole, 0 to 1; 0 of nothing.
pub fn part(of: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}

/// `97 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `4912 upcalls/s`, `0.3/s`.
pub fn each(per_second: f64, what: &str) -> String {
    let space = if what.is_empty() { "" } else { " " };
    if per_second >= 10.0 {
        format!("{per_second:.0}{space}{what}/s")
    } else {
        format!("{per_second:.1}{space}{what}/s")
    }
}

/// `1.2 ms`.
pub fn time(ns: u64) -> String {
    let ns = ns as f64;
    match ns {
        1e9.. => format!("{:.1} s", ns / 1e9),
        1e6.. => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.0} µs", ns / 1e3),
    }
}
