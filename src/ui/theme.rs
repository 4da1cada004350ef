//! Colours by what they mean. Every meaning also has a glyph, a word or a weight: never colour alone.

use ratatui::style::{Color, Modifier, Style};

/// Which colours. All palettes are of blue, orange and grey, which every common kind of colour blindness tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The terminal's own colours, and a few more that can be read on dark and on light.
    #[default]
    Auto,
    /// For a dark background.
    Dark,
    /// For a light background.
    Light,
    /// On dark and on light; what matters differs in lightness as much as in hue.
    ColourBlind,
    /// No colours: bold, underlined and reversed only.
    Mono,
}

impl Choice {
    /// Takes colours away where the environment asks for that: `NO_COLOR` set to anything (no-color.org), or a
    /// terminal that has none. `var` reads the environment.
    #[must_use]
    pub fn for_terminal(self, var: impl Fn(&str) -> Option<String>) -> Self {
        let no_color = var("NO_COLOR").is_some_and(|v| !v.is_empty());
        let plain =
            var("TERM").is_some_and(|term| term == "dumb" || term.starts_with("vt1") || term.starts_with("vt2"));
        if no_color || plain { Self::Mono } else { self }
    }
}

/// How many colours a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// 16, in shades of the terminal's own.
    Sixteen,
    /// 256, of which those from 16 on are the same everywhere.
    #[default]
    Indexed,
    /// Any: those same shades, by their red, green and blue.
    True,
}

/// Terminals with 256 colours or more whose TERM does not say so.
const KNOWN: [&str; 7] = ["xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm", "contour", "iterm"];

impl Depth {
    /// What the environment says, which `var` reads. With more than 256 colours 256 are used: the shades are the same, and
    /// each takes half the bytes.
    pub fn for_terminal(var: impl Fn(&str) -> Option<String>) -> Self {
        let term = var("TERM").unwrap_or_default();
        let told = var("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit");
        let named = term.contains("256color") || term.contains("direct");
        let known = KNOWN.iter().any(|name| term.starts_with(name));
        if told || named || known { Self::Indexed } else { Self::Sixteen }
    }
}

/// The styles that the screen is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Text that is read.
    pub text: Style,
    /// Numbers and names that matter most.
    pub strong: Style,
    /// What explains: units, headings of columns, rules.
    pub quiet: Style,
    /// Headings.
    pub heading: Style,
    /// What is wrong: the one accent for it.
    pub bad: Style,
    /// What is selected.
    pub selected: Style,
    /// Bars and curves.
    pub shape: Style,
    /// Where a bar could have been.
    pub trough: Style,
    /// Cells of the heat map, from few to many.
    pub heat: [Style; 4],
}

impl Theme {
    /// The styles of a choice, on a terminal with 256 colours.
    pub fn new(choice: Choice) -> Self {
        Self::with(choice, Depth::Indexed)
    }

    /// The styles of a choice, on a terminal with so many colours.
    pub fn with(choice: Choice, depth: Depth) -> Self {
        match depth {
            Depth::Sixteen => Self::sixteen(choice),
            Depth::Indexed => Self::indexed(choice),
            Depth::True => Self::indexed(choice).in_rgb(),
        }
    }

    /// Bars and curves of what is wrong: in the colour that stands for it, also where words have that behind them.
    pub fn bad_shape(&self) -> Style {
        self.bad.bg.map_or(self.bad, |colour| Style { fg: Some(colour), bg: None, ..self.bad })
    }

