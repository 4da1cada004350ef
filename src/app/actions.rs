//! The one table of actions: what a user can do, by which keys, where, and in what words. Keys, hints, help and the
//! manual page are all made from it, so none of them can say what another does not.

use crossterm::event::KeyCode;

use super::keys::{Key, Keymap, char, ctrl, key};
use crate::ui::{HelpLine, View};

/// What a user can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Show this view.
    Show(View),
    /// Look at the next view.
    NextView,
    /// Look at the previous view.
    PreviousView,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A screenful up.
    PageUp,
    /// A screenful down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Into what is selected.
    Open,
    /// Back out.
    Close,
    /// To the packet of what is selected.
    GoPacket,
    /// To the flow of what is selected.
    GoFlow,
    /// To the handler of what is selected.
    GoHandler,
    /// Have the daemon trace what is selected.
    Trace,
    /// Show an open packet's bytes, or not.
    Hex,
    /// The map of latency in the whole view, or back.
    Latency,
    /// All verdicts in the whole view, or back.
    Verdicts,
    /// Show only rows with some words.
    Filter,
    /// Sort by the next column.
    Sort,
    /// Sort the other way round.
    Reverse,
    /// Hold the screen, or let it go.
    Pause,
    /// Begin or end a recording.
    Record,
    /// Save what the flight recorder holds.
    Save,
    /// Mark the moment that is shown.
    Mark,
    /// One second back.
    StepBack,
    /// One second on.
    StepOn,
    /// A minute back.
    JumpBack,
    /// A minute on.
    JumpOn,
    /// To a time of day, or by a length of time from here.
    GoTo,
    /// On to the next event.
    NextEvent,
    /// On to the next upcall.
    NextUpcall,
    /// On to where trouble begins next.
    NextTrouble,
    /// Back to where trouble began last.
    PreviousTrouble,
    /// On to the next mark.
    NextMark,
    /// Back to the last mark.
    PreviousMark,
    /// Replay at half the speed.
    Slower,
    /// Replay at twice the speed.
    Faster,
    /// Copy what is selected to the terminal's clipboard.
    Copy,
    /// Every action by its name.
    Palette,
    /// What the keys do.
    Help,
    /// Give the terminal to the shell until it says `fg`.
    Suspend,
    /// Leave.
    Quit,
}

/// Where an action does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Anywhere.
    Everywhere,
    /// Where there are rows to go through or text to scroll.
    Rows,
    /// On a row or a picture that opens.
    Openable,
    /// In what was opened, and in the help.
    Opened,
    /// In lists that can be filtered.
    Filterable,
    /// On a flow, an upcall or a packet.
    Related,
    /// On an upcall or a packet.
    Traffic,
    /// In an open packet.
    Packet,
    /// In Storm.
    Storm,
    /// In tables with more than one order.
    Sortable,
    /// Where a recording can be made.
    Recordable,
    /// In a replay, and looking back.
    Replay,
    /// Where there is a past to look at.
    Back,
    /// Where marks can be made.
    Markable,
}

/// What the screen shows, as far as that decides what keys do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question with its own answer; they do not exclude each other"
)]
pub struct Scene {
    /// There are rows or text to move in.
    pub rows: bool,
    /// What is selected opens.
    pub openable: bool,
    /// Something is open.
    pub opened: bool,
    /// There is a list that can be filtered.
    pub filterable: bool,
    /// It is about flows, upcalls or packets.
    pub related: bool,
    /// It is about upcalls or packets.
    pub traffic: bool,
    /// A packet is open.
    pub packet: bool,
    /// It is Storm.
    pub storm: bool,
    /// The table has more than one order.
    pub sortable: bool,
    /// A recording can be made.
    pub recordable: bool,
    /// It is a replay, or looks back.
    pub replay: bool,
    /// There is a past to look at.
    pub back: bool,
    /// Marks can be made.
    pub markable: bool,
    /// The screen or the replay is held: that alone changes no key, but its word.
    pub held: bool,
}

