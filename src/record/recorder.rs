//! The recorder: a thread of its own behind a bounded queue, so that recording never holds up what is recorded.

use std::{
    io::Write as _,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{
    Header, Preamble,
    sink::{RecordError, Sink, create_new},
    writer::{Summary, Writer, bare_end},
};
use crate::event::{Body, Event, Loss, Nanos};

/// Events that may wait to be written; about 20 MB.
const QUEUE: usize = 128 << 10;
/// An open chunk is sealed when nothing came for so long.
const QUIET: Duration = Duration::from_secs(1);

/// How a recording stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes in the file.
    pub bytes: u64,
    /// Events taken, of which the last second's may still be in memory; after a failure those that are in the file.
    pub events: u64,
    /// Events that were given and are not recorded.
    pub lost: u64,
    /// Why nothing is recorded any more, and what to do.
    pub failed: Option<String>,
}

/// Records events in a thread of its own. Dropped, it seals the recording, as [`Recorder::finish`] does.
#[derive(Debug)]
pub struct Recorder {
    queue: Option<Sender<Given>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Summary, RecordError>>>,
}

/// Events on their way to the thread.
#[derive(Debug)]
struct Given {
    events: Vec<Event>,
    /// Events lost before these, since the start.
    lost: u64,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    /// Did not fit into the queue.
    refused: AtomicU64,
    /// Could not be written.
    unwritten: AtomicU64,
    bytes: AtomicU64,
    events: AtomicU64,
    failed: Mutex<Option<String>>,
}

impl Recorder {
    /// Begins a recording in a new file that only its owner may read. `preamble` is the state at this moment.
    pub fn create(path: &Path, header: &Header, preamble: &Preamble) -> Result<Self, RecordError> {
        let file = create_new(path)?;
        let begun = Self::to_sink(&path.display().to_string(), Box::new(file), header, preamble);
        if begun.is_err() {
            // Made by this call and of no use: left there, it would only be in the way of the next try.
            let _ = std::fs::remove_file(path);
        }
        begun
    }

