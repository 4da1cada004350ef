//! Keys that have to do with time: holding the screen, looking back, controlling a replay, marks.

use tokio::sync::mpsc::error::TrySendError;

use super::{Effect, State};
use crate::{
    app::{
        actions::Action,
        moment,
        past::{Departure, LookBack},
        playback::{PlaybackCommand, Until},
        source::FromSource,
    },
    event::{Bookmark, Nanos},
    model::{Anomaly, Overview},
    record::Kept,
    ui::Pace,
};

/// The slowest and the fastest that keys make a replay go, as factors; beyond the fastest it goes as fast as it can.
const SLOWEST: f64 = 1.0 / 16.0;
const FASTEST: f64 = 64.0;

impl State {
    /// Whether the screen looks back on a live session.
    pub fn is_past(&self) -> bool {
        self.past.is_some()
    }

    /// The replay to begin after [`Effect::LookBack`].
    pub fn departure(&mut self) -> Option<Departure> {
        self.departure.take()
    }

    /// Takes what the replay that looks back sends.
    pub fn take_past(&mut self, from: FromSource) {
        if let Some(past) = &mut self.past {
            past.take(from);
        }
    }

    pub(super) fn pause(&mut self) {
        if let Some(past) = &self.past {
            let moves = !past.moves;
            if self.play(PlaybackCommand::Pause(!moves)) {
                self.set_moves(moves);
            }
        } else if self.playback.is_some() {
            let hold = self.status.pace == Pace::Running;
            if self.play(PlaybackCommand::Pause(hold)) {
                self.set_moves(!hold);
            }
        } else if self.held.take().is_none() {
            self.held = Some(Box::new(self.model.clone()));
        }
    }

    fn set_moves(&mut self, moves: bool) {
        match &mut self.past {
            Some(past) => past.moves = moves,
            None => self.status.pace = if moves { Pace::Running } else { Pace::Stopped },
        }
    }

    /// Sends a command to the replay. Returns whether it could be sent.
    fn play(&mut self, command: PlaybackCommand) -> bool {
        let playback = self.past.as_ref().map(|past| &past.playback).or(self.playback.as_ref());
        match playback.map(|playback| playback.try_send(command)) {
            Some(Ok(())) => return true,
            Some(Err(TrySendError::Full(_))) => {
                self.status.note = Some("the replay is still busy with what it was asked before".to_owned());
            }
            Some(Err(TrySendError::Closed(_))) | None => {
                self.status.note = Some("the replay is over: open the recording again to go back".to_owned());
            }
        }
        false
    }

    /// Goes by so many nanoseconds. In a live session the first step back goes into what is kept, and one past its end to now.
    pub(super) fn step(&mut self, ns: i64) -> Effect {
        if let Some(past) = &self.past {
            if ns > 0 && past.model.now().saturating_add_signed(ns) >= past.until {
                self.past = None;
                self.status.note = Some("back to now".to_owned());
                return Effect::Draw;
            }
            // Before what is kept there is nothing.
            let ts = past.model.now().saturating_add_signed(ns).max(past.since);
            self.play(PlaybackCommand::Seek { ts });
            return Effect::Draw;
        }
        if self.playback.is_none() {
            return self.look_back(self.shown().now().saturating_add_signed(ns));
        }
        self.play(PlaybackCommand::Step { ns });
        Effect::Draw
    }

    fn look_back(&mut self, at: Nanos) -> Effect {
        let Some(flight) = &mut self.flight else { return Effect::Nothing };
        let begun = flight.kept().and_then(|(kept, overview)| begin(&kept, overview, at));
        match begun {
            Ok((past, departure)) => {
                (self.past, self.departure) = (Some(Box::new(past)), Some(departure));
                self.held = None;
                Effect::LookBack
            }
            Err(why) => {
                self.status.note = Some(format!("▲ {why}"));
                Effect::Draw
            }
        }
    }