impl Place {
    /// Whether the scene has this place.
    pub fn is_in(self, scene: Scene) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Rows => scene.rows,
            Self::Openable => scene.openable,
            Self::Opened => scene.opened,
            Self::Filterable => scene.filterable,
            Self::Related => scene.related,
            Self::Traffic => scene.traffic,
            Self::Packet => scene.packet,
            Self::Storm => scene.storm,
            Self::Sortable => scene.sortable,
            Self::Recordable => scene.recordable,
            Self::Replay => scene.replay,
            Self::Back => scene.back,
            Self::Markable => scene.markable,
        }
    }

    /// The heading of its keys in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Rows => "in lists and long text",
            Self::Openable => "on what can be opened",
            Self::Opened => "in what was opened",
            Self::Filterable => "in lists",
            Self::Related => "on a flow, an upcall or a packet",
            Self::Traffic => "on an upcall or a packet",
            Self::Packet => "in an open packet",
            Self::Storm => "in Storm",
            Self::Sortable => "in tables",
            Self::Recordable => "on a live datapath",
            Self::Replay => "in a replay, and looking back",
            Self::Back => "in a replay, and in the last minutes of a live session",
            Self::Markable => "where marks can be made",
        }
    }

    /// All, in the order of the help.
    pub const ALL: [Self; 14] = [
        Self::Everywhere,
        Self::Rows,
        Self::Openable,
        Self::Opened,
        Self::Storm,
        Self::Related,
        Self::Traffic,
        Self::Packet,
        Self::Filterable,
        Self::Sortable,
        Self::Recordable,
        Self::Markable,
        Self::Back,
        Self::Replay,
    ];
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What happens.
    pub action: Action,
    /// Its name, as users type it.
    pub name: &'static str,
    /// What it does, in help and manual.
    pub says: &'static str,
    /// Its word in the hints at the bottom; empty where it is not worth the room.
    pub hint: &'static str,
    /// The keys, the first of them shown in hints.
    pub keys: &'static [Key],
    /// Where it does something.
    pub place: Place,
}

const fn entry(
    action: Action,
    name: &'static str,
    hint: &'static str,
    keys: &'static [Key],
    place: Place,
    says: &'static str,
) -> Entry {
    Entry { action, name, says, hint, keys, place }
}