    fn indexed(choice: Choice) -> Self {
        let fg = |n| Style::new().fg(Color::Indexed(n));
        let on = |n, bg| fg(n).bg(Color::Indexed(bg));
        let bold = Modifier::BOLD;
        let own = Style::new();
        match choice {
            Choice::Auto => Self {
                text: own,
                strong: own.add_modifier(bold),
                quiet: fg(244),
                heading: fg(32).add_modifier(bold),
                bad: fg(166).add_modifier(bold),
                selected: on(231, 25),
                shape: fg(32),
                trough: fg(244),
                heat: [fg(67), fg(68), fg(32), fg(33)],
            },
            Choice::Dark => Self {
                text: fg(252),
                strong: fg(231).add_modifier(bold),
                quiet: fg(245),
                heading: fg(75).add_modifier(bold),
                bad: fg(208).add_modifier(bold),
                selected: on(231, 25),
                shape: fg(74),
                trough: fg(238),
                heat: [fg(24), fg(31), fg(38), fg(81)],
            },
            Choice::Light => Self {
                text: fg(236),
                strong: fg(16).add_modifier(bold),
                quiet: fg(243),
                heading: fg(25).add_modifier(bold),
                bad: fg(130).add_modifier(bold),
                selected: on(16, 153),
                shape: fg(25),
                trough: fg(250),
                heat: [fg(110), fg(68), fg(25), fg(18)],
            },
            Choice::ColourBlind => Self {
                text: own,
                strong: own.add_modifier(bold),
                quiet: fg(244),
                heading: fg(32).add_modifier(bold),
                bad: on(16, 214).add_modifier(bold),
                selected: on(231, 19),
                shape: fg(32),
                trough: fg(244),
                heat: [fg(25), fg(67), fg(179), fg(220)],
            },
            Choice::Mono => Self {
                text: own,
                strong: own.add_modifier(bold),
                quiet: own,
                heading: own.add_modifier(Modifier::UNDERLINED),
                bad: own.add_modifier(bold),
                selected: own.add_modifier(Modifier::REVERSED),
                shape: own,
                trough: own,
                heat: [own, own, own, own.add_modifier(bold)],
            },
        }
    }

    /// With the 16 colours that every terminal has. Their shades are the terminal's: where the background is not known,
    /// only those are used that can be read on black and on white, or that bring their own.
    fn sixteen(choice: Choice) -> Self {
        let fg = |colour| Style::new().fg(colour);
        let (bold, dim) = (Modifier::BOLD, Modifier::DIM);
        let own = Style::new();
        let selected = fg(Color::White).bg(Color::Blue);
        let neutral = Self {
            text: own,
            strong: own.add_modifier(bold),
            quiet: own.add_modifier(dim),
            heading: own.add_modifier(bold | Modifier::UNDERLINED),
            bad: fg(Color::Red).add_modifier(bold),
            selected,
            shape: own,
            trough: own.add_modifier(dim),
            heat: [own.add_modifier(dim), own, own, own.add_modifier(bold)],
        };
        match choice {
            Choice::Auto => neutral,
            Choice::Dark => Self {
                text: fg(Color::Gray),
                strong: fg(Color::White).add_modifier(bold),
                quiet: fg(Color::Gray),
                heading: fg(Color::LightCyan).add_modifier(bold),
                bad: fg(Color::LightYellow).add_modifier(bold),
                selected,
                shape: fg(Color::Cyan),
                trough: fg(Color::DarkGray),
                heat: [fg(Color::Blue), fg(Color::Cyan), fg(Color::Cyan), fg(Color::LightCyan)],
            },
            Choice::Light => Self {
                text: fg(Color::Black),
                strong: fg(Color::Black).add_modifier(bold),
                quiet: fg(Color::DarkGray),
                heading: fg(Color::Blue).add_modifier(bold),
                bad: fg(Color::Red).add_modifier(bold),
                selected,
                shape: fg(Color::Blue),
                trough: fg(Color::Gray),
                heat: [fg(Color::Cyan), fg(Color::Cyan), fg(Color::Blue), fg(Color::Blue)],
            },
            Choice::ColourBlind => Self {
                bad: fg(Color::Black).bg(Color::Yellow).add_modifier(bold),
                heat: [fg(Color::Blue), fg(Color::Cyan), fg(Color::Yellow), fg(Color::LightYellow)],
                ..neutral
            },
            Choice::Mono => Self::indexed(Choice::Mono),
        }
    }

