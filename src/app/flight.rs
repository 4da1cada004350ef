//! The flight recorder of a live session, as the screen uses it: to look back, to save, and to save by a trigger.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use clap::Args;
use tokio::sync::mpsc::WeakSender;

use super::{
    cli::parse_duration,
    filters::parse_bytes,
    marks::MarkKeeper,
    source::FromSource,
    tape::in_new_file,
    trigger::{TRIGGER_HELP, Trigger},
};
use crate::{
    event::{Body, Bookmark, Event, Nanos, Session, Told},
    model::{Limits, Model, Overview},
    probes::monotonic_now,
    record::{FLIGHT_MIN, Flight, Header, Kept, create_new},
    ui::Held,
};

/// The options of the flight recorder.
#[derive(Debug, Clone, Args)]
pub struct FlightArgs {
    /// Memory for the last minutes, to look back on and to save, with k, M or G; 0: keep nothing
    #[arg(long, value_name = "SIZE", default_value = "128M", value_parser = parse_memory)]
    pub buffer: usize,
    /// Save the last minutes when this becomes true: 'lost>0', 'upcalls>5000/s', 'whole.p99>20ms' (--help lists all)
    #[arg(long, value_name = "EXPR", long_help = TRIGGER_HELP)]
    pub trigger: Vec<Trigger>,
    /// How much of what follows to save as well
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub trigger_after: Duration,
    /// Save at most this many times
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub trigger_max: u32,
}

fn parse_memory(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text).ok_or_else(|| format!("'{text}' is no size: try 128M"))?;
    let bytes = usize::try_from(bytes).map_err(|_| format!("'{text}' is more than there can be"))?;
    if bytes != 0 && bytes < FLIGHT_MIN {
        return Err(format!("'{text}' holds nothing worth looking at: at least {}M, or 0 for none", FLIGHT_MIN >> 20));
    }
    Ok(bytes)
}

/// A flight recorder, as far as the screen controls it.
pub trait FlightControl {
    /// What it holds; none while it holds nothing.
    fn held(&self) -> Option<Held>;
    /// Everything that is kept now, and its overview.
    fn kept(&mut self) -> Result<(Kept, Overview), String>;
    /// Begins to save it. Returns what to show; how it went comes later, as a note.
    fn save(&mut self) -> Result<String, String>;
}

/// What the screen shares with the thread that all events pass.
#[derive(Debug)]
struct State {
    flight: Flight,
    overview: Overview,
    header: Header,
    /// What has been saved, or is being saved, and how it went.
    saves: Vec<JoinHandle<String>>,
}

/// A handle on the flight recorder: one feeds it, its clones look at it.
#[derive(Debug, Clone)]
pub struct FlightRecorder {
    state: Arc<Mutex<State>>,
    notes: WeakSender<FromSource<Told>>,
}

impl FlightRecorder {
    /// A flight recorder of so many bytes. What it has to say goes to `notes`.
    pub fn new(bytes: usize, notes: WeakSender<FromSource<Told>>) -> std::io::Result<Self> {
        let header = Header::default();
        let flight = Flight::new(bytes, &header)?;
        let state = State { flight, overview: Overview::default(), header, saves: Vec::new() };
        Ok(Self { state: Arc::new(Mutex::new(state)), notes })
    }

    /// Adds events.
    pub fn see(&self, told: &[Told]) -> std::io::Result<()> {
        let mut state = self.state();
        for event in told.iter().filter_map(Told::event) {
            state.overview.see(event);
            if let Body::Session(session) = &event.body {
                state.describe(session);
            }
        }
        state.flight.push(told)
    }

