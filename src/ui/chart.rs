//! Shapes made of block characters: curves, bars and the cells of the heat map.

/// A curve's column for a value from 0 to `top`: a space where nothing is known, `▁` for 0, and above it for all else.
/// Never a full block: curves on two lines would grow together.
pub fn step(value: Option<f64>, top: f64) -> char {
    const STEPS: [char; 6] = ['▂', '▃', '▄', '▅', '▆', '▇'];
    match value {
        None => ' ',
        Some(value) if value > 0.0 && top > 0.0 => STEPS[((value / top * 6.0).ceil() as usize).clamp(1, 6) - 1],
        Some(_) => '▁',
    }
}

/// Values of consecutive seconds, the last of them `end`, brought to `columns`: the newest at the right. Where they
/// are more than the columns, as many as needed share one, and the largest is shown, so that no peak is lost. Which
/// share one depends on the seconds alone: a curve that moves on keeps its shape. What is not known is `None`.
pub fn squeeze(values: &[f64], end: u64, per_column: usize, columns: usize) -> Vec<Option<f64>> {
    let per = per_column.max(1) as u64;
    let mut out = vec![None; columns];
    for (value, age) in values.iter().rev().zip(0u64..) {
        let Some(second) = end.checked_sub(age) else { break };
        let back = (end / per - second / per) as usize;
        let Some(place) = columns.checked_sub(back + 1) else { break };
        let cell: &mut Option<f64> = &mut out[place];
        *cell = Some(cell.unwrap_or(0.0).max(*value));
    }
    out
}

/// A bar for a part of the whole, in `columns`, to half a column. What is not 0 is seen.
pub fn bar(part: f64, columns: usize) -> String {
    if part.is_nan() || part <= 0.0 || columns == 0 {
        return String::new();
    }
    let halves = ((part.min(1.0) * columns as f64 * 2.0).round() as usize).max(1);
    let mut out: String = std::iter::repeat_n('━', halves / 2).collect();
    if halves % 2 == 1 {
        out.push('╸');
    }
    out
}

/// The end of a scale that has room for `value`: the next of 100, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000 … that
/// is not below it; 100 at least.
pub fn round_up(value: u64) -> u64 {
    const STEPS: [u64; 11] = [10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100];
    let tenth = 10u64.pow(value.max(100).ilog10() - 1);
    STEPS.iter().map(|n| tenth.saturating_mul(*n)).find(|end| *end >= value).unwrap_or(u64::MAX)
}

/// How dark a heat map's cell is: 0 (nothing) to 4, on a logarithmic scale against the darkest.
pub fn shade(count: u64, most: u64) -> usize {
    if count == 0 || most == 0 {
        return 0;
    }
    let part = ((count as f64).ln() + 1.0) / ((most as f64).ln() + 1.0);
    ((part * 4.0).ceil() as usize).clamp(1, 4)
}

/// The cells of the heat map by [`shade`].
pub const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_tells_unknown_from_zero_from_little() {
        let curve: String =
            [None, Some(0.0), Some(0.001), Some(4.0), Some(8.0)].map(|v| step(v, 8.0)).into_iter().collect();
        assert_eq!(curve, " ▁▂▄▇");
        assert_eq!(step(Some(1.0), 0.0), '▁');
    }

    #[test]
    fn no_peak_is_lost_and_none_moves_between_columns() {
        assert_eq!(squeeze(&[9.0, 1.0, 1.0, 2.0], 7, 2, 3), [None, Some(9.0), Some(2.0)]);
        assert_eq!(squeeze(&[9.0, 1.0, 1.0, 2.0, 3.0], 8, 2, 3), [Some(9.0), Some(2.0), Some(3.0)]);
        assert_eq!(squeeze(&[1.0], 7, 1, 3), [None, None, Some(1.0)]);
        assert!(squeeze(&[1.0], 7, 1, 0).is_empty());
        assert_eq!(squeeze(&[1.0, 2.0], 0, 1, 2), [None, Some(2.0)]);
    }

    #[test]
    fn a_bar_is_never_longer_than_its_room() {
        assert_eq!(bar(1.0, 3), "━━━");
        assert_eq!(bar(7.0, 3), "━━━");
        assert_eq!(bar(0.0001, 3), "╸");
        assert_eq!(bar(0.5, 3), "━╸");
        assert_eq!(bar(f64::NAN, 3), "");
    }

    #[test]
    fn a_scale_has_room_and_a_round_end() {
        assert_eq!([0, 100, 101, 480, 501, 2_100_000].map(round_up), [100, 100, 120, 500, 600, 2_500_000]);
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn shades_go_from_one_to_all() {
        assert_eq!([shade(0, 9), shade(1, 1000), shade(1000, 1000), shade(1, 1)], [0, 1, 4, 4]);
    }
}