    /// The same, each colour by its red, green and blue.
    fn in_rgb(self) -> Self {
        let Self { text, strong, quiet, heading, bad, selected, shape, trough, heat } = self;
        let rgb = |colour| match colour {
            Some(Color::Indexed(n)) => Some(rgb_of(n).map_or(Color::Indexed(n), |[r, g, b]| Color::Rgb(r, g, b))),
            other => other,
        };
        let in_rgb = |style: Style| Style { fg: rgb(style.fg), bg: rgb(style.bg), ..style };
        Self {
            text: in_rgb(text),
            strong: in_rgb(strong),
            quiet: in_rgb(quiet),
            heading: in_rgb(heading),
            bad: in_rgb(bad),
            selected: in_rgb(selected),
            shape: in_rgb(shape),
            trough: in_rgb(trough),
            heat: heat.map(in_rgb),
        }
    }
}

/// One of 256 colours, as xterm defined them (256colres.pl) and all others took over; none of the first 16, which are the
/// terminal's own.
fn rgb_of(n: u8) -> Option<[u8; 3]> {
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match n {
        0..=15 => None,
        16..=231 => Some([(n - 16) / 36, (n - 16) / 6 % 6, (n - 16) % 6].map(level)),
        232..=255 => Some([8 + 10 * (n - 232); 3]),
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(Choice::Auto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTHS: [Depth; 3] = [Depth::Sixteen, Depth::Indexed, Depth::True];
    const ALL: [Choice; 5] = [Choice::Auto, Choice::Dark, Choice::Light, Choice::ColourBlind, Choice::Mono];

    fn styles(theme: Theme) -> Vec<Style> {
        let Theme { text, strong, quiet, heading, bad, selected, shape, trough, heat } = theme;
        [&[text, strong, quiet, heading, bad, selected, shape, trough][..], &heat].concat()
    }

    #[test]
    fn no_color_takes_all_colours() {
        let env = |name: &str| (name == "NO_COLOR").then(|| "1".to_owned());
        assert_eq!(Choice::Dark.for_terminal(env), Choice::Mono);
        assert_eq!(Choice::Dark.for_terminal(|_| Some(String::new())), Choice::Dark);
        for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
            for style in styles(Theme::with(Choice::Mono, depth)) {
                assert_eq!((style.fg, style.bg), (None, None));
            }
        }
    }

    #[test]
    fn a_terminal_tells_how_many_colours_it_has() {
        let depth = |term: &'static str, colorterm: &'static str| {
            Depth::for_terminal(|name| match name {
                "TERM" => Some(term.to_owned()),
                "COLORTERM" => Some(colorterm.to_owned()),
                _ => None,
            })
        };
        assert_eq!(depth("linux", ""), Depth::Sixteen);
        assert_eq!(depth("xterm", ""), Depth::Sixteen);
        assert_eq!(depth("xterm", "truecolor"), Depth::Indexed);
        assert_eq!(depth("screen-256color", ""), Depth::Indexed);
        assert_eq!(depth("foot-extra", ""), Depth::Indexed);
        assert_eq!(Depth::for_terminal(|_| None), Depth::Sixteen);
    }

    #[test]
    fn a_terminal_of_16_colours_gets_no_other() {
        for choice in ALL {
            for style in styles(Theme::with(choice, Depth::Sixteen)) {
                for colour in [style.fg, style.bg].into_iter().flatten() {
                    assert!(!matches!(colour, Color::Indexed(_) | Color::Rgb(..)), "{choice:?}: {colour}");
                }
            }
        }
    }

    #[test]
    fn a_bar_of_what_is_wrong_is_in_the_colour_of_it_and_has_none_behind_it() {
        for theme in ALL.into_iter().flat_map(|choice| DEPTHS.map(|depth| Theme::with(choice, depth))) {
            let shape = theme.bad_shape();
            assert_eq!((shape.fg, shape.bg), (theme.bad.bg.or(theme.bad.fg), None));
        }
        let theme = Theme::new(Choice::ColourBlind);
        assert_ne!(theme.bad_shape().fg, theme.bad.fg, "words are dark on that colour there");
    }

    #[test]
    fn the_shades_are_the_same_by_number_and_by_rgb() {
        assert_eq!(
            [16, 32, 231, 232, 255].map(rgb_of).map(Option::unwrap_or_default),
            [[0, 0, 0], [0, 135, 215], [255, 255, 255], [8, 8, 8], [238, 238, 238]]
        );
        assert_eq!(Theme::with(Choice::Dark, Depth::True).bad.fg, Some(Color::Rgb(255, 135, 0)));
    }

    /// Severity 1 of Machado, Oliveira and Fernandes (2009), on linear red, green and blue: without the long, the middle
    /// and the short cones; and all eyes.
    const EYES: [[[f64; 3]; 3]; 4] = [
        [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]],
        [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
        [[1.255_528, -0.076_749, -0.178_779], [-0.078_411, 0.930_809, 0.147_602], [0.004_733, 0.691_367, 0.303_900]],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    ];

    /// A colour in CIE L*a*b* (D65), as these eyes see it.
    fn seen(colour: Color, eyes: &[[f64; 3]; 3]) -> [f64; 3] {
        let Color::Indexed(n) = colour else { panic!("{colour} has no shade of its own") };
        let linear = rgb_of(n).expect("a shade of its own").map(|byte| {
            let part = f64::from(byte) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        let times = |matrix: &[[f64; 3]; 3], v: [f64; 3]| {
            matrix.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.1))
        };
        let to_xyz =
            [[0.412_456, 0.357_576, 0.180_437], [0.212_673, 0.715_152, 0.072_175], [0.019_334, 0.119_192, 0.950_304]];
        let white = [0.950_47, 1.0, 1.088_83];
        let root = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let xyz = times(&to_xyz, times(eyes, linear));
        let roots = [0, 1, 2].map(|i| root(xyz[i] / white[i]));
        [116.0 * roots[1] - 16.0, 500.0 * (roots[0] - roots[1]), 200.0 * (roots[1] - roots[2])]
    }

    fn apart(a: Color, b: Color, eyes: &[[f64; 3]; 3]) -> f64 {
        seen(a, eyes).iter().zip(seen(b, eyes)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn all_eyes_tell_what_is_wrong_from_what_is_not() {
        for choice in [Choice::Auto, Choice::Dark, Choice::Light, Choice::ColourBlind] {
            let theme = Theme::new(choice);
            let bad = theme.bad.bg.or(theme.bad.fg).expect("a colour");
            let others = [theme.heading, theme.shape, theme.quiet].map(|style| style.fg).into_iter().flatten();
            for (eyes, who) in EYES.iter().zip(["no long cones", "no middle cones", "no short cones", "all cones"]) {
                for other in others.clone().chain(theme.selected.bg) {
                    let apart = apart(bad, other, eyes);
                    // 2.3 is just seen, side by side; this is seen across a screen.
                    assert!(apart > 20.0, "{choice:?}, {who}: {bad} and {other} are {apart:.0} apart");
                }
            }
        }
    }

    #[test]
    fn more_heat_is_lighter_for_eyes_that_go_by_lightness() {
        let heat = Theme::new(Choice::ColourBlind).heat.map(|style| style.fg.expect("a colour"));
        for eyes in &EYES {
            let lightness = heat.map(|colour| seen(colour, eyes)[0]);
            assert!(lightness.windows(2).all(|pair| pair[1] > pair[0] + 5.0), "{lightness:?}");
        }
    }
}
