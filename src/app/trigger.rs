//! What makes the flight recorder save by itself: `upcalls>5000/s`, `queue_wait.p99>20ms`, `lost>0`, `verdict=storm`.

use std::{fmt, str::FromStr};

use super::cli::parse_duration;
use crate::model::{Cause, Model, Percentiles, Rates, Stage, State, Window};

/// `--trigger`'s.
pub const TRIGGER_HELP: &str = "Save the last minutes when this becomes true, with --trigger-after of what follows. May be given \
several times: each that becomes true saves, all together at most --trigger-max times.

What can be compared:

Per second, over the last two seconds: lookups, hits, misses, upcalls, lost (upcalls), received, puts, puts_failed, execs, \
execs_failed, dels
A stage of the last ten seconds' upcalls, by its p50, p90, p99 or max: lookup, enqueue, queue_wait, translate, put, execute, whole
What the screen's first line says, or worse: verdict=busy, verdict=storm, verdict=losing
A verdict, by the name of its cause: verdict=flow-limit, verdict=field-explosion, … (docs/verdicts.md has them all)

Examples: --trigger 'lost>0'   --trigger 'upcalls>5000/s'   --trigger 'queue_wait.p99>20ms'   --trigger verdict=flow-limit";

/// Figures that a trigger can be about, with how to get each from the rates of the last seconds.
type Rate = fn(&Rates) -> f64;
const RATES: [(&str, Rate); 11] = [
    ("lookups", |r| r.lookups),
    ("hits", |r| r.hits),
    ("misses", |r| r.misses),
    ("upcalls", |r| r.upcalls),
    ("lost", |r| r.upcalls_lost),
    ("received", |r| r.received),
    ("puts", |r| r.puts),
    ("puts_failed", |r| r.puts_failed),
    ("execs", |r| r.execs),
    ("execs_failed", |r| r.execs_failed),
    ("dels", |r| r.dels),
];

/// Conditions that a trigger can wait for.
const CONDITIONS: [(&str, State); 3] = [("busy", State::Busy), ("storm", State::Storm), ("losing", State::Losing)];

/// Stages of an upcall by the words they are asked for with.
const STAGES: [(&str, Stage); 7] = [
    ("lookup", Stage::Lookup),
    ("enqueue", Stage::Enqueue),
    ("queue_wait", Stage::Wait),
    ("translate", Stage::Translate),
    ("put", Stage::Put),
    ("execute", Stage::Execute),
    ("whole", Stage::Whole),
];

/// Percentiles of a stage over the last ten seconds.
type Percentile = fn(&Percentiles) -> u64;
const PERCENTILES: [(&str, Percentile); 4] =
    [("p50", |p| p.p50), ("p90", |p| p.p90), ("p99", |p| p.p99), ("max", |p| p.max)];

/// One condition.
#[derive(Debug, Clone, Copy)]
enum What {
    /// More, or less, of this than so many per second.
    Rate { of: Rate, more: bool, than: f64 },
    /// A stage's percentile above, or below, so many nanoseconds.
    Stage { stage: Stage, percentile: Percentile, more: bool, than: f64 },
    /// The condition is at least this bad.
    Condition(State),
    /// There is this verdict.
    Verdict(Cause),
}

/// A condition on the model, with its text.
#[derive(Debug, Clone)]
pub struct Trigger {
    text: String,
    what: What,
}

