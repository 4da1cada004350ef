//! What is looked at: the view, what is selected in it, its order. Follows identities, never rows.

use super::{filter::Filter, verdicts::Choice};
use crate::{
    event::{DpIfindex, PacketId, PortNo, UpcallId},
    model::{Culprit, Dimension, FlowKey, FlowSort, Stage, TalkerKey},
};

/// A view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum View {
    /// What is happening, how bad, who makes it.
    #[default]
    Storm,
    /// The flows.
    Flows,
    /// The upcalls.
    Upcalls,
    /// The packets.
    Packets,
    /// The daemon's threads that take upcalls.
    Handlers,
    /// The ports.
    Ports,
    /// The probes.
    Probes,
}

impl View {
    /// All, in the order of their digits.
    pub const ALL: [Self; 7] =
        [Self::Storm, Self::Flows, Self::Upcalls, Self::Packets, Self::Handlers, Self::Ports, Self::Probes];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Storm => "Storm",
            Self::Flows => "Flows",
            Self::Upcalls => "Upcalls",
            Self::Packets => "Packets",
            Self::Handlers => "Handlers",
            Self::Ports => "Ports",
            Self::Probes => "Probes",
        }
    }

    /// Its place in [`View::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The view so many places to the right, around the end.
    #[must_use]
    pub fn turned(self, by: isize) -> Self {
        let at = self.index().cast_signed() + by;
        Self::ALL[at.rem_euclid(Self::ALL.len().cast_signed()).cast_unsigned()]
    }
}

/// What is selected in a list, and where on the screen it stands: rows that come and go above it move the list and
/// not the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListState<Id> {
    /// The selected; `None` goes with whatever comes first.
    pub selected: Option<Id>,
    /// Its row in the list's window.
    pub row: usize,
}

impl<Id> Default for ListState<Id> {
    fn default() -> Self {
        Self { selected: None, row: 0 }
    }
}

/// The part of a list that is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// The index of the first row shown.
    pub first: usize,
    /// The index of the selected row; meaningless in an empty list.
    pub selected: usize,
}

impl<Id: Copy + PartialEq> ListState<Id> {
    /// The window of `height` rows on a list of `len`, whose selected one is at `index` (none: it is gone, or nothing
    /// was selected).
    pub fn window(&self, index: Option<usize>, len: usize, height: usize) -> Window {
        let Some(selected) = index.filter(|index| *index < len) else { return Window::default() };
        let row = self.row.min(height.saturating_sub(1));
        let first = selected.saturating_sub(row).min(len.saturating_sub(height));
        // At the list's end the selected stands lower than it was left.
        Window { first: first.max((selected + 1).saturating_sub(height)), selected }
    }

    /// Selects `id`, which is at `index`, coming from the window as it was.
    pub fn select(&mut self, id: Id, index: usize, window: Window, height: usize) {
        let row = index.saturating_sub(window.first);
        let row = if index < window.first { 0 } else { row.min(height.saturating_sub(1)) };
        *self = Self { selected: Some(id), row };
    }
}

/// What can be selected in Storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Whom the worst verdict names.
    Culprit(Culprit),
    /// One of those who make upcalls, by what they are told apart: who sends may also be who is sent to.
    Talker(Dimension, TalkerKey),
}

/// What opens in Storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StormPage {
    /// The map of latency.
    #[default]
    Latency,
    /// All verdicts.
    Verdicts,
}

/// How a table is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order<Sort> {
    /// By what.
    pub by: Sort,
    /// Whether the largest come first.
    pub largest_first: bool,
}

/// Orders of the table of upcalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpcallSort {
    /// When they were made.
    Time,
    /// What they took in a stage.
    Stage(Stage),
}

/// Orders of the table of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketSort {
    /// When they were first heard of.
    Time,
    /// The number of the port that they came in by.
    Port,
    /// What became of them, as bad as it is.
    Fate,
    /// Their upcalls.
    Upcalls,
    /// Their steps: the events of each.
    Steps,
    /// Their bytes.
    Length,
    /// From the first of their steps to the last.
    Total,
}

/// Orders of the table of handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlerSort {
    /// Messages received, lately.
    Rate,
    /// How long messages waited for it.
    Wait,
    /// Its name.
    Name,
}

/// Orders of the table of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortSort {
    /// Upcalls, lately.
    Rate,
    /// Upcalls lost.
    Lost,
    /// Its number.
    Number,
}

