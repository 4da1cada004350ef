//! The recorder behind the screen's `R`: begins and ends recordings of what passes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use super::screen::{RecordControl, RecordState};
use crate::{
    event::{Body, Event, Told},
    model::grouped,
    record::{Header, Preamble, RecordError, Recorder, Summary},
};

/// Sees all events, and records them while asked to.
#[derive(Default)]
pub struct Tape {
    preamble: Preamble,
    header: Header,
    running: Option<Running>,
    /// Recordings that have ended and are on their way to the disk. Usually one; more where the disk is slow.
    sealing: Vec<JoinHandle<Result<Summary, RecordError>>>,
    /// What went wrong with those that are sealed, since a recording was last begun.
    failed: Vec<String>,
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

    /// What a reader who begins here has to know: the latest of each kind of state.
    pub fn state(&self) -> Vec<Event> {
        self.preamble.events()
    }

    /// Ends the recording that is running and waits until all are on the disk. Gives what the user, who has left the
    /// screen, has yet to be told.
    pub fn finish(&mut self) -> Vec<Result<String, String>> {
        for sealing in std::mem::take(&mut self.sealing) {
            self.sealed(sealing);
        }
        let mut told: Vec<_> = self.failed.drain(..).map(Err).collect();
        if let Some(Running { recorder, file, .. }) = self.running.take() {
            told.push(match recorder.finish() {
                Ok(summary) => {
                    Ok(format!("recorded {} events to {file}: ovscope replay {file}", grouped(summary.events)))
                }
                Err(error) => Err(error.to_string()),
            });
        }
        told
    }

    /// Takes what became of a recording; waits for it if it is not on the disk yet.
    fn sealed(&mut self, sealing: JoinHandle<Result<Summary, RecordError>>) {
        match sealing.join() {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.failed.push(error.to_string()),
            Err(_) => self.failed.push("a recording was not ended: its thread failed".to_owned()),
        }
    }

    fn begin(&mut self) -> Result<String, String> {
        let create = |file: &Path| Recorder::create(file, &self.header, &self.preamble);
        let (file, recorder) = in_new_file(&self.header.host, "", create).map_err(|e| e.to_string())?;
        let file = file.display().to_string();
        let told = format!("recording to {file}");
        self.running = Some(Running { recorder, file, began: Instant::now() });
        self.failed.clear();
        Ok(told)
    }

    /// Ends a recording without waiting for the disk.
    fn end(&mut self, running: Running) -> String {
        let Running { recorder, file, .. } = running;
        let progress = recorder.progress();
        self.sealing.push(std::thread::spawn(move || recorder.finish()));
        format!("recorded {} events to {file}", grouped(progress.events))
    }
}

/// Makes a file in the current folder, named after the host and the time so that a folder of them sorts by time; `what`
/// ends the name. A file begun within the same second as another gets a number as well.
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
        for sealing in tape.sealing.extract_if(.., |sealing| sealing.is_finished()).collect::<Vec<_>>() {
            tape.sealed(sealing);
        }
        let Some(running) = &tape.running else {
            let failed = tape.failed.join("; ");
            return if failed.is_empty() { RecordState::Off } else { RecordState::Failed(failed) };
        };
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;
    use crate::record::Sink;

    /// A disk that is full when a recording is to be made safe.
    struct Full;

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Full {
        fn cut(&mut self, _len: u64) -> io::Result<()> {
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn running(file: &str, sink: Box<dyn Sink>) -> Running {
        let recorder = Recorder::to_sink(file, sink, &Header::default(), &Preamble::default()).expect("begins");
        Running { recorder, file: file.to_owned(), began: Instant::now() }
    }

    #[test]
    fn a_recording_that_fails_behind_the_next_one_is_told() {
        let mut tape = Tape::default();
        tape.end(running("first.mcap", Box::new(Full)));
        tape.end(running("second.mcap", Box::new(Full)));
        tape.running = Some(running("third.mcap", Box::new(crate::record::Stream(io::sink()))));
        let told = tape.finish();
        let [Err(first), Err(second), Ok(third)] = &told[..] else { panic!("{told:?}") };
        assert!(first.contains("first.mcap") && second.contains("second.mcap"), "{told:?}");
        assert_eq!(third, "recorded 0 events to third.mcap: ovscope replay third.mcap");
        assert!(tape.finish().is_empty(), "it is told once");
    }

    #[test]
    fn while_a_recording_runs_its_state_is_shown_and_then_what_failed_before() {
        let tape = Arc::new(Mutex::new(Tape::default()));
        let mut shared = Shared(tape.clone());
        {
            let mut tape = shared.tape();
            let sealing = std::thread::spawn(|| running("first.mcap", Box::new(Full)).recorder.finish());
            while !sealing.is_finished() {
                std::thread::yield_now();
            }
            tape.sealing.push(sealing);
            tape.running = Some(running("second.mcap", Box::new(crate::record::Stream(io::sink()))));
        }
        assert!(matches!(shared.state(), RecordState::On { file, .. } if file == "second.mcap"));
        shared.toggle().expect("ends");
        assert!(matches!(shared.state(), RecordState::Failed(why) if why.contains("first.mcap")));
    }
}
