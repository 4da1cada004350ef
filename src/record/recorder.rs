//! The recorder: a thread of its own behind a bounded queue, so that recording never holds up what is recorded.

use std::{
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Header, Preamble,
    container::bare_end,
    files::{Files, Volumes},
    sink::{RecordError, Sink},
    writer::Summary,
};
use crate::event::{Body, Event, Loss, Nanos, Told};

/// Events and runs that may wait to be written; about 20 MB.
const QUEUE: usize = 128 << 10;
/// How often the thread wakes up when nothing comes.
const QUIET: Duration = Duration::from_secs(1);

/// The progress of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes in the file, or in all files of a row.
    pub bytes: u64,
    /// Files that were made.
    pub files: u64,
    /// Those of them that were deleted to make room for others.
    pub deleted: u64,
    /// Events taken, of which the last second's may still be in memory; after a failure only those that are in the file.
    pub events: u64,
    /// Events that were given to be recorded, and are not.
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
    told: Vec<Told>,
    /// Events lost before these, since the start.
    lost: u64,
}

#[derive(Debug, Default)]
struct Shared {
    /// Events and runs.
    waiting: AtomicUsize,
    /// Did not fit into the queue.
    refused: AtomicU64,
    /// Could not be written.
    unwritten: AtomicU64,
    bytes: AtomicU64,
    files: AtomicU64,
    deleted: AtomicU64,
    events: AtomicU64,
    failed: Mutex<Option<String>>,
}

impl Recorder {
    /// Begins a recording in a new file that only its owner may read. `preamble` is the state at this moment.
    pub fn create(path: &Path, header: &Header, preamble: &Preamble) -> Result<Self, RecordError> {
        Self::create_files(path, Files::default(), header, preamble).map(|(recorder, _)| recorder)
    }

    /// The same in a row of files, or over one that is there, as `files` says; with the path of the first file.
    pub fn create_files(
        path: &Path,
        files: Files,
        header: &Header,
        preamble: &Preamble,
    ) -> Result<(Self, PathBuf), RecordError> {
        let (volumes, first) = Volumes::create(path, files, header, preamble)?;
        Ok((Self::begin(&first.display().to_string(), QUIET, volumes)?, first))
    }

    /// Begins a recording in any sink; `name` names it in messages.
    pub fn to_sink(name: &str, sink: Box<dyn Sink>, header: &Header, preamble: &Preamble) -> Result<Self, RecordError> {
        let patience = sink.patience();
        let volumes = Volumes::to_sink(sink, header, preamble).map_err(|error| failure(name, &error))?;
        Self::begin(name, patience, volumes)
    }

