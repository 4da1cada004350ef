//! The recorder: files that are nobody else's, disks that are full, queues that are full.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Condvar, Mutex},
};

use ovscope::{
    event::{Body, Event},
    record::{Preamble, Reader, RecordError, Recorder, Sink, Stream},
};

use crate::{header, marked, read, reader};

fn events(count: u64) -> Vec<Event> {
    (0..count).map(marked).collect()
}

#[test]
fn a_recording_is_its_owners_and_holds_what_was_pushed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("storm.mcap");
    let recorder = Recorder::create(&path, &header(), &Preamble::default()).expect("a new file");
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for part in events(50_000).chunks(777) {
        recorder.push(part);
    }
    let summary = recorder.finish().expect("room on the disk");
    assert_eq!((summary.events, summary.not_recorded), (50_000, 0));
    assert_eq!(summary.bytes, fs::metadata(&path).expect("it is there").len());
    let mut reader = Reader::open(&path).expect("a recording");
    assert_eq!(reader.info(), Some(&summary));
    assert_eq!(read(&mut reader), events(50_000));
    assert_eq!(reader.remarks(), None);
}

#[test]
fn dropped_it_is_sealed_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("storm.mcap");
    let recorder = Recorder::create(&path, &header(), &Preamble::default()).expect("a new file");
    recorder.push(&events(10));
    drop(recorder);
    let mut reader = Reader::open(&path).expect("a recording");
    assert_eq!(reader.info().map(|info| info.events), Some(10));
    assert_eq!(read(&mut reader), events(10));
}

#[test]
fn no_file_is_written_over_nor_through_a_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("precious");
    fs::write(&path, "precious").expect("room");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).expect("a link");
    for path in [&path, &link] {
        let error = Recorder::create(path, &header(), &Preamble::default()).expect_err("it is there");
        assert!(matches!(error, RecordError::Exists { .. }));
        let text = error.to_string();
        assert!(text.contains("is there already") && text.contains("choose another name"), "{text}");
    }
    assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
    assert!(!folder.path().join("elsewhere").exists());
    let nowhere = folder.path().join("no/where.mcap");
    let error = Recorder::create(&nowhere, &header(), &Preamble::default()).expect_err("no folder");
    assert!(matches!(error, RecordError::Create { .. }), "{error}");
}

#[test]
fn a_full_device_says_that_it_is_full() {
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let error = Recorder::to_sink("/dev/full", Box::new(Stream(full)), &header(), &Preamble::default());
    let text = error.expect_err("no room").to_string();
    assert!(text.starts_with("/dev/full: the disk is full."), "{text}");
}

