//! Recordings that end otherwise than they should: killed, with a panic, at a pipe whose other end is slow or gone.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use ovscope::{
    event::Event,
    record::{Preamble, Reader, RecordError, Recorder, Sink, Stream},
};

use crate::{header, marked, read, reader};

/// Where the process that is killed records to.
const KILLED: &str = "OVSCOPE_TEST_RECORDS_TO";
/// Events that may be between the last one pushed and the last one taken.
const LAG: u64 = 100;
/// An event every millisecond of its time: a chunk is sealed after so many.
const CHUNK: u64 = 1000;

/// Records until it is killed, and says how far it is.
fn record_for_ever(path: &Path) -> ! {
    let recorder = Recorder::create(path, &header(), &Preamble::default()).expect("a new file");
    for n in 0.. {
        recorder.push(&[marked(n * 1_000_000)]);
        while recorder.progress().events + LAG < n {
            std::thread::yield_now();
        }
        if n.is_multiple_of(10) {
            // Not by a macro, which the test harness would keep to itself.
            writeln!(io::stdout(), "pushed {n}").expect("the test reads");
        }
    }
    unreachable!("it is killed")
}

#[test]
fn killed_at_any_moment_it_loses_its_last_chunk_at_most_and_says_so() {
    if let Some(path) = env::var_os(KILLED) {
        record_for_ever(Path::new(&path));
    }
    let folder = tempfile::tempdir().expect("a folder");
    for enough in [0, 700, 2_340, 5_010, 20_000] {
        let path = folder.path().join(format!("{enough}.mcap"));
        let name = "ends::killed_at_any_moment_it_loses_its_last_chunk_at_most_and_says_so";
        let mut child = Command::new(env::current_exe().expect("it runs"))
            .args(["--exact", name, "--nocapture"])
            .env(KILLED, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the same program again");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let pushed = |line: &str| line.strip_prefix("pushed ")?.parse::<u64>().ok();
        let pushed = lines.map(|line| line.expect("text")).filter_map(|line| pushed(&line)).find(|n| *n >= enough);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let pushed = pushed.expect("it records until it is killed");
        let mut reader = Reader::open(&path).expect("the begin is written before the first event");
        assert!(reader.info().is_none());
        let events = read(&mut reader);
        assert!(events.iter().zip(0..).all(|(event, n)| *event == marked(n * 1_000_000)), "all that is before");
        assert!(events.len() as u64 + CHUNK + LAG + 1 >= pushed, "{} of {pushed}", events.len());
        let damage = reader.damage().expect("it was not sealed");
        let ends = format!("{} events were read", events.len());
        assert!(damage.contains("cut off") && damage.ends_with(&ends), "{damage}");
    }
}

#[test]
fn a_panic_seals_the_recording_of_whom_it_meets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("storm.mcap");
    let recorder = Recorder::create(&path, &header(), &Preamble::default()).expect("a new file");
    recorder.push(&[marked(1), marked(2)]);
    let thread = std::thread::spawn(move || {
        let _recorder = recorder;
        panic!("this one is wanted");
    });
    thread.join().expect_err("it panics");
    let mut reader = Reader::open(&path).expect("a recording");
    assert_eq!(reader.info().map(|info| info.events), Some(2));
    assert_eq!(read(&mut reader), [marked(1), marked(2)]);
    assert_eq!(reader.remarks(), None);
}

/// Memory that bears so many writes, and panics at the next.
struct Fragile(Arc<Mutex<Vec<u8>>>, usize);

impl Write for Fragile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(self.1 > 0, "this one is wanted");
        self.1 -= 1;
        self.0.lock().expect("no panic while it is held").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Fragile {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.0.lock().expect("no panic while it is held").truncate(len as usize);
        self.1 = 1;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_of_the_recording_thread_itself_keeps_what_was_sealed() {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let sink = Box::new(Fragile(bytes.clone(), 3));
    let recorder = Recorder::to_sink("fragile", sink, &header(), &Preamble::default()).expect("memory");
    // Two seconds apart: a chunk for each.
    let all: Vec<Event> = (0..5).map(|n| marked(n * 2_000_000_000)).collect();
    for event in &all {
        recorder.push(std::slice::from_ref(event));
    }
    let error = recorder.finish().expect_err("it panicked").to_string();
    assert!(error.starts_with("fragile cannot be written any more"), "{error}");
    let bytes = bytes.lock().expect("no panic while it is held").clone();
    let mut reader = reader(&bytes);
    assert_eq!(read(&mut reader), all[..2]);
    assert_eq!(reader.damage(), None, "it has an end");
}

/// Gives a few bytes at a time.
struct Slowly<R>(R, usize);

impl<R: Read> Read for Slowly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let few = buffer.len().min(self.1);
        self.0.read(&mut buffer[..few])
    }
}

#[test]
fn a_stream_is_read_while_it_is_written() {
    let (out, into) = io::pipe().expect("the system has room");
    let recorder =
        Recorder::to_sink("pipe", Box::new(Stream(into)), &header(), &Preamble::default()).expect("who reads is there");
    let (tell, told) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut reader = Reader::from_stream("pipe", Slowly(out, 0)).expect("the begin comes at once");
        while let Some(batch) = reader.next_batch() {
            for event in batch.expect("a pipe").events {
                tell.send(event).expect("the test waits");
            }
        }
        reader.remarks()
    });
    for n in 0..3 {
        recorder.push(&[marked(n)]);
        // Comes without any other, and without the end.
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(marked(n)));
    }
    recorder.finish().expect("who reads is there");
    assert_eq!(reading.join().expect("it reads"), None);
}

#[test]
fn who_reads_and_goes_is_told_apart_from_a_failure() {
    let (out, into) = io::pipe().expect("the system has room");
    let recorder =
        Recorder::to_sink("pipe", Box::new(Stream(into)), &header(), &Preamble::default()).expect("who reads is there");
    drop(out);
    recorder.push(&[marked(1)]);
    let error = recorder.finish().expect_err("nobody reads");
    assert!(matches!(error, RecordError::Unread { .. }), "{error}");
}