    /// Saves what is kept, in a thread of its own, and says how it went; `why` is the reason.
    fn save_because(&self, why: Option<String>) -> Result<String, String> {
        let (kept, host) = {
            let mut state = self.state();
            (state.flight.kept().map_err(|error| error.to_string())?, state.header.host.clone())
        };
        let Some((first, last)) = kept.span() else { return Err("nothing has happened yet".to_owned()) };
        let (file, made) = in_new_file(&host, "-kept", create_new).map_err(|error| error.to_string())?;
        let told = format!("saving {} s to {}", last.saturating_sub(first) / 1_000_000_000, file.display());
        let notes = self.notes.clone();
        let save = std::thread::spawn(move || {
            let because = why.map_or_else(String::new, |why| format!("{why}: "));
            let (note, last) = match kept.save_to(made, &file) {
                Ok(summary) => {
                    let note = format!("{because}saved {} events to {}", summary.events, file.display());
                    let last = format!("{note}: ovscope replay {}", file.display());
                    (note, last)
                }
                Err(error) => (format!("▲ {because}{error}"), format!("{because}{error}")),
            };
            // Where nobody listens any more, it is said at the end.
            if let Some(notes) = notes.upgrade() {
                let _ = notes.blocking_send(FromSource::Note(note));
            }
            last
        });
        self.state().saves.push(save);
        Ok(told)
    }

    /// Waits until everything that is being saved is on the disk. Returns what there is to say at the end.
    pub fn finish(&self) -> Vec<String> {
        let saves = std::mem::take(&mut self.state().saves);
        saves
            .into_iter()
            .map(|save| save.join().unwrap_or_else(|_| "what was being saved is not whole".to_owned()))
            .collect()
    }

