//! How figures are written.

/// A part of a whole, 0 to 1; 0 of nothing.
pub fn part(of: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}

/// `97 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `17 240`: digits in groups of three.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// `4 912 upcalls/s`, `0.3/s`.
pub fn each(per_second: f64, what: &str) -> String {
    let space = if what.is_empty() { "" } else { " " };
    if per_second >= 10.0 {
        format!("{}{space}{what}/s", count(per_second.round() as u64))
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