    /// Begins a recording in any sink; `name` names it in messages.
    pub fn to_sink(name: &str, sink: Box<dyn Sink>, header: &Header, preamble: &Preamble) -> Result<Self, RecordError> {
        let writer = Writer::new(sink, header, preamble).map_err(|error| RecordError::Write(why(name, &error)))?;
        let shared = Arc::new(Shared::default());
        shared.bytes.store(writer.sealed().bytes, Relaxed);
        let (queue, given) = channel();
        let work = Work {
            name: name.to_owned(),
            shared: shared.clone(),
            loss: Loss::default(),
            noted: 0,
            last_ts: 0,
            taken: 0,
            own: 0,
            own_places: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("ovscope-record".to_owned())
            .spawn(move || work.run(writer, &given))
            .map_err(|error| RecordError::Write(format!("no thread to record with: {error}")))?;
        Ok(Self { queue: Some(queue), shared, thread: Some(thread) })
    }

    /// Gives events to be recorded. Never waits: what does not fit is counted, here and in the recording.
    pub fn push(&self, events: &[Event]) {
        let room = QUEUE.saturating_sub(self.shared.waiting.load(Relaxed));
        self.queue(events.iter().take(room).cloned().collect(), events.len());
    }

    /// The same for events that nobody else needs.
    pub fn give(&self, mut events: Vec<Event>) {
        let given = events.len();
        events.truncate(QUEUE.saturating_sub(self.shared.waiting.load(Relaxed)));
        self.queue(events, given);
    }

    /// Queues what of `given` events has room.
    fn queue(&self, events: Vec<Event>, given: usize) {
        let taken = events.len();
        let lost = self.shared.refused.load(Relaxed);
        self.shared.refused.fetch_add((given - taken) as u64, Relaxed);
        if taken == 0 {
            return;
        }
        self.shared.waiting.fetch_add(taken, Relaxed);
        if self.queue.as_ref().is_none_or(|queue| queue.send(Given { events, lost }).is_err()) {
            self.shared.unwritten.fetch_add(taken as u64, Relaxed);
        }
    }

    /// How it stands.
    pub fn progress(&self) -> Progress {
        Progress {
            bytes: self.shared.bytes.load(Relaxed),
            events: self.shared.events.load(Relaxed),
            lost: self.shared.refused.load(Relaxed) + self.shared.unwritten.load(Relaxed),
            failed: self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Writes what waits, then the summary and the index, and waits until it is on the disk.
    pub fn finish(mut self) -> Result<Summary, RecordError> {
        self.end()
    }

    fn end(&mut self) -> Result<Summary, RecordError> {
        self.queue = None;
        let Some(thread) = self.thread.take() else { return Ok(Summary::default()) };
        thread.join().unwrap_or_else(|_| Err(RecordError::Write("the recording thread ended by itself".to_owned())))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Who wants to know whether it went well calls finish().
        let _ = self.end();
    }
}

/// What the thread has, besides the writer.
struct Work {
    name: String,
    shared: Arc<Shared>,
    /// The latest losses that the stream itself told.
    loss: Loss,
    /// How many of the recorder's own losses are in the recording.
    noted: u64,
    last_ts: Nanos,
    /// Events that came to be written.
    taken: u64,
    /// This thread's own events, those about losses: how many, and the places of those that are not sealed.
    own: u64,
    own_places: Vec<u64>,
}

impl Work {
    fn run(mut self, mut writer: Writer<Box<dyn Sink>>, given: &Receiver<Given>) -> Result<Summary, RecordError> {
        let result = loop {
            let step = match given.recv_timeout(QUIET) {
                Ok(Given { mut events, lost }) => {
                    self.shared.waiting.fetch_sub(events.len(), Relaxed);
                    self.taken += events.len() as u64;
                    self.tell_losses(&mut events, lost, writer.events());
                    let sealed = writer.sealed().events;
                    self.own_places.retain(|&place| place >= sealed);
                    writer.write(&events)
                }
                Err(RecvTimeoutError::Timeout) => writer.flush(),
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            };
            if let Err(error) = step {
                break Err(error);
            }
            self.shared.bytes.store(writer.sealed().bytes, Relaxed);
            self.shared.events.store(writer.events(), Relaxed);
        };
        let refused = self.shared.refused.load(Relaxed);
        writer.not_recorded(refused);
        let mut rest = Vec::new();
        self.tell_losses(&mut rest, refused, writer.events());
        let result = result.and_then(|()| writer.write(&rest)).and_then(|()| writer.flush());
        match result.and_then(|()| writer.finish()) {
            Ok(summary) => self.done(writer.into_sink(), summary),
            Err(error) => Err(self.fail(writer, &error, given)),
        }
    }

    /// Says in the stream how many events the recorder has left out before these: in an event of its own when that
    /// has grown, and in every one that tells losses.
    fn tell_losses(&mut self, events: &mut Vec<Event>, lost: u64, place: u64) {
        for event in &mut *events {
            self.last_ts = self.last_ts.max(event.ts);
            if let Body::Loss(told) = &mut event.body {
                self.loss = *told;
                told.not_recorded += lost;
            }
        }
        if lost > self.noted {
            self.noted = lost;
            let ts = events.first().map_or(self.last_ts, |first| first.ts);
            let told = Loss { not_recorded: self.loss.not_recorded + lost, ..self.loss };
            events.insert(0, Event::host(ts, Body::Loss(told)));
            self.own += 1;
            self.own_places.push(place);
        }
    }

    fn done(&self, mut sink: Box<dyn Sink>, summary: Summary) -> Result<Summary, RecordError> {
        self.shared.bytes.store(summary.bytes, Relaxed);
        self.shared.events.store(summary.events, Relaxed);
        sink.sync().map(|()| summary).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> RecordError {
        let message = why(&self.name, error);
        *self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
        RecordError::Write(message)
    }

    /// Keeps what is whole, says why there is no more, and counts what still comes.
    fn fail(&self, writer: Writer<Box<dyn Sink>>, error: &std::io::Error, given: &Receiver<Given>) -> RecordError {
        let sealed = writer.sealed().clone();
        // Of the events that came, and not of this thread's own.
        let own_unsealed = self.own_places.iter().filter(|&&place| place >= sealed.events).count() as u64;
        let kept = (sealed.events + own_unsealed).saturating_sub(self.own);
        self.shared.unwritten.fetch_add(self.taken.saturating_sub(kept), Relaxed);
        self.shared.events.store(sealed.events, Relaxed);
        self.shared.bytes.store(sealed.bytes, Relaxed);
        let mut sink = writer.into_sink();
        // The half of a chunk goes and makes room for the end. Where that fails too, a reader finds the last chunk cut
        // off and gives those before it.
        if sink.cut(sealed.bytes).is_ok() {
            let _ = sink.write_all(&bare_end()).and_then(|()| sink.sync());
        }
        drop(sink);
        let failed = self.failed(error);
        for Given { events, .. } in given {
            self.shared.waiting.fetch_sub(events.len(), Relaxed);
            self.shared.unwritten.fetch_add(events.len() as u64, Relaxed);
        }
        failed
    }
}

/// Why writing to `name` failed, and what to do.
fn why(name: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            format!("{name}: the disk is full. What was recorded before is whole; make room, or record to another disk")
        }
        std::io::ErrorKind::BrokenPipe => format!("{name}: who read the recording has gone"),
        _ => format!("{name} cannot be written any more: {error}. What was recorded before is whole"),
    }
}