/// Everything about the screen that keys change.
#[derive(Debug, Clone)]
pub struct ViewState {
    /// The view.
    pub view: View,
    /// In Storm; `None` goes with whatever comes first.
    pub who: Option<Who>,
    /// What is open in Storm, or was last.
    pub storm: StormPage,
    /// Among all verdicts, and of those it names; `None` goes with whatever comes first.
    pub verdict: Option<Choice>,
    /// In Flows.
    pub flows: ListState<FlowKey>,
    /// The order of Flows.
    pub flow_order: Order<FlowSort>,
    /// In Upcalls.
    pub upcalls: ListState<UpcallId>,
    /// The order of Upcalls.
    pub upcall_order: Order<UpcallSort>,
    /// In Packets.
    pub packets: ListState<PacketId>,
    /// The order of Packets.
    pub packet_order: Order<PacketSort>,
    /// In Handlers, by thread id.
    pub handlers: ListState<u32>,
    /// The order of Handlers.
    pub handler_order: Order<HandlerSort>,
    /// In Ports.
    pub ports: ListState<(DpIfindex, PortNo)>,
    /// The order of Ports.
    pub port_order: Order<PortSort>,
    /// The line in an open packet's timeline, by place.
    pub timeline: ListState<usize>,
    /// What is open, by view.
    pub opened: [bool; 7],
    /// What is shown only, by view.
    pub filters: [Filter; 7],
    /// Lines that the text of an open flow, or of Probes, is scrolled by.
    pub scroll: usize,
    /// Whether an open packet shows its bytes in hex.
    pub hex: bool,
    /// Lines that the help is scrolled by, while it is shown.
    pub help: Option<usize>,
}

impl Default for ViewState {
    fn default() -> Self {
        Self {
            view: View::Storm,
            who: None,
            storm: StormPage::default(),
            verdict: None,
            flows: ListState::default(),
            flow_order: Order { by: FlowSort::HitRate, largest_first: true },
            upcalls: ListState::default(),
            upcall_order: Order { by: UpcallSort::Time, largest_first: true },
            packets: ListState::default(),
            packet_order: Order { by: PacketSort::Time, largest_first: true },
            handlers: ListState::default(),
            handler_order: Order { by: HandlerSort::Rate, largest_first: true },
            ports: ListState::default(),
            port_order: Order { by: PortSort::Rate, largest_first: true },
            timeline: ListState::default(),
            opened: [false; 7],
            filters: Default::default(),
            scroll: 0,
            hex: false,
            help: None,
        }
    }
}

impl ViewState {
    /// Whether something is open in the current view.
    pub fn is_open(&self) -> bool {
        self.opened[self.view.index()]
    }

    /// Whether all verdicts are what is looked at.
    pub fn shows_verdicts(&self) -> bool {
        self.view == View::Storm && self.is_open() && self.storm == StormPage::Verdicts
    }

    /// What the current view shows only.
    pub fn filter(&self) -> &Filter {
        self.filter_of(self.view)
    }

    /// What a view shows only.
    pub fn filter_of(&self, view: View) -> &Filter {
        &self.filters[view.index()]
    }

    /// Whether the current view is a list that can be filtered, with nothing open in it.
    pub fn is_list(&self) -> bool {
        !self.is_open() && !matches!(self.view, View::Storm | View::Probes)
    }

    /// Opens this in Storm, or closes it where it is open.
    pub fn turn_page(&mut self, page: StormPage) {
        let is_there = self.is_open() && self.storm == page;
        self.storm = page;
        self.set_open(!is_there);
    }

    /// Opens or closes in the current view, from the top.
    pub fn set_open(&mut self, open: bool) {
        self.opened[self.view.index()] = open;
        self.scroll = 0;
        self.timeline = ListState::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_turn_around_the_end() {
        assert_eq!(View::Probes.turned(1), View::Storm);
        assert_eq!(View::Storm.turned(-1), View::Probes);
    }

    #[test]
    fn the_selected_keeps_its_row_while_the_list_grows_above_it() {
        let state = ListState { selected: Some(7u64), row: 3 };
        assert_eq!(state.window(Some(10), 100, 20), Window { first: 7, selected: 10 });
        assert_eq!(state.window(Some(15), 105, 20), Window { first: 12, selected: 15 });
    }

    #[test]
    fn the_window_stays_within_the_list() {
        let state = ListState { selected: Some(7u64), row: 0 };
        assert_eq!(state.window(Some(9), 10, 4), Window { first: 6, selected: 9 });
        assert_eq!(state.window(Some(2), 3, 10), Window { first: 0, selected: 2 });
        assert_eq!(state.window(None, 3, 10), Window::default());
        assert_eq!(state.window(Some(2), 3, 0), Window { first: 3, selected: 2 });
    }

    #[test]
    fn moving_scrolls_only_at_the_edges() {
        let mut state = ListState { selected: Some(5u64), row: 3 };
        let window = state.window(Some(5), 100, 4);
        state.select(6, 6, window, 4);
        assert_eq!(state.window(Some(6), 100, 4), Window { first: 3, selected: 6 });
        state.select(4, 4, Window { first: 3, selected: 6 }, 4);
        assert_eq!(state.row, 1);
        state.select(0, 0, Window { first: 3, selected: 4 }, 4);
        assert_eq!(state.row, 0);
    }
}