/// Every action there is. Hints are shown in this order.
#[rustfmt::skip]
pub const ACTIONS: &[Entry] = {
    use Action as A;
    use KeyCode as K;
    use Place as P;
    &[
        entry(A::Show(View::Storm), "storm", "", &[char('1')], P::Everywhere, "Storm: what is happening, how bad, who makes it"),
        entry(A::Show(View::Flows), "flows", "", &[char('2')], P::Everywhere, "Flows: hits, upcalls, and what the daemon says of each"),
        entry(A::Show(View::Upcalls), "upcalls", "", &[char('3')], P::Everywhere, "Upcalls: each with where its time went"),
        entry(A::Show(View::Packets), "packets", "", &[char('4')], P::Everywhere, "Packets: each with all that happened to it"),
        entry(A::Show(View::Handlers), "handlers", "", &[char('5')], P::Everywhere, "Handlers: the daemon's threads that take upcalls"),
        entry(A::Show(View::Ports), "ports", "", &[char('6')], P::Everywhere, "Ports: which of them send upcalls"),
        entry(A::Show(View::Probes), "probes", "", &[char('7')], P::Everywhere, "Probes: what is attached, what it costs, what is lost"),
        entry(A::NextView, "next-view", "view", &[key(K::Tab)], P::Everywhere, "the next view"),
        entry(A::PreviousView, "previous-view", "", &[key(K::BackTab)], P::Everywhere, "the previous view"),
        entry(A::Open, "open", "open", &[key(K::Enter), key(K::Right), char('l')], P::Openable, "open what is selected, or go to it"),
        entry(A::Close, "close", "back", &[key(K::Esc), key(K::Left), char('h')], P::Opened, "back to where it was opened"),
        entry(A::Verdicts, "verdicts", "verdicts", &[char('v')], P::Storm, "all verdicts, current and past, with their evidence; and back"),
        entry(A::Latency, "latency", "map", &[char('z')], P::Storm, "the latency map over the whole view; and back"),
        entry(A::GoPacket, "packet-of", "", &[char('P')], P::Related, "go to its packet (of a flow: the last one)"),
        entry(A::GoFlow, "flow-of", "flow", &[char('F')], P::Traffic, "go to its flow, the one it put or hit"),
        entry(A::GoHandler, "handler-of", "handler", &[char('H')], P::Related, "go to the handler that received it (of a flow: its last packet)"),
        entry(A::Hex, "hex", "hex", &[char('x')], P::Packet, "show or hide its first bytes in hex"),
        entry(A::Up, "up", "", &[key(K::Up), char('k')], P::Rows, "one row up"),
        entry(A::Down, "down", "", &[key(K::Down), char('j')], P::Rows, "one row down"),
        entry(A::PageUp, "page-up", "", &[key(K::PageUp)], P::Rows, "one page up"),
        entry(A::PageDown, "page-down", "", &[key(K::PageDown)], P::Rows, "one page down"),
        entry(A::First, "first", "", &[char('g'), key(K::Home)], P::Rows, "to the first row, and stay with it"),
        entry(A::Last, "last", "", &[char('G'), key(K::End)], P::Rows, "to the last row"),
        entry(A::Filter, "filter", "filter", &[char('/')], P::Filterable, "show only rows that have these words, or =field; Esc shows all"),
        entry(A::Trace, "trace", "trace", &[char('t')], P::Related, "ofproto/trace: the OpenFlow rules it would meet now"),
        entry(A::Sort, "sort", "sort", &[char('s')], P::Sortable, "sort by the next column"),
        entry(A::Reverse, "reverse", "", &[char('S')], P::Sortable, "reverse the order"),
        entry(A::Pause, "pause", "pause", &[char(' ')], P::Everywhere, "pause the screen; tracing and recording go on"),
        entry(A::Record, "record", "record", &[char('R')], P::Recordable, "start a recording, or end it"),
        entry(A::Save, "save", "save", &[char('w')], P::Recordable, "save the last minutes to a file, as far as they are kept"),
        entry(A::Mark, "mark", "mark", &[char('m')], P::Markable, "mark the moment that is shown, with a note"),
        entry(A::StepBack, "step-back", "-1 s", &[char('[')], P::Back, "1 second back"),
        entry(A::JumpBack, "jump-back", "-1 min", &[char('{')], P::Back, "1 minute back"),
        entry(A::GoTo, "go-to", "time", &[char('T')], P::Back, "go to a time of day (14:02:11), or so far from here (+30s)"),
        entry(A::StepOn, "step-on", "+1 s", &[char(']')], P::Replay, "1 second forward; when looking back, at the end to now"),
        entry(A::JumpOn, "jump-on", "+1 min", &[char('}')], P::Replay, "1 minute forward"),
        entry(A::NextTrouble, "next-trouble", "trouble", &[char('a')], P::Replay, "to where the next storm, loss or failure begins"),
        entry(A::PreviousTrouble, "previous-trouble", "", &[char('A')], P::Replay, "back to where the last storm, loss or failure began"),
        entry(A::NextUpcall, "next-upcall", "", &[char('u')], P::Replay, "to the next upcall, and pause there"),
        entry(A::NextEvent, "next-event", "", &[char('.')], P::Replay, "to the next event, and pause there"),
        entry(A::NextMark, "next-mark", "", &[char(')')], P::Replay, "to the next mark"),
        entry(A::PreviousMark, "previous-mark", "", &[char('(')], P::Replay, "back to the last mark"),
        entry(A::Slower, "slower", "slower", &[char('<')], P::Replay, "half the speed, down to 1/16"),
        entry(A::Faster, "faster", "faster", &[char('>')], P::Replay, "twice the speed, up to 64 times, then as fast as possible"),
        entry(A::Copy, "copy", "", &[char('y')], P::Everywhere, "copy what is selected as text, through the terminal (OSC 52)"),
        entry(A::Palette, "actions", "all", &[char(':')], P::Everywhere, "every action by its name"),
        entry(A::Help, "help", "help", &[char('?')], P::Everywhere, "what the keys do"),
        entry(A::Suspend, "suspend", "", &[ctrl('z')], P::Everywhere, "suspend to the shell; fg comes back"),
        entry(A::Quit, "quit", "quit", &[char('q'), ctrl('c')], P::Everywhere, "quit"),
    ]
};

