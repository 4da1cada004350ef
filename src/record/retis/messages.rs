//! Messages on the handlers' sockets, and which of them an event names. A message's identity in the files (`queue_id`) is a
//! hash of the packet's first bytes: packets that begin alike have the same. What could be of several messages is tied to
//! none.

use super::import::Recent;
use crate::event::{OpType, PacketId, UpcallId};

/// A message on a handler's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// When it was queued.
    pub ts: u64,
    /// The socket's port.
    pub port: u32,
    pub packet: Option<PacketId>,
    pub upcall: Option<UpcallId>,
}

/// A place in a handler's batch: what was received there is what is asked for there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub tid: u32,
    pub batch_ts: u64,
    pub batch_idx: u32,
}

/// How many events name a message that is not known, or not known from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Untied {
    pub receives: u64,
    pub puts: u64,
    pub execs: u64,
    pub actions: u64,
}

impl Untied {
    /// For people; none where all is tied.
    pub fn told(&self) -> Option<String> {
        let Self { receives, puts, execs, actions } = self;
        (*self != Self::default()).then(|| {
            format!(
                "{receives} receives, {puts} puts, {execs} executes and {actions} actions are of no upcall: the message \
                 that they name (queue_id) is not in the file, or several have that name"
            )
        })
    }
}

/// The last message of a name that was queued.
#[derive(Debug, Clone, Copy)]
struct Queued {
    message: Message,
    /// How many of this name no handler has received so far.
    waiting: u32,
    /// It was not the only one that waited.
    doubtful: bool,
    /// No other of this name is known.
    only: bool,
}

/// The message of a name that is given back; none where it could be several.
#[derive(Debug, Clone, Copy)]
struct GivenBack {
    message: Option<Message>,
    /// An action on it has been told.
    acted: bool,
}

/// All that are known.
#[derive(Default)]
pub struct Messages {
    queued: Recent<u32, Queued>,
    /// Their names and what they are; none where it could be several.
    received: Recent<Place, (u32, Option<Message>)>,
    given_back: Recent<u32, GivenBack>,
    pub untied: Untied,
}

impl Messages {
    /// A message was queued.
    pub fn queued(&mut self, queue_id: u32, message: Message) {
        let before = self.queued.0.get(&queue_id).map(|before| before.waiting);
        let waited = before.unwrap_or(0);
        let now = Queued { message, waiting: waited.saturating_add(1), doubtful: waited > 0, only: before.is_none() };
        self.queued.0.put(queue_id, now);
    }

    /// A handler received it, at a place of its batch.
    pub fn received(&mut self, queue_id: u32, place: Place) -> Option<Message> {
        let message = match self.queued.0.get_mut(&queue_id) {
            Some(queued) if queued.waiting > 0 => {
                queued.waiting -= 1;
                Some(queued.message).filter(|_| !queued.doubtful)
            }
            // It has been received before.
            _ => None,
        };
        self.received.0.put(place, (queue_id, message));
        self.untied.receives += u64::from(message.is_none());
        message
    }

    /// The handler asks for something because of it.
    pub fn asked(&mut self, queue_id: u32, place: Place, op: OpType) -> Option<Message> {
        let message = match self.received.0.get(&place) {
            Some((name, message)) => message.filter(|_| *name == queue_id),
            // Its receive is not in the file: by its name, where nothing else has that.
            None => self.only(queue_id),
        };
        let untied = u64::from(message.is_none());
        match op {
            OpType::Put => self.untied.puts += untied,
            OpType::Exec => {
                self.untied.execs += untied;
                let before = self.given_back.0.get(&queue_id);
                // The one before of this name may still be on its way.
                let is_clear = before.is_none_or(|before| before.acted || before.message == message);
                let message = message.filter(|_| is_clear);
                self.given_back.0.put(queue_id, GivenBack { message, acted: false });
            }
            OpType::Del => {}
        }
        message
    }