    fn begin(name: &str, patience: Duration, volumes: Volumes) -> Result<Self, RecordError> {
        let shared = Arc::new(Shared::default());
        shared.show(&volumes);
        let (queue, given) = channel();
        let work = Work {
            name: name.to_owned(),
            shared: shared.clone(),
            patience,
            loss: Loss::default(),
            noted: 0,
            last_ts: 0,
            taken: 0,
            own: 0,
            own_places: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("ovscope-record".to_owned())
            .spawn(move || work.run(volumes, &given))
            .map_err(|error| RecordError::Write(format!("no thread to record with: {error}")))?;
        Ok(Self { queue: Some(queue), shared, thread: Some(thread) })
    }

    /// Gives events to be recorded. Never waits: what does not fit is counted, here and in the recording.
    pub fn push(&self, events: &[Event]) {
        let taken = &events[..events.len().min(self.room())];
        self.queue(taken.iter().cloned().map(Told::Event).collect(), events.len() - taken.len());
    }

    /// The same for events and runs that the caller needs no more.
    pub fn give(&self, mut told: Vec<Told>) {
        let rest = told.split_off(told.len().min(self.room()));
        self.queue(told, rest.iter().map(Told::count).sum());
    }

    fn room(&self) -> usize {
        QUEUE.saturating_sub(self.shared.waiting.load(Relaxed))
    }

    /// Queues what has room, and counts the events that had none.
    fn queue(&self, told: Vec<Told>, refused: usize) {
        let lost = self.shared.refused.load(Relaxed);
        self.shared.refused.fetch_add(refused as u64, Relaxed);
        if told.is_empty() {
            return;
        }
        self.shared.waiting.fetch_add(told.len(), Relaxed);
        if let Some(queue) = &self.queue
            && let Err(SendError(Given { told, .. })) = queue.send(Given { told, lost })
        {
            self.shared.unwritten.fetch_add(count(&told), Relaxed);
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            bytes: self.shared.bytes.load(Relaxed),
            files: self.shared.files.load(Relaxed),
            deleted: self.shared.deleted.load(Relaxed),
            events: self.shared.events.load(Relaxed),
            lost: self.shared.refused.load(Relaxed) + self.shared.unwritten.load(Relaxed),
            failed: self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Writes what waits, then the summary and the index, and waits until it is on the disk.
    pub fn finish(mut self) -> Result<Summary, RecordError> {
        self.seal()
    }

    /// The same; [`Recorder::progress`] can still be asked afterwards. A second call returns an empty summary.
    pub fn seal(&mut self) -> Result<Summary, RecordError> {
        self.queue = None;
        let Some(thread) = self.thread.take() else { return Ok(Summary::default()) };
        thread.join().unwrap_or_else(|_| Err(RecordError::Write("the recording thread ended by itself".to_owned())))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // A caller who wants to know whether it went well calls finish().
        let _ = self.seal();
    }
}

impl Shared {
    fn show(&self, volumes: &Volumes) {
        let (files, deleted) = volumes.files();
        self.bytes.store(volumes.sealed().bytes, Relaxed);
        self.files.store(files, Relaxed);
        self.deleted.store(deleted, Relaxed);
        self.events.store(volumes.events(), Relaxed);
    }
}

/// What the thread has, besides the writer.
struct Work {
    name: String,
    /// How long a chunk may be open before it is sealed.
    patience: Duration,
    shared: Arc<Shared>,
    /// The latest losses that the stream itself reported.
    loss: Loss,
    /// How many of the recorder's own losses are in the recording.
    noted: u64,
    last_ts: Nanos,
    /// Events taken from the queue.
    taken: u64,
    /// This thread's own events, those about losses: how many, and the places of those that are not sealed.
    own: u64,
    own_places: Vec<u64>,
}

impl Work {
    fn run(mut self, mut writer: Volumes, given: &Receiver<Given>) -> Result<Summary, RecordError> {
        // A panic in here is a failure to record; what was sealed before it stays.
        let worked = catch_unwind(AssertUnwindSafe(|| self.work(&mut writer, given)));
        let worked = worked.unwrap_or_else(|_| Err(io::Error::other("the recording thread failed")));
        match worked {
            Ok(summary) => self.done(writer, summary),
            Err(error) => Err(self.fail(writer, &error, given)),
        }
    }

    fn work(&mut self, writer: &mut Volumes, given: &Receiver<Given>) -> io::Result<Summary> {
        // When the open chunk has to be sealed.
        let mut due: Option<Instant> = None;
        loop {
            let wait = due.map_or(QUIET, |due| due.saturating_duration_since(Instant::now()));
            match given.recv_timeout(wait) {
                Ok(Given { mut told, lost }) => {
                    self.shared.waiting.fetch_sub(told.len(), Relaxed);
                    self.taken += count(&told);
                    writer.lost(lost);
                    self.tell_losses(&mut told, lost, writer.events());
                    let sealed = writer.sealed().events;
                    self.own_places.retain(|&place| place >= sealed);
                    writer.write(&told)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                writer.flush()?;
            }
            due = writer.has_unsealed().then(|| due.unwrap_or_else(|| Instant::now() + self.patience));
            self.shared.show(writer);
            if let Some(path) = writer.path() {
                self.name = path.display().to_string();
            }
        }
        let refused = self.shared.refused.load(Relaxed);
        writer.lost(refused);
        let mut rest = Vec::new();
        self.tell_losses(&mut rest, refused, writer.events());
        writer.write(&rest)?;
        writer.flush()?;
        writer.finish()
    }

    /// Says in the stream how many events the recorder has left out before these: in an event of its own when the number
    /// has grown, and in every event about losses.
    fn tell_losses(&mut self, told: &mut Vec<Told>, lost: u64, place: u64) {
        for told in &mut *told {
            self.last_ts = self.last_ts.max(told.ts());
            if let Told::Event(Event { body: Body::Loss(told), .. }) = told {
                self.loss = *told;
                told.not_recorded += lost;
            }
        }
        if lost > self.noted {
            self.noted = lost;
            let ts = told.first().map_or(self.last_ts, Told::ts);
            let all = Loss { not_recorded: self.loss.not_recorded + lost, ..self.loss };
            told.insert(0, Event::host(ts, Body::Loss(all)).into());
            self.own += 1;
            self.own_places.push(place);
        }
    }

    fn done(&self, writer: Volumes, summary: Summary) -> Result<Summary, RecordError> {
        self.shared.show(&writer);
        self.shared.bytes.store(summary.bytes, Relaxed);
        let (mut sink, _) = writer.into_sink();
        sink.sync().map(|()| summary).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> RecordError {
        let failure = failure(&self.name, error);
        *self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.to_string());
        failure
    }

    /// Keeps what is whole, says why there is no more, and counts what still comes.
    fn fail(&self, mut writer: Volumes, error: &io::Error, given: &Receiver<Given>) -> RecordError {
        // Where it was the next file that could not be made, this one can be sealed.
        let is_sealed = writer.can_be_sealed() && writer.finish().is_ok();
        // Of a file that was removed, nothing is left.
        let is_gone = error.kind() == io::ErrorKind::NotFound;
        let sealed = if is_gone { writer.before().clone() } else { writer.sealed() };
        // Those that were given: this thread's own do not count.
        let own_unsealed = self.own_places.iter().filter(|&&place| place >= sealed.events).count() as u64;
        let kept = (sealed.events + own_unsealed).saturating_sub(self.own);
        self.shared.unwritten.fetch_add(self.taken.saturating_sub(kept), Relaxed);
        self.shared.show(&writer);
        self.shared.bytes.store(sealed.bytes, Relaxed);
        self.shared.events.store(sealed.events, Relaxed);
        let (mut sink, bytes) = writer.into_sink();
        // Half a chunk is removed, which makes room for the end. Where that fails too, a reader finds the last chunk cut
        // off and reads those before it.
        if !is_sealed && sink.cut(bytes).is_ok() {
            let _ = sink.write_all(&bare_end()).and_then(|()| sink.sync());
        }
        drop(sink);
        let failed = self.failed(error);
        for Given { told, .. } in given {
            self.shared.waiting.fetch_sub(told.len(), Relaxed);
            self.shared.unwritten.fetch_add(count(&told), Relaxed);
        }
        failed
    }
}

/// How many events they are.
fn count(told: &[Told]) -> u64 {
    told.iter().map(|told| told.count() as u64).sum()
}

fn failure(name: &str, error: &io::Error) -> RecordError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => RecordError::Unread { name: name.to_owned() },
        _ => RecordError::Write(why(name, error)),
    }
}

/// Why writing to `name` failed, and what to do.
pub(super) fn why(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("{name}: the disk is full. What was recorded before is whole; make room, or record to another disk")
        }
        io::ErrorKind::NotFound => {
            format!("{name} was removed while it was recorded to, and what was in it with it: record to another name")
        }
        _ => format!("{name} cannot be written any more: {error}. What was recorded before is whole"),
    }
}
