//! What the screen shows that is not in the model: the program's own doings.

use crate::{
    event::{Nanos, Ufid},
    model::Overview,
};

/// Where the events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// From this host's datapath.
    Live,
    /// From the recording that the program brings along.
    Demo,
    /// From a recording.
    Replay {
        /// Its name.
        file: String,
    },
}

/// How recording stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RecordState {
    /// Nothing is recorded.
    #[default]
    Off,
    /// Events go to a file.
    On {
        /// Its name.
        file: String,
        /// Bytes written.
        bytes: u64,
        /// Seconds since it began.
        seconds: u64,
        /// Events that it could not keep up with.
        lost: u64,
    },
    /// It ended against the user's will, for this reason.
    Failed(String),
}

/// Whether what is drawn moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// It moves.
    #[default]
    Running,
    /// The screen is held, and the events went on for so long since.
    Held {
        /// Nanoseconds of the events' time.
        behind: Nanos,
    },
    /// The replay is held; nothing goes on behind it.
    Stopped,
    /// It is what the flight recorder kept, while the session goes on.
    Past {
        /// Nanoseconds of the events' time between it and now.
        behind: Nanos,
        /// Whether it moves.
        moves: bool,
    },
}

/// What the flight recorder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Seconds from its oldest event to its newest.
    pub seconds: u64,
    /// Bytes it takes.
    pub bytes: u64,
}

/// A line that the user is writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What is asked for.
    pub label: String,
    /// What is there so far.
    pub text: String,
    /// Characters before the cursor.
    pub cursor: usize,
}

/// What an action does, in the help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpLine {
    /// Its keys.
    pub keys: String,
    /// What they do.
    pub says: &'static str,
    /// Whether they do it here.
    pub here: bool,
}

/// Every action by its name, as far as it has to do with what the user writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// The actions, the best first.
    pub rows: Vec<PaletteRow>,
    /// The one that is chosen.
    pub chosen: usize,
    /// How many actions there are in all.
    pub all: usize,
    /// What the user is writing.
    pub prompt: Prompt,
}

/// An action to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaletteRow {
    /// Its name.
    pub name: &'static str,
    /// Its keys.
    pub keys: String,
    /// What it does.
    pub says: &'static str,
    /// Where it does something, if it does nothing here.
    pub elsewhere: Option<&'static str>,
}

/// What goes to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Bytes in these seconds.
    pub bytes: u64,
    /// Frames in these seconds that changed something.
    pub frames: u64,
    /// The seconds, at least 1.
    pub seconds: u64,
}

/// How the source of events ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The recording is at its end.
    Complete,
    /// It failed.
    Failed(String),
}

/// What became of the question about the selected flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is on its way.
    Waiting(Ufid),
    /// There is nobody to ask: a replay shows what was asked when it was recorded.
    Nobody,
    /// The queue of questions is full; it is put again.
    Busy,
}

/// The program's own doings.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Where the events come from.
    pub mode: Mode,
    /// How recording stands.
    pub record: RecordState,
    /// Whether it moves.
    pub pace: Pace,
    /// How many times as fast as recorded, in a replay; infinite is as fast as can be.
    pub speed: f64,
    /// The whole of what is replayed.
    pub overview: Option<Overview>,
    /// What the flight recorder holds, where there is one.
    pub flight: Option<Held>,
    /// What the user is writing.
    pub prompt: Option<Prompt>,
    /// How the source ended, if it did.
    pub ended: Option<Ended>,
    /// What became of the question about the selected flow.
    pub asked: Option<Asked>,
    /// The program's own use of CPU, in percent of one.
    pub own_cpu: Option<f64>,
    /// What went to the terminal lately, where there is one.
    pub output: Option<Output>,
    /// Something to tell once: what a key did, or why not.
    pub note: Option<String>,
    /// Keys and words for the bottom line.
    pub hints: Vec<(String, &'static str)>,
    /// Titles, and for each its keys and words; made while the help is shown.
    pub help: Vec<(&'static str, Vec<HelpLine>)>,
    /// The actions to choose from, while that is shown.
    pub palette: Option<Palette>,
}

impl Status {
    /// Nothing but where the events come from.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            record: RecordState::Off,
            pace: Pace::Running,
            speed: 1.0,
            overview: None,
            flight: None,
            prompt: None,
            ended: None,
            asked: None,
            own_cpu: None,
            output: None,
            note: None,
            hints: Vec::new(),
            help: Vec::new(),
            palette: None,
        }
    }
}