impl Trigger {
    /// Whether it holds now. With nothing counted it does not.
    pub fn holds(&self, model: &Model) -> bool {
        let compare = |value: f64, more, than: f64| if more { value > than } else { value < than };
        match self.what {
            What::Rate { of, more, than } => model.rates().is_some_and(|rates| compare(of(&rates), more, than)),
            What::Stage { stage, percentile, more, than } => {
                let found = model.latency(stage, Window::Last10);
                found.is_some_and(|p| compare(percentile(&p) as f64, more, than))
            }
            What::Condition(state) => model.condition().state >= state,
            What::Verdict(cause) => model.verdicts().iter().any(|verdict| verdict.cause == cause),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All names, for messages.
fn names() -> String {
    let rates = RATES.iter().map(|(name, _)| (*name).to_owned());
    let stages = STAGES.iter().map(|(name, _)| format!("{name}.p99"));
    rates.chain(stages).chain(["verdict".to_owned()]).collect::<Vec<_>>().join(", ")
}

fn verdicts() -> String {
    let conditions = CONDITIONS.iter().map(|(word, _)| *word);
    conditions.chain(Cause::ALL.iter().map(|cause| cause.name())).collect::<Vec<_>>().join(", ")
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let Some(at) = compact.find(['>', '<', '=']) else {
            return Err(format!("'{text}' compares nothing: try 'lost>0', 'upcalls>5000/s' or 'queue_wait.p99>20ms'"));
        };
        let (name, sign, value) = (&compact[..at], &compact[at..=at], &compact[at + 1..]);
        let what = match (name, sign) {
            ("verdict", "=") => {
                let state = CONDITIONS.iter().find(|(word, _)| *word == value);
                let cause = Cause::ALL.iter().find(|cause| cause.name() == value);
                match (state, cause) {
                    (Some((_, state)), _) => What::Condition(*state),
                    (None, Some(cause)) => What::Verdict(*cause),
                    (None, None) => return Err(format!("'{value}' is no verdict; there are: {}", verdicts())),
                }
            }
            ("verdict", _) => return Err(format!("a verdict has no size: verdict={value}")),
            (_, "=") => return Err(format!("'{name}' hardly ever equals anything: use > or <")),
            _ => figure(name, sign == ">", value)?,
        };
        Ok(Self { text: compact, what })
    }
}

fn figure(name: &str, more: bool, value: &str) -> Result<What, String> {
    if let Some((name, of)) = RATES.iter().find(|(rate, _)| *rate == name) {
        let number = value.strip_suffix("/s").unwrap_or(value);
        let number = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        let than = number.ok_or_else(|| format!("'{value}' is no number per second: try {name}>5000/s"))?;
        return Ok(What::Rate { of: *of, more, than });
    }
    let unknown = || format!("'{name}' is nothing that is counted; there are: {}", names());
    let (stage, percentile) = name.split_once('.').ok_or_else(unknown)?;
    let (_, stage) = STAGES.into_iter().find(|(word, _)| *word == stage).ok_or_else(unknown)?;
    let (_, percentile) = PERCENTILES.into_iter().find(|(word, _)| *word == percentile).ok_or_else(|| {
        format!("'{percentile}' is no percentile; there are: {}", PERCENTILES.map(|(word, _)| word).join(", "))
    })?;
    let than = nanos(value).ok_or_else(|| format!("'{value}' is no length of time: try {name}>20ms"))?;
    Ok(What::Stage { stage, percentile, more, than })
}

/// A length of time, of stages: they are short.
fn nanos(text: &str) -> Option<f64> {
    let short = [("ns", 1.0), ("us", 1e3), ("µs", 1e3)]
        .into_iter()
        .find_map(|(unit, ns)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * ns));
    let unit = text.ends_with(['s', 'm', 'h']);
    let nanos = short.or_else(|| parse_duration(text).ok().filter(|_| unit).map(|d| d.as_nanos() as f64));
    nanos.filter(|n| n.is_finite() && *n >= 0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A trigger's text with spaces, the same without, and what it has to be read as: whether more, and than how much.
    fn any_figure() -> impl Strategy<Value = (String, String, bool, f64)> {
        let rate = (prop::sample::select(&RATES[..]), prop_oneof![Just(("", 1.0)), Just(("/s", 1.0))])
            .prop_map(|((name, _), unit)| (name.to_owned(), unit));
        let units = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
        let stages = (prop::sample::select(&STAGES[..]), prop::sample::select(&PERCENTILES[..]));
        let stage = (stages, prop::sample::select(units.to_vec()))
            .prop_map(|(((stage, _), (percentile, _)), unit)| (format!("{stage}.{percentile}"), unit));
        (prop_oneof![rate, stage], any::<bool>(), 1..100_000u32, " {0,2}").prop_map(|((name, unit), more, n, space)| {
            let (sign, (unit, factor)) = (if more { '>' } else { '<' }, unit);
            let text = format!("{space}{name}{space}{sign}{space}{n}{unit}{space}");
            (text, format!("{name}{sign}{n}{unit}"), more, f64::from(n) * factor)
        })
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again((text, compact, expected_more, expected) in any_figure()) {
            let trigger: Trigger = text.parse().expect("a good one");
            prop_assert_eq!(trigger.to_string(), compact);
            let again: Trigger = trigger.to_string().parse().expect("its own form");
            prop_assert_eq!(format!("{again:?}"), format!("{trigger:?}"));
            let (What::Rate { more, than, .. } | What::Stage { more, than, .. }) = trigger.what else {
                return Err(TestCaseError::fail("a verdict"));
            };
            prop_assert_eq!((more, than), (expected_more, expected));
        }

        #[test]
        fn any_text_is_understood_or_refused(text in "[a-z._]{0,12} ?[<>=]? ?[0-9.eE+-]{0,9}(/s|ms|µs|h)?") {
            let wrong = |trigger: Trigger| trigger.to_string().parse::<Trigger>().is_err();
            prop_assert!(!text.parse::<Trigger>().is_ok_and(wrong));
        }
    }

    fn refused(text: &str) -> String {
        text.parse::<Trigger>().expect_err(text)
    }

    #[test]
    fn what_is_documented_is_understood() {
        let all = ["lost>0", "upcalls>5000/s", "queue_wait.p99>20ms", "verdict=storm", "whole.max > 1.5s", "hits<10"];
        for text in all {
            let trigger: Trigger = text.parse().expect(text);
            assert!(!trigger.holds(&Model::default()), "{text} with nothing counted");
        }
        for cause in Cause::ALL {
            assert!(format!("verdict={cause}").parse::<Trigger>().is_ok(), "{cause}");
        }
        for (name, _) in RATES {
            assert!(format!("{name}>1").parse::<Trigger>().is_ok(), "{name}");
        }
        for (stage, _) in STAGES {
            for (percentile, _) in PERCENTILES {
                assert!(format!("{stage}.{percentile}<7us").parse::<Trigger>().is_ok(), "{stage}.{percentile}");
            }
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert!(refused("upcalls").contains("compares nothing"));
        assert!(refused("upcals>5").contains("'upcals'"));
        assert!(refused("upcalls>many").contains("'many'"));
        assert!(refused("upcalls>-1").contains("'-1'"));
        assert!(refused("upcalls=5").contains("> or <"));
        assert!(refused("queue_wait.p98>20ms").contains("p99"));
        assert!(refused("queue_wait.p99>20").contains("20ms"));
        for endless in ["inf", "nan", "1e999"] {
            assert!(refused(&format!("queue_wait.p99>{endless}us")).contains("no length of time"));
            assert!(refused(&format!("upcalls>{endless}/s")).contains("no number per second"));
        }
        assert!(refused("verdict=rain").contains("storm, losing, daemon-gone"));
        assert!(refused("verdict>storm").contains("verdict=storm"));
        assert!(refused("").contains("compares nothing"));
    }
}
