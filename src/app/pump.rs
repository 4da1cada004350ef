//! Passes all events of a live session on to the screen, by way of the recorder behind `R` and the flight recorder, which do
//! not wait for a terminal.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{Receiver, Sender, error::TrySendError};

use super::{
    flight::{FlightRecorder, Watch},
    source::FromSource,
    tape::Tape,
};
use crate::event::{Event, Told};

/// How long to wait for the screen to take events; meanwhile the probes' queue holds some seconds of a storm.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to look whether it does.
const LOOK: Duration = Duration::from_millis(10);

/// Passes events on, in a thread of its own, until there are no more.
///
/// A screen that takes nothing for long, because its terminal stands still, is left behind: recording goes on without it, and
/// when it moves again it begins anew with the state at that time.
pub fn spawn(
    events: Receiver<FromSource<Told>>,
    screen: Sender<FromSource>,
    tape: Arc<Mutex<Tape>>,
    flight: Option<FlightRecorder>,
    watch: Watch,
) -> std::io::Result<JoinHandle<()>> {
    let pump = Pump { screen: Some(screen), left_behind: None, tape, flight, watch };
    std::thread::Builder::new().name("ovscope-pump".to_owned()).spawn(move || pump.run(events))
}

struct Pump {
    /// None when it is gone.
    screen: Option<Sender<FromSource>>,
    /// Since when the screen has been getting nothing.
    left_behind: Option<Instant>,
    tape: Arc<Mutex<Tape>>,
    flight: Option<FlightRecorder>,
    watch: Watch,
}

impl Pump {
    fn run(mut self, mut events: Receiver<FromSource<Told>>) {
        while let Some(from) = events.blocking_recv() {
            let from = match from {
                FromSource::Events(told) => FromSource::Events(self.keep(told)),
                FromSource::Restart => FromSource::Restart,
                FromSource::Overview(overview) => FromSource::Overview(overview),
                FromSource::Note(note) => FromSource::Note(note),
                FromSource::Ended(how) => FromSource::Ended(how),
            };
            self.pass_on(from);
        }
    }

    /// Records the events, and passes them on.
    fn keep(&mut self, told: Vec<Told>) -> Vec<Event> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner).see(&told);
        if let Some(flight) = &self.flight
            && flight.see(&told).is_err()
        {
            // Memory is never full; what cannot be encoded is not kept, and the screen says that nothing is.
            self.flight = None;
        }
        let events = Told::expanded(told);
        let due = self.watch.see(&events);
        if let (Some(why), Some(flight)) = (due, &self.flight) {
            flight.save_for(why);
        }
        events
    }

    fn pass_on(&mut self, from: FromSource) {
        let Some(screen) = &self.screen else { return };
        if let Some(since) = self.left_behind {
            // Room for everything that it needs to begin anew, or for none of it.
            let Ok(room) = screen.try_reserve_many(3) else { return };
            let state = self.tape.lock().unwrap_or_else(PoisonError::into_inner).state();
            let seconds = since.elapsed().as_secs();
            let note = format!("the terminal stood still for {seconds} s: the screen began anew, recording went on");
            let anew = [FromSource::Restart, FromSource::Events(state), FromSource::Note(note)];
            room.zip(anew).for_each(|(place, from)| place.send(from));
            self.left_behind = None;
            return;
        }
        let mut from = from;
        let began = Instant::now();
        loop {
            match screen.try_send(from) {
                Ok(()) => return,
                Err(TrySendError::Closed(_)) => {
                    self.screen = None;
                    return;
                }
                Err(TrySendError::Full(_)) if began.elapsed() > PATIENCE => {
                    self.left_behind = Some(began);
                    return;
                }
                Err(TrySendError::Full(back)) => from = back,
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;

    use super::*;
    use crate::{
        app::{cli::Cli, flight::FlightControl as _},
        event::{Body, Loss},
    };

    fn event(n: u64) -> FromSource<Told> {
        FromSource::Events(vec![Told::Event(Event::host(n, Body::Loss(Loss { ring_full: n, ..Loss::default() })))])
    }

    fn watch() -> Watch {
        use clap::Parser as _;
        Watch::new(&Cli::parse_from(["ovscope"]).live.flight)
    }

    #[test]
    fn a_screen_that_stands_still_is_left_behind_and_begins_anew() {
        let (probes, events) = channel(1);
        let (out, mut screen) = channel(4);
        let flight = FlightRecorder::new(8 << 20, probes.downgrade()).expect("memory");
        let pump = spawn(events, out, Arc::default(), Some(flight.clone()), watch()).expect("a thread");
        // Four have room; with the fifth the patience ends, and the sixth is not even tried.
        for n in 1..=6 {
            probes.blocking_send(event(n)).expect("it takes all");
        }
        while flight.held().is_none() {
            std::thread::yield_now();
        }
        for n in 1..=4 {
            let Some(FromSource::Events(events)) = screen.blocking_recv() else { panic!("event {n}") };
            assert_eq!(events[0].ts, n);
        }
        // The fifth may still have come through, if this was quicker than the patience.
        probes.blocking_send(event(7)).expect("it takes all");
        drop(probes);
        let mut rest = Vec::new();
        while let Some(from) = screen.blocking_recv() {
            rest.push(from);
        }
        pump.join().expect("it ends");
        let latest = rest.iter().rev().find_map(|from| match from {
            FromSource::Events(events) => events.last().map(|event| event.ts),
            _ => None,
        });
        assert_eq!(latest, Some(7), "{rest:?}");
    }
}