    /// Saves because a trigger began to hold.
    pub fn save_for(&self, trigger: String) {
        let failed = self.save_because(Some(trigger)).err();
        // Called on the thread that takes the notes: waiting for room there would be for ever.
        if let (Some(why), Some(notes)) = (failed, self.notes.upgrade()) {
            let _ = notes.try_send(FromSource::Note(format!("▲ {why}")));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn describe(&mut self, session: &Session) {
        self.header = Header::from(session);
        self.flight.describe(&self.header);
    }
}

impl FlightControl for FlightRecorder {
    fn held(&self) -> Option<Held> {
        let state = self.state();
        let (first, last) = state.flight.span()?;
        Some(Held { seconds: last.saturating_sub(first) / 1_000_000_000, bytes: state.flight.bytes() as u64 })
    }

    fn kept(&mut self) -> Result<(Kept, Overview), String> {
        let mut state = self.state();
        let kept = state.flight.kept().map_err(|error| error.to_string())?;
        let from = kept.span().map_or(0, |(first, _)| first);
        Ok((kept, state.overview.since(from)))
    }

    fn save(&mut self) -> Result<String, String> {
        self.save_because(None)
    }
}

/// Marks of a live session: events like any others.
pub struct LiveMarks(pub WeakSender<FromSource<Told>>);

impl MarkKeeper for LiveMarks {
    fn keep(&mut self, mark: &Bookmark) -> Result<String, String> {
        let event = Event::host(monotonic_now(), Body::Mark(mark.clone()));
        let sender = self.0.upgrade().ok_or("the session is over")?;
        let sent = sender.try_send(FromSource::Events(vec![Told::Event(event)]));
        sent.map(|()| "marked".to_owned()).map_err(|_| "too busy for a mark: try again".to_owned())
    }
}

/// Watches for the triggers, at which the flight recorder is saved.
pub struct Watch {
    triggers: Vec<(Trigger, bool)>,
    after: Nanos,
    left: u32,
    /// Only its figures are used.
    model: Model,
    /// The trigger that began to hold, and when to save.
    due: Option<(String, Nanos)>,
}

impl Watch {
    /// As the command line asks for.
    pub fn new(args: &FlightArgs) -> Self {
        let small = Limits { packets: 64, upcalls: 64, flows: 64, ..Limits::default() };
        Self {
            triggers: args.trigger.iter().map(|trigger| (trigger.clone(), false)).collect(),
            after: Nanos::try_from(args.trigger_after.as_nanos()).unwrap_or(Nanos::MAX),
            left: args.trigger_max,
            model: Model::new(small),
            due: None,
        }
    }

    /// Looks at events. Returns the trigger to save for now, once for each time that one begins to hold.
    pub fn see(&mut self, events: &[Event]) -> Option<String> {
        if self.triggers.is_empty() {
            return None;
        }
        for event in events {
            self.model.apply(event);
            if !matches!(event.body, Body::Counters(_)) {
                continue;
            }
            for (trigger, held) in &mut self.triggers {
                let holds = trigger.holds(&self.model);
                if holds && !*held && self.due.is_none() && self.left > 0 {
                    self.left -= 1;
                    self.due = Some((trigger.to_string(), event.ts.saturating_add(self.after)));
                }
                *held = holds;
            }
        }
        self.due.take_if(|(_, at)| *at <= self.model.now()).map(|(why, _)| why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Counters, DpIfindex, PortNo, UpcallCmd, UpcallCounter};

    const SECOND: Nanos = 1_000_000_000;

    fn watch(triggers: &[&str], after: u64, max: u32) -> Watch {
        let trigger = triggers.iter().map(|text| text.parse().expect(text)).collect();
        Watch::new(&FlightArgs { buffer: 0, trigger, trigger_after: Duration::from_secs(after), trigger_max: max })
    }

    /// Readings of a host that makes so many upcalls in each second, from second 100 on.
    fn readings(rates: &[u64]) -> Vec<Event> {
        let sums = rates.iter().scan(0, |sum, rate| {
            *sum += rate;
            Some(*sum)
        });
        let counter = |count| UpcallCounter {
            dp: DpIfindex(6),
            in_port: PortNo(1),
            cmd: UpcallCmd::Miss,
            port: 7,
            cpu: Some(0),
            ret: 0,
            count,
        };
        let reading = |(second, count): (u64, u64)| {
            let counters = Counters { upcalls: vec![counter(count)], ..Counters::default() };
            Event::host(second * SECOND, Body::Counters(Box::new(counters)))
        };
        (100..).zip(std::iter::once(0).chain(sums)).map(reading).collect()
    }

    /// What is saved for, and in which second.
    fn saves(mut watch: Watch, events: &[Event]) -> Vec<(u64, String)> {
        let see = |event: &Event| Some((event.ts / SECOND, watch.see(std::slice::from_ref(event))?));
        events.iter().filter_map(see).collect()
    }

    #[test]
    fn a_trigger_saves_once_each_time_it_begins_to_hold() {
        let rates = [[0; 5], [9000; 5], [0; 5], [9000; 5], [0; 5]].concat();
        let found = saves(watch(&["upcalls>5000/s"], 0, 9), &readings(&rates));
        let [(first, one), (second, other)] = &found[..] else { panic!("{found:?}") };
        assert!((106..=107).contains(first) && (116..=117).contains(second), "{found:?}");
        assert_eq!((one.as_str(), other.as_str()), ("upcalls>5000/s", "upcalls>5000/s"));
    }

    #[test]
    fn it_saves_so_much_later_and_so_often_at_most() {
        let rates = [[0; 5], [9000; 5], [0; 5]].concat().repeat(6);
        let at_once = saves(watch(&["upcalls>5000/s"], 0, 3), &readings(&rates));
        assert_eq!(at_once.len(), 3, "{at_once:?}");
        let later = saves(watch(&["upcalls>5000/s"], 4, 3), &readings(&rates));
        let seconds = |saves: &[(u64, String)], more| saves.iter().map(|(second, _)| second + more).collect::<Vec<_>>();
        assert_eq!(seconds(&later, 0), seconds(&at_once, 4));
        assert!(saves(watch(&["upcalls>5000/s"], 0, 0), &readings(&rates)).is_empty());
    }

    #[test]
    fn what_is_to_follow_for_longer_than_time_is_waited_for() {
        let args = FlightArgs {
            buffer: 0,
            trigger: vec!["upcalls>5000/s".parse().expect("good")],
            // One nanosecond more than 64 bits hold.
            trigger_after: Duration::from_nanos(u64::MAX) + Duration::from_nanos(1),
            trigger_max: 3,
        };
        let rates = [[0; 5], [9000; 5], [0; 5]].concat();
        assert!(saves(Watch::new(&args), &readings(&rates)).is_empty());
    }

    #[test]
    fn several_triggers_that_begin_to_hold_together_are_one_save() {
        let rates = [[0; 5], [9000; 5]].concat();
        let all = ["verdict=storm", "upcalls>5000/s", "lost>0"];
        let found = saves(watch(&all, 2, 9), &readings(&rates));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(saves(watch(&["lost>0"], 0, 9), &readings(&rates)).is_empty());
        assert!(saves(watch(&[], 0, 9), &readings(&rates)).is_empty());
    }
}
