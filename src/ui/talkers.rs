//! Who makes the upcalls.

use super::{Screen, chart, format, label, pen::Pen, text};
use crate::model::{Dimension, TalkerKey, Talkers};

/// The dimensions in the order of their use to somebody who looks for a culprit.
const DIMENSIONS: [(Dimension, &str); 7] = [
    (Dimension::InPort, "in port"),
    (Dimension::Source, "from"),
    (Dimension::Errno, "outcome"),
    (Dimension::Handler, "handler"),
    (Dimension::Destination, "to"),
    (Dimension::Cmd, "reason"),
    (Dimension::Cpu, "made on"),
];

/// Draws the biggest of each dimension: one each where there is little room, more of the first where there is more.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let end = pen.part(0, 1, u16::MAX, u16::MAX);
    let rows = usize::from(end.height());
    pen.put(1, 0, "who makes them, last 10 s", theme.heading);
    let mut found: Vec<(&str, Talkers)> =
        DIMENSIONS.iter().map(|(dimension, name)| (*name, screen.model.talkers(*dimension, rows.max(8)))).collect();
    for (_, talkers) in &mut found {
        // What went wrong is never hidden behind what went well.
        talkers.top.sort_by_key(|talker| !is_bad(talker.key));
    }
    if found.iter().all(|(_, talkers)| talkers.top.is_empty()) {
        let words = if screen.model.rates().is_some() { "nobody: no upcall" } else { "waiting for the first counters" };
        pen.put(1, 2, words, theme.text);
        return;
    }
    let counts = shares_of_room(&found.iter().map(|(_, talkers)| talkers.top.len()).collect::<Vec<_>>(), rows);

    // name  who …  4 813/s  ████████ 98 %
    let wide = pen.width();
    let bars: u16 = if wide >= 70 {
        14
    } else if wide >= 56 {
        8
    } else {
        0
    };
    let percent_end = wide - 1;
    let bar_x = percent_end.saturating_sub(6 + bars);
    let rate_end = bar_x.saturating_sub(if bars > 0 { 2 } else { 1 });
    let sampled = screen.model.loss().upcalls_are().is_some();
    let who_x = 10;
    let who_wide = rate_end.saturating_sub(who_x + 10);
    let mut y = 1;
    for ((name, talkers), count) in found.iter().zip(counts) {
        for (talker, i) in talkers.top.iter().take(count).zip(0..) {
            if i == 0 {
                pen.put(1, y, name, theme.quiet);
            }
            let bad = is_bad(talker.key);
            let style = if bad {
                theme.bad
            } else if i == 0 {
                theme.strong
            } else {
                theme.text
            };
            let mark = if bad { "▲ " } else { "" };
            let long = format!("{mark}{}", label::talker(screen.model, talker.key));
            let who = match talker.key {
                TalkerKey::Errno(ret) if text::width(&long) > usize::from(who_wide) => {
                    format!("{mark}{}", label::outcome(ret))
                }
                _ => long,
            };
            pen.put_in(who_x, y, who_wide, &who, style);
            // A rate of a sample is no rate of upcalls; its shares still say who.
            if talkers.exact || !sampled {
                pen.put_right(rate_end, y, &format!("{}/s", format::rate(talker.per_second)), style);
            } else {
                pen.put_right(rate_end, y, screen.model.loss().upcalls_are().unwrap_or_default(), theme.quiet);
            }
            if bars > 0 {
                pen.put(bar_x, y, &chart::bar(talker.share, usize::from(bars)), theme.shape);
            }
            pen.put_right(percent_end, y, &format::share(talker.share), theme.text);
            y += 1;
        }
    }
}

fn is_bad(key: TalkerKey) -> bool {
    matches!(key, TalkerKey::Errno(ret) if ret != 0)
}

/// How many rows each dimension gets: one each in their order, then a second each, and so on.
fn shares_of_room(wanted: &[usize], rows: usize) -> Vec<usize> {
    let mut given = vec![0; wanted.len()];
    let mut left = rows;
    // More than a handful of one kind pushes the others out of sight.
    for round in 1..=5 {
        for (given, wanted) in given.iter_mut().zip(wanted) {
            if left > 0 && *wanted >= round {
                *given = round;
                left -= 1;
            }
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_a_row_before_anyone_gets_two() {
        assert_eq!(shares_of_room(&[9, 9, 1], 2), [1, 1, 0]);
        assert_eq!(shares_of_room(&[9, 0, 1], 4), [3, 0, 1]);
        assert_eq!(shares_of_room(&[9], 40), [5]);
    }
}
