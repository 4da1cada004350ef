//! The recorder behind the screen's `R`: begins and ends recordings of what passes.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, channel},
    },
    time::Instant,
};

use super::screen::{RecordControl, RecordState};
use crate::{
    event::{Body, Event, Told},
    model::grouped,
    record::{Header, Preamble, RecordError, Recorder},
};

/// Sees all events, and records them while it is asked to.
#[derive(Default)]
pub struct Tape {
    preamble: Preamble,
    header: Header,
    running: Option<Running>,
    /// The last one, being sealed: its thread tells what went wrong, or hangs up.
    sealing: Option<Receiver<String>>,
    failed: Option<String>,
}

struct Running {
    recorder: Recorder,
    file: String,
    began: Instant,
}

impl Tape {
    /// Sees what was told.
    pub fn see(&mut self, told: &[Told]) {
        for event in told.iter().filter_map(Told::event) {
            self.preamble.see(event);
            if let Body::Session(session) = &event.body {
                self.header = Header::from(&**session);
            }
        }
        if let Some(running) = &self.running {
            running.recorder.give(told.to_vec());
        }
    }

    /// What has to be known to begin here: the latest of each kind of state.
    pub fn state(&self) -> Vec<Event> {
        self.preamble.events()
    }

    /// Ends a recording and waits until it is sealed: what there is to tell the user who left the screen.
    pub fn finish(&mut self) -> Option<Result<String, String>> {
        if let Some(running) = self.running.take() {
            let file = running.file;
            return Some(match running.recorder.finish() {
                Ok(summary) => {
                    Ok(format!("recorded {} events to {file}: ovscope replay {file}", grouped(summary.events)))
                }
                Err(error) => Err(error.to_string()),
            });
        }
        self.sealing.take().and_then(|failure| failure.recv().ok()).or(self.failed.take()).map(Err)
    }

    fn begin(&mut self) -> Result<String, String> {
        let create = |file: &Path| Recorder::create(file, &self.header, &self.preamble);
        let (file, recorder) = in_new_file(&self.header.host, "", create).map_err(|e| e.to_string())?;
        let file = file.display().to_string();
        let told = format!("recording to {file}");
        self.running = Some(Running { recorder, file, began: Instant::now() });
        self.failed = None;
        Ok(told)
    }

    /// Ends a recording without waiting for the disk.
    fn end(&mut self, running: Running) -> String {
        let Running { recorder, file, .. } = running;
        let progress = recorder.progress();
        let (failure, sealing) = channel();
        self.sealing = Some(sealing);
        std::thread::spawn(move || {
            if let Err(error) = recorder.finish() {
                let _ = failure.send(error.to_string());
            }
        });
        format!("recorded {} events to {file}", grouped(progress.events))
    }
}

/// Makes a file in the current folder, by a name such that a folder of them is in order; `what` is at its end. What began
/// within the same second has a number besides.
pub fn in_new_file<T>(
    host: &str,
    what: &str,
    mut create: impl FnMut(&Path) -> Result<T, RecordError>,
) -> Result<(PathBuf, T), RecordError> {
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let name = format!("ovscope-{host}-{}", chrono::Local::now().format("%Y%m%d-%H%M%S"));
    let mut file = PathBuf::from(format!("{name}{what}.mcap"));
    for number in 2..=99 {
        match create(&file) {
            Err(RecordError::Exists { .. }) => file = PathBuf::from(format!("{name}-{number}{what}.mcap")),
            made => return made.map(|made| (file, made)),
        }
    }
    create(&file).map(|made| (file, made))
}

/// A tape that the screen steers while events pass it.
pub struct Shared(pub Arc<Mutex<Tape>>);

impl Shared {
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordControl for Shared {
    fn state(&self) -> RecordState {
        let mut tape = self.tape();
        if let Some(Ok(failed)) = tape.sealing.as_ref().map(Receiver::try_recv) {
            tape.failed = Some(failed);
        }
        if let Some(failed) = &tape.failed {
            return RecordState::Failed(failed.clone());
        }
        let Some(running) = &tape.running else { return RecordState::Off };
        let progress = running.recorder.progress();
        match progress.failed {
            Some(why) => RecordState::Failed(why),
            None => RecordState::On {
                file: running.file.clone(),
                bytes: progress.bytes,
                seconds: running.began.elapsed().as_secs(),
                lost: progress.lost,
            },
        }
    }

    fn toggle(&mut self) -> Result<String, String> {
        let mut tape = self.tape();
        match tape.running.take() {
            Some(running) => Ok(tape.end(running)),
            None => tape.begin(),
        }
    }
}