/// Key and word of every hint for a scene, in order. Where one can move in time, the keys that open and close come first, then
/// those for time.
pub fn hints(keymap: &Keymap, scene: Scene) -> Vec<(String, &'static str)> {
    let rank = |entry: &Entry| match entry.action {
        _ if !scene.replay => 0,
        Action::Open | Action::Close | Action::Verdicts => 1,
        Action::Pause => 2,
        Action::StepBack | Action::StepOn => 3,
        Action::NextTrouble => 4,
        _ if matches!(entry.place, Place::Back | Place::Replay) => 5,
        _ => 6,
    };
    let mut shown: Vec<_> =
        keymap.iter().filter(|(entry, _)| !entry.hint.is_empty() && entry.place.is_in(scene)).collect();
    shown.sort_by_key(|(entry, _)| rank(entry));
    let word = |entry: &Entry| match entry.action {
        Action::Pause if scene.held => "go on",
        _ => entry.hint,
    };
    shown.into_iter().filter_map(|(entry, keys)| Some((keys.first()?.to_string(), word(entry)))).collect()
}

/// The help: for every place its title, and for every action there its keys and words.
pub fn help(keymap: &Keymap, scene: Scene) -> Vec<(&'static str, Vec<HelpLine>)> {
    let of = |place: Place| {
        let there = keymap.iter().filter(move |(entry, _)| entry.place == place);
        let line = |(entry, keys): (&'static Entry, &[Key])| {
            let here = entry.place.is_in(scene);
            HelpLine { keys: shown(keys), says: entry.says, here }
        };
        (place.title(), there.map(line).collect())
    };
    Place::ALL.into_iter().map(of).collect()
}

/// Keys as they are shown, one after the other.
pub fn shown(keys: &[Key]) -> String {
    let keys: Vec<String> = keys.iter().map(Key::to_string).collect();
    keys.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_does_one_thing_in_any_scene() {
        let clash = Keymap::default().clash();
        assert!(clash.is_none(), "{clash:?}");
    }

    #[test]
    fn names_and_actions_stand_once() {
        let names: HashSet<_> = ACTIONS.iter().map(|entry| entry.name).collect();
        let actions: HashSet<_> = ACTIONS.iter().map(|entry| entry.action).collect();
        assert_eq!((names.len(), actions.len()), (ACTIONS.len(), ACTIONS.len()));
        assert!(ACTIONS.iter().all(|entry| !entry.keys.is_empty() && !entry.says.is_empty()));
    }

    #[test]
    fn help_lists_every_action_with_all_its_keys() {
        let help = help(&Keymap::default(), Scene::default());
        for entry in ACTIONS {
            let line = help.iter().flat_map(|(_, lines)| lines).find(|line| line.says == entry.says);
            let line = line.unwrap_or_else(|| panic!("{} is not in the help", entry.name));
            for key in entry.keys {
                assert!(line.keys.split(' ').any(|k| k == key.to_string()), "{key} of {}", entry.name);
            }
        }
    }

    #[test]
    fn what_does_nothing_has_no_key_and_no_hint() {
        let idle = Scene::default();
        let keymap = Keymap::default();
        assert_eq!(keymap.action_of(key(KeyCode::Enter), idle), None);
        assert_eq!(keymap.action_of(char('R'), idle), None);
        assert!(!hints(&keymap, idle).iter().any(|(_, word)| *word == "record"));
        let opened = Scene { opened: true, ..idle };
        assert_eq!(keymap.action_of(key(KeyCode::Esc), opened), Some(Action::Close));
    }
}
