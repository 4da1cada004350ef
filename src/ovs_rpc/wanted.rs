//! The flow that was asked for last, how far its two questions are, and what was answered before.

use std::{num::NonZeroUsize, time::Duration};

use lru::LruCache;
use tokio::time::Instant;

use crate::event::{DpIfindex, FlowPtr, Query, Ufid};

use super::{Ask, pace::Backoff};

/// What is asked about each flow, in this order.
pub const QUERIES: [Query; 2] = [Query::GetFlow, Query::Detrace];

/// A question is asked again after this, twice this, …
const ASK_AGAIN_FIRST: Duration = Duration::from_millis(500);
/// … up to this. The daemon's revalidators come by every half second to some seconds (`other_config:max-idle`).
const ASK_AGAIN_MOST: Duration = Duration::from_secs(10);

/// The flow asked for last.
#[derive(Debug)]
pub struct Wanted {
    /// It.
    pub ask: Ask,
    /// Whether get-flow was tried in its other form.
    pub fell_back: bool,
    questions: [Question; 2],
}

/// One question about it.
#[derive(Debug)]
pub struct Question {
    /// When the daemon is to be asked (again); none when that is done.
    pub due: Option<Instant>,
    /// The failure that was told last, so that it is not told at each try.
    pub told: Option<String>,
    backoff: Backoff,
}

impl Question {
    fn new(now: Instant) -> Self {
        Self { due: Some(now), told: None, backoff: Backoff::new(ASK_AGAIN_FIRST, ASK_AGAIN_MOST) }
    }

    /// To be asked again, later each time.
    pub fn ask_again(&mut self, now: Instant) {
        self.due = Some(now + self.backoff.next_wait());
    }
}

impl Wanted {
    /// A flow about which everything is to be asked now.
    pub fn new(ask: Ask, now: Instant) -> Self {
        Self { ask, fell_back: false, questions: [Question::new(now), Question::new(now)] }
    }

    /// How far a question is.
    pub fn question(&mut self, query: Query) -> &mut Question {
        &mut self.questions[query as usize]
    }

    /// The question to ask next, and when.
    pub fn next_due(&self) -> Option<(Instant, Query)> {
        let due = |query: Query| self.questions[query as usize].due.map(|due| (due, query));
        QUERIES.into_iter().filter_map(due).min_by_key(|(due, _)| *due)
    }
}

/// Answers are of one generation of a flow of a datapath.
type Key = (DpIfindex, Ufid, Option<FlowPtr>, Query);

/// An answer, and how long it holds.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The text, or why there is none.
    pub answer: Result<String, String>,
    /// Nanoseconds it took.
    pub took_ns: u64,
    /// Until then nothing is asked.
    pub until: Instant,
    /// Whether the daemon is to be asked again then, by itself: it could not say yet.
    pub again: bool,
}

/// The last answers.
#[derive(Debug)]
pub struct Answers(LruCache<Key, Kept>);

impl Answers {
    /// Room for so many.
    pub fn new(room: NonZeroUsize) -> Self {
        Self(LruCache::new(room))
    }

    /// The answer for this generation of the flow, when it still holds.
    pub fn get(&mut self, ask: &Ask, query: Query, now: Instant) -> Option<Kept> {
        self.0.get(&(ask.dp, ask.ufid, ask.sf_acts, query)).filter(|kept| kept.until > now).cloned()
    }

    /// Keeps an answer.
    pub fn put(&mut self, ask: &Ask, query: Query, kept: Kept) {
        self.0.put((ask.dp, ask.ufid, ask.sf_acts, query), kept);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(ufid: u32, sf_acts: u64) -> Ask {
        Ask { ufid: Ufid([ufid; 4]), dp: DpIfindex(1), datapath: String::new(), sf_acts: Some(FlowPtr(sf_acts)) }
    }

    #[test]
    fn an_answer_is_of_one_generation_and_holds_so_long() {
        let now = Instant::now();
        let until = now + Duration::from_secs(1);
        let mut answers = Answers::new(NonZeroUsize::MIN);
        answers.put(&ask(1, 1), Query::GetFlow, Kept { answer: Ok("a".to_owned()), took_ns: 1, until, again: false });
        assert!(answers.get(&ask(1, 1), Query::GetFlow, now).is_some());
        assert!(answers.get(&ask(1, 1), Query::GetFlow, until).is_none());
        assert!(answers.get(&ask(1, 2), Query::GetFlow, now).is_none());
        assert!(answers.get(&ask(1, 1), Query::Detrace, now).is_none());
        assert!(
            answers.get(&Ask { dp: DpIfindex(2), ..ask(1, 1) }, Query::GetFlow, now).is_none(),
            "another datapath's"
        );
        answers.put(&ask(2, 1), Query::GetFlow, Kept { answer: Ok("b".to_owned()), took_ns: 1, until, again: false });
        assert!(answers.get(&ask(1, 1), Query::GetFlow, now).is_none(), "there is room for one");
    }

    #[test]
    fn the_flow_itself_is_asked_for_before_its_rules() {
        let now = Instant::now();
        let mut wanted = Wanted::new(ask(1, 1), now);
        assert_eq!(wanted.next_due(), Some((now, Query::GetFlow)));
        wanted.question(Query::GetFlow).due = None;
        assert_eq!(wanted.next_due(), Some((now, Query::Detrace)));
        wanted.question(Query::Detrace).ask_again(now);
        assert_eq!(wanted.next_due(), Some((now + ASK_AGAIN_FIRST, Query::Detrace)));
        wanted.question(Query::Detrace).due = None;
        assert_eq!(wanted.next_due(), None);
    }
}