/// A disk with room for so many bytes.
#[derive(Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.bytes.lock().expect("no panic");
        let fits = bytes.len().min(self.room - disk.len());
        disk.extend(&bytes[..fits]);
        if fits == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fits) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Disk {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.bytes.lock().expect("no panic").truncate(len as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_gets_full_keeps_what_is_whole() {
    let mut complete = 0;
    for room in (14_000..90_000).step_by(1_500) {
        let disk = Disk { bytes: Arc::default(), room };
        let recorder =
            Recorder::to_sink("storm.mcap", Box::new(disk.clone()), &header(), &Preamble::default()).expect("room");
        // Half a second apart: chunks of two events, and each of them hard to compress.
        let all: Vec<Event> = (0..200u64)
            .map(|n| {
                let mut event = marked(n * 500_000_000);
                event.comm.0 = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes().repeat(2).try_into().expect("16");
                event
            })
            .collect();
        for event in &all {
            recorder.push(std::slice::from_ref(event));
        }
        let result = recorder.finish();
        let bytes = disk.bytes.lock().expect("no panic").clone();
        let mut reader = reader(&bytes);
        let events = read(&mut reader);
        assert_eq!(events, all[..events.len()]);
        match result {
            Ok(_) => {
                complete += 1;
                assert_eq!(events, all);
            }
            Err(error) => {
                assert!(error.to_string().starts_with("storm.mcap: the disk is full."), "{error}");
                // Where there was no room for the end either, the reader says that it is cut off.
                let whole = bytes.len() + 60 < room;
                assert!(!whole || reader.damage().is_none(), "{room}: {:?}", reader.damage());
            }
        }
    }
    assert!(complete > 0, "the last ones have room for all");
}

#[test]
fn after_a_failure_what_comes_is_counted() {
    let disk = Disk { bytes: Arc::default(), room: 14_000 };
    let recorder = Recorder::to_sink("storm.mcap", Box::new(disk.clone()), &header(), &Preamble::default());
    let recorder = recorder.expect("room for the begin");
    let mut pushed = 0;
    let progress = loop {
        recorder.push(&events(5_000));
        pushed += 5_000;
        let progress = recorder.progress();
        if progress.failed.is_some() {
            break progress;
        }
        std::thread::yield_now();
    };
    assert!(progress.failed.expect("it failed").contains("the disk is full"));
    recorder.push(&events(5));
    pushed += 5;
    // The file is as it stays. What the recorder itself says there about its losses was not pushed.
    let events = read(&mut reader(&disk.bytes.lock().expect("no panic")));
    let told = |event: &&Event| matches!(&event.body, Body::Loss(loss) if loss.not_recorded > 0);
    let all = pushed + events.iter().filter(told).count() as u64;
    let progress = loop {
        let progress = recorder.progress();
        if progress.events + progress.lost >= all {
            break progress;
        }
        std::thread::yield_now();
    };
    assert_eq!((progress.events, progress.lost), (events.len() as u64, all - events.len() as u64));
    recorder.finish().expect_err("the disk is full");
}

#[test]
fn a_file_that_is_removed_is_missed_and_one_that_is_moved_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("storm.mcap");
    let recorder = Recorder::create(&path, &header(), &Preamble::default()).expect("a new file");
    recorder.push(&events(10));
    let moved = folder.path().join("moved.mcap");
    fs::rename(&path, &moved).expect("it is there");
    recorder.push(&events(10));
    recorder.finish().expect("it has another name");
    assert_eq!(read(&mut Reader::open(&moved).expect("a recording")).len(), 20);

    let recorder = Recorder::create(&path, &header(), &Preamble::default()).expect("a new file");
    let mut pushed = 0;
    fs::remove_file(&path).expect("it is there");
    let failed = loop {
        recorder.push(&events(10));
        pushed += 10;
        // It is missed when a chunk is written, once a second.
        if let Some(failed) = recorder.progress().failed {
            break failed;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(failed.contains("storm.mcap was removed while it was recorded to"), "{failed}");
    while recorder.progress().lost < pushed {
        std::thread::yield_now();
    }
    assert_eq!((recorder.progress().lost, recorder.progress().events), (pushed, 0));
    recorder.finish().expect_err("there is no recording");
}

/// A sink that takes nothing before its gate is open.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<(Mutex<bool>, Condvar)>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = self.bytes.lock().expect("no panic");
        // The begin is written by who creates the recorder.
        if !taken.is_empty() {
            let (open, changed) = &*self.open;
            drop(changed.wait_while(open.lock().expect("no panic"), |open| !*open).expect("no panic"));
        }
        taken.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_does_not_fit_is_counted_in_the_recording() {
    let gate = Gate::default();
    let recorder = Recorder::to_sink("pipe", Box::new(Stream(gate.clone())), &header(), &Preamble::default());
    let recorder = recorder.expect("memory");
    let mut pushed = 0;
    while recorder.progress().lost == 0 {
        recorder.push(&events(4_000));
        pushed += 4_000;
    }
    let (open, changed) = &*gate.open;
    *open.lock().expect("no panic") = true;
    changed.notify_all();
    let lost = recorder.progress().lost;
    let summary = recorder.finish().expect("memory");
    assert_eq!(summary.not_recorded, lost);
    let bytes = gate.bytes.lock().expect("no panic").clone();
    let events = read(&mut reader(&bytes));
    let Some(Body::Loss(told)) = events.last().map(|event| &event.body) else { panic!("it ends with its losses") };
    assert_eq!(told.not_recorded, lost);
    // All that was not lost, and the event that says so.
    assert_eq!(events.len() as u64, pushed - lost + 1);
}
