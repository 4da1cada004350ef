//! The traces that are asked for and not answered yet.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{AskTrace, pace::Backoff};

/// So many wait at most: the samples of a verdict, and what somebody asks for beside them.
const ROOM: usize = 8;
/// One that failed is tried again after this, twice this, …
const AGAIN_FIRST: Duration = Duration::from_millis(500);
/// … up to this.
const AGAIN_MOST: Duration = Duration::from_secs(10);
/// So often it is tried: a daemon that never has the time for it is not kept from its work for ever.
const TRIES: u32 = 5;

/// One of them.
#[derive(Debug)]
pub struct Waiting {
    /// It.
    pub ask: AskTrace,
    /// When the daemon is to be asked (again).
    pub due: Instant,
    /// The failure that was told last, so that it is not told at each try.
    pub told: Option<String>,
    backoff: Backoff,
    tries: u32,
}

/// In the order in which they are asked: what somebody waits for before samples.
#[derive(Debug, Default)]
pub struct Traces(VecDeque<Waiting>);

impl Traces {
    /// Takes one more. Gives the one that has to go for it, where there is no room; one that waits already goes on waiting.
    pub fn add(&mut self, ask: AskTrace, now: Instant) -> Option<AskTrace> {
        if self.0.iter().any(|waiting| waiting.ask == ask) {
            return None;
        }
        let is_sample = ask.sample_of.is_some();
        let waiting = Waiting { ask, due: now, told: None, backoff: Backoff::new(AGAIN_FIRST, AGAIN_MOST), tries: 0 };
        let samples = self.0.iter().position(|other| other.ask.sample_of.is_some()).unwrap_or(self.0.len());
        self.0.insert(if is_sample { self.0.len() } else { samples }, waiting);
        // Of those alike the one that waits longest goes: its packets are the least like those of now.
        let sample = self.0.iter().position(|other| other.ask.sample_of.is_some());
        (self.0.len() > ROOM).then(|| self.0.remove(sample.unwrap_or(0)).map(|gone| gone.ask)).flatten()
    }

    /// When the next is due; none where none waits.
    pub fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|waiting| waiting.due).min()
    }

    /// The one that is due first, the first of equals.
    pub fn next(&mut self) -> Option<&mut Waiting> {
        self.0.iter_mut().min_by_key(|waiting| waiting.due)
    }

    /// It failed for a reason that may pass. Says whether it is tried again; if not, it waits no more.
    pub fn again(&mut self, ask: &AskTrace, now: Instant) -> bool {
        let Some(waiting) = self.0.iter_mut().find(|waiting| waiting.ask == *ask) else { return false };
        waiting.tries += 1;
        waiting.due = now + waiting.backoff.next_wait();
        let is_tried = waiting.tries < TRIES;
        if !is_tried {
            self.done(ask);
        }
        is_tried
    }

    /// It is answered.
    pub fn done(&mut self, ask: &AskTrace) {
        self.0.retain(|waiting| waiting.ask != *ask);
    }

    /// Those whose asker was not told this yet; from now on they were.
    pub fn untold(&mut self, why: &str) -> Vec<AskTrace> {
        let untold = self.0.iter_mut().filter(|waiting| waiting.told.as_deref() != Some(why));
        untold
            .map(|waiting| {
                waiting.told = Some(why.to_owned());
                waiting.ask.clone()
            })
            .collect()
    }

    /// All of them, which wait no more.
    pub fn take(&mut self) -> Vec<AskTrace> {
        self.0.drain(..).map(|waiting| waiting.ask).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{DpIfindex, Field},
        ovs_rpc::KeyText,
    };

    fn ask(port: u32, sample_of: Option<Field>) -> AskTrace {
        let key = KeyText::new(&format!("in_port({port})")).expect("a key");
        AskTrace { dp: DpIfindex(1), datapath: String::new(), key, ufid: None, packet: None, sample_of }
    }

    #[test]
    fn what_somebody_asks_for_goes_before_samples_and_room_is_bounded() {
        let (mut traces, now) = (Traces::default(), Instant::now());
        let sample = |port| ask(port, Some(Field::UdpSrc));
        for port in 0..7 {
            assert_eq!(traces.add(sample(port), now), None);
        }
        assert_eq!(traces.add(ask(50, None), now), None);
        assert_eq!(traces.add(ask(50, None), now), None, "it waits already");
        assert_eq!(traces.next().map(|waiting| waiting.ask.clone()), Some(ask(50, None)));
        assert_eq!(traces.add(ask(51, None), now), Some(sample(0)), "no room: the oldest sample goes");
        traces.done(&ask(50, None));
        assert!(traces.again(&ask(51, None), now));
        assert_eq!(traces.next().map(|waiting| waiting.ask.clone()), Some(sample(1)), "the other is due later");
        assert_eq!(traces.untold("down").len(), 7);
        assert!(traces.untold("down").is_empty(), "each is told once");
        let tries = (1..9).take_while(|_| traces.again(&ask(51, None), now)).count();
        assert_eq!(tries, 3, "five together");
        assert_eq!(traces.take().len(), 6);
        assert_eq!(traces.next_due(), None);
    }
}