    /// An action on a packet that was given back.
    pub fn given_back(&mut self, queue_id: u32) -> Option<Message> {
        let message = match self.given_back.0.get_mut(&queue_id) {
            Some(given_back) => {
                given_back.acted = true;
                given_back.message
            }
            // That it was asked for is not in the file.
            None => self.only(queue_id),
        };
        self.untied.actions += u64::from(message.is_none());
        message
    }

    fn only(&mut self, queue_id: u32) -> Option<Message> {
        self.queued.0.get(&queue_id).filter(|queued| queued.only).map(|queued| queued.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: u32 = 77;

    fn message(n: u64) -> Message {
        Message { ts: n, port: 9, packet: Some(PacketId(n)), upcall: Some(UpcallId(n)) }
    }

    fn place(batch_idx: u32) -> Place {
        Place { tid: 5, batch_ts: 100, batch_idx }
    }

    #[test]
    fn a_name_that_comes_again_is_the_next_message() {
        let mut messages = Messages::default();
        for n in 1..4 {
            messages.queued(Q, message(n));
            assert_eq!(messages.received(Q, place(n as u32)), Some(message(n)));
        }
        // By their places, in whatever order.
        for n in [2, 3, 1] {
            assert_eq!(messages.asked(Q, place(n as u32), OpType::Put), Some(message(n)));
        }
        assert_eq!(messages.untied, Untied::default());
    }

    #[test]
    fn two_of_a_name_that_wait_together_are_not_told_apart() {
        let mut messages = Messages::default();
        messages.queued(Q, message(1));
        messages.queued(Q, message(2));
        for n in 0..2 {
            assert_eq!(messages.received(Q, place(n)), None);
            assert_eq!(messages.asked(Q, place(n), OpType::Put), None);
            assert_eq!(messages.asked(Q, place(n), OpType::Exec), None);
            assert_eq!(messages.given_back(Q), None);
        }
        assert_eq!(messages.untied, Untied { receives: 2, puts: 2, execs: 2, actions: 2 });
        assert!(messages.untied.told().is_some_and(|told| told.starts_with("2 receives, 2 puts, 2 executes")));
        // Both are received: the next is alone.
        messages.queued(Q, message(3));
        assert_eq!(messages.received(Q, place(3)), Some(message(3)));
    }

    #[test]
    fn another_message_at_the_place_is_not_the_one() {
        let mut messages = Messages::default();
        messages.queued(Q, message(1));
        messages.queued(Q + 1, message(2));
        assert_eq!(messages.received(Q, place(0)), Some(message(1)));
        assert_eq!(messages.asked(Q + 1, place(0), OpType::Put), None);
        assert_eq!(messages.asked(Q + 2, place(1), OpType::Put), None);
        assert_eq!(messages.untied.puts, 2);
        // Its receive is not in the file, and no other has its name.
        assert_eq!(messages.asked(Q + 1, place(1), OpType::Exec), Some(message(2)));
    }

    #[test]
    fn two_of_a_name_that_are_given_back_together_are_not_told_apart() {
        let mut messages = Messages::default();
        for n in 1..3 {
            messages.queued(Q, message(n));
            messages.received(Q, place(n as u32));
        }
        assert_eq!(messages.asked(Q, place(1), OpType::Exec), Some(message(1)));
        assert_eq!(messages.given_back(Q), Some(message(1)));
        assert_eq!(messages.given_back(Q), Some(message(1)), "its second action");
        assert_eq!(messages.asked(Q, place(2), OpType::Exec), Some(message(2)));
        assert_eq!(messages.given_back(Q), Some(message(2)));

        let mut together = Messages::default();
        for n in 1..3 {
            together.queued(Q, message(n));
            together.received(Q, place(n as u32));
            assert_eq!(together.asked(Q, place(n as u32), OpType::Exec), Some(message(n)), "by its place");
        }
        assert_eq!((together.given_back(Q), together.untied.actions), (None, 1));
    }
}