    pub(super) fn go_to(&mut self, text: &str) -> Effect {
        let span = match (&self.past, &self.status.overview) {
            (Some(past), _) => past.overview.span(),
            (None, overview) => overview.as_ref().and_then(Overview::span),
        };
        let model = self.shown();
        let span = span.unwrap_or((model.started().unwrap_or(0), model.now()));
        let to = match moment::parse(text, model.now(), span, model.clock()) {
            Ok(to) => to.clamp(span.0, span.1),
            Err(why) => {
                self.status.note = Some(format!("▲ {why}"));
                return Effect::Draw;
            }
        };
        if self.past.is_none() && self.playback.is_none() {
            return self.look_back(to);
        }
        self.play(PlaybackCommand::Seek { ts: to });
        Effect::Draw
    }

    pub(super) fn stop_at_next(&mut self, until: Until) {
        if self.play(PlaybackCommand::Next(until)) {
            self.set_moves(false);
        }
    }

    /// To the next or the last trouble or mark.
    pub(super) fn seek(&mut self, action: Action) {
        let past = self.past.as_ref().map(|past| &past.overview);
        let Some(overview) = past.or(self.status.overview.as_ref()) else {
            self.status.note = Some("the recording is still being read".to_owned());
            return;
        };
        let now = self.shown().now();
        let told = |mark: &Bookmark| {
            let note = if mark.note.is_empty() { "(no note)" } else { &mark.note };
            (mark.at, format!("▼ {note}"))
        };
        let what = |trouble: Anomaly| (trouble.ts, trouble.to_string());
        let more = overview.is_partial();
        let (found, nothing) = match action {
            Action::NextTrouble => (overview.next_trouble(now).map(what), "no trouble after this"),
            Action::PreviousTrouble => (overview.previous_trouble(now).map(what), "no trouble before this"),
            Action::NextMark => {
                (overview.marks().iter().find(|mark| mark.at > now).map(told), "no mark after this: m makes one")
            }
            _ => {
                let before = overview.marks().iter().rev().find(|mark| mark.at < now);
                (before.map(told), "no mark before this: m makes one")
            }
        };
        let Some((ts, words)) = found else {
            let so_far = if more { "; so far: the recording is still being read" } else { "" };
            self.status.note = Some(format!("{nothing}{so_far}"));
            return;
        };
        if self.play(PlaybackCommand::Seek { ts }) {
            self.status.note = Some(words);
        }
    }

    /// Twice as fast, or half as fast.
    pub(super) fn speed(&mut self, by: i32) {
        let speed = self.past.as_ref().map_or(self.status.speed, |past| past.speed);
        let speed = match by {
            1 if speed >= FASTEST => f64::INFINITY,
            1 => speed * 2.0,
            _ if speed.is_infinite() => FASTEST,
            // It may have been told to begin even slower.
            _ => (speed / 2.0).max(SLOWEST.min(speed)),
        };
        if self.play(PlaybackCommand::Speed(speed)) {
            match &mut self.past {
                Some(past) => past.speed = speed,
                None => self.status.speed = speed,
            }
        }
    }

    pub(super) fn save(&mut self) {
        self.status.note = Some(match &mut self.flight {
            Some(flight) => flight.save().unwrap_or_else(|why| format!("▲ {why}")),
            None => "▲ nothing is kept: --buffer 0".to_owned(),
        });
    }

    pub(super) fn mark(&mut self, mark: Bookmark) {
        let Some(keeper) = &mut self.marks else { return };
        let kept = keeper.keep(&mark);
        if kept.is_ok() {
            if let Some(overview) = self.past.as_mut().map(|past| &mut past.overview) {
                overview.mark(mark.clone());
            }
            if let Some(overview) = &mut self.status.overview {
                overview.mark(mark.clone());
            }
            self.marked.push(mark);
        }
        self.status.note = Some(kept.unwrap_or_else(|why| format!("▲ {why}")));
    }
}

fn begin(kept: &Kept, overview: Overview, at: Nanos) -> Result<(LookBack, Departure), String> {
    LookBack::new(kept, overview, at).map_err(|error| error.to_string())
}
