//! Recordings in a row of files, and over files that are there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ovscope::{
    event::{Body, Event, PacketBytes, Session},
    record::{FILE_MIN, Files, Preamble, Reader, RecordError, Recorder},
};

use crate::{header, marked, read};

/// Packets that nothing can make smaller, after a session: about 1 kB each.
fn packets(count: u64) -> Vec<Event> {
    let session = Session { host: "hv-17".to_owned(), ..Session::default() };
    let mut random = 7u64;
    let mut noise = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let packet = |n: u64| {
        let data: Vec<u8> = (0..128).flat_map(|_| noise().to_le_bytes()).collect();
        Event::host(1000 + n, Body::PacketBytes(PacketBytes { len: 1024, data: data.into() }))
    };
    let packets: Vec<Event> = (0..count).map(packet).collect();
    [vec![Event::host(1, Body::Session(Box::new(session)))], packets].concat()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

/// Records in a row; says how many files were made and how many deleted.
fn record(path: &Path, files: Files, events: &[Event], meanwhile: impl FnOnce()) -> (u64, u64) {
    let (mut recorder, first) =
        Recorder::create_files(path, files, &header(), &Preamble::default()).expect("a new file");
    assert_eq!(first, Files::name(path, 1));
    let (begin, rest) = events.split_at(events.len() / 2);
    recorder.push(begin);
    while recorder.progress().events < begin.len() as u64 {
        std::thread::yield_now();
    }
    meanwhile();
    recorder.push(rest);
    let summary = recorder.seal().expect("room on the disk");
    assert_eq!((summary.events, summary.not_recorded), (events.len() as u64, 0));
    let progress = recorder.progress();
    assert_eq!((progress.events, progress.bytes), (summary.events, summary.bytes));
    (progress.files, progress.deleted)
}

#[test]
fn a_row_has_every_event_once_and_each_file_is_whole_in_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = packets(30_000);
    let files = Files { max_size: Some(FILE_MIN), ..Files::default() };
    let made = record(&folder.path().join("storm.mcap"), files, &all, || ());
    let paths = files_in(folder.path());
    assert_eq!(made, (paths.len() as u64, 0));
    assert!(paths.len() >= 4, "{paths:?}");
    assert!(paths[3].ends_with("storm-0004.mcap"), "{paths:?}");
    let mut events = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let file = fs::metadata(path).expect("it is there");
        assert!(file.len() <= FILE_MIN && file.permissions().mode() & 0o777 == 0o600, "{path:?}: {file:?}");
        let mut reader = Reader::open(path).expect("a recording");
        assert!(reader.info().is_some(), "{path:?} is sealed");
        assert_eq!(reader.header().host, "hv-17");
        if number > 0 {
            let state = reader.next_batch().expect("the state").expect("a file");
            assert!(state.keyframe);
            assert_eq!(state.events, all[..1], "the session is the state");
        }
        events.extend(read(&mut reader));
        assert_eq!(reader.remarks(), None);
    }
    assert!(events == all, "{} of {} events", events.len(), all.len());
}

#[test]
fn a_row_turns_over_by_age() {
    let folder = tempfile::tempdir().expect("a folder");
    // Two seconds apart: a chunk for each.
    let all: Vec<Event> = (0..6).map(|n| marked(n * 2_000_000_000)).collect();
    let files = Files { max_age: Some(Duration::from_nanos(1)), ..Files::default() };
    let (made, _) = record(&folder.path().join("storm"), files, &all, || ());
    let paths = files_in(folder.path());
    // With every chunk the age is looked at. A chunk may be sealed by the event behind it, which then is in the same file.
    assert_eq!(made, paths.len() as u64);
    assert!((3..=6).contains(&made), "{paths:?}");
    assert!(paths[2].ends_with("storm-0003"), "{paths:?}");
    let events: u64 = paths.iter().map(|path| Reader::open(path).expect("whole").info().expect("sealed").events).sum();
    assert_eq!(events, 6);
}

#[test]
fn the_oldest_files_go_and_nobody_elses() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("storm.mcap");
    let files = Files { max_size: Some(FILE_MIN), max_total: Some(2 * FILE_MIN), ..Files::default() };
    // In the place of one of them somebody puts a file of their own.
    let swap = || fs::write(folder.path().join("other"), "mine").expect("room");
    let (made, deleted) = record(&path, files, &packets(50_000), || {
        swap();
        let newest = files_in(folder.path()).into_iter().rfind(|path| !path.ends_with("other"));
        let sealed: Vec<PathBuf> = files_in(folder.path())
            .into_iter()
            .filter(|path| !path.ends_with("other") && Some(path) != newest.as_ref())
            .collect();
        let victim = sealed.last().expect("one that is sealed");
        fs::rename(folder.path().join("other"), victim).expect("one folder");
    });
    let left = files_in(folder.path());
    let total: u64 = left.iter().map(|path| fs::metadata(path).expect("it is there").len()).sum();
    assert!(made >= 7 && deleted >= 3, "{made} made, {deleted} deleted");
    let mine: Vec<&PathBuf> = left.iter().filter(|path| fs::read(path).expect("a file") == b"mine").collect();
    assert_eq!(mine.len(), 1, "another's file stays: {left:?}");
    assert_eq!(left.len() as u64, made - deleted, "one of {made} was replaced and {deleted} deleted");
    assert!(total <= 2 * FILE_MIN, "{total} bytes");
}

#[test]
fn where_the_next_file_cannot_be_made_the_last_one_is_sealed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("storm.mcap");
    fs::write(Files::name(&path, 3), "precious").expect("room");
    let files = Files { max_size: Some(FILE_MIN), ..Files::default() };
    let all = packets(30_000);
    let (mut recorder, _) = Recorder::create_files(&path, files, &header(), &Preamble::default()).expect("new");
    recorder.push(&all);
    let error = recorder.seal().expect_err("the third is there").to_string();
    assert!(error.contains("storm-0003.mcap is there already"), "{error}");
    let mut events = Vec::new();
    for number in [1, 2] {
        let mut reader = Reader::open(&Files::name(&path, number)).expect("a recording");
        assert!(reader.info().is_some(), "{number} is sealed");
        let batches: Vec<_> = std::iter::from_fn(|| reader.next_batch()).map(|batch| batch.expect("a file")).collect();
        events.extend(batches.into_iter().filter(|batch| !batch.keyframe).flat_map(|batch| batch.events));
    }
    assert!(events == all[..events.len()]);
    let progress = recorder.progress();
    assert_eq!((progress.events, progress.lost), (events.len() as u64, (all.len() - events.len()) as u64));
    assert_eq!(fs::read_to_string(Files::name(&path, 3)).expect("still there"), "precious");
}

#[test]
fn with_force_a_file_is_written_over_and_a_link_is_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, link) = (folder.path().join("old.mcap"), folder.path().join("link.mcap"));
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&path, "old").expect("room");
    fs::write(&elsewhere, "precious").expect("room");
    std::os::unix::fs::symlink(&elsewhere, &link).expect("a link");
    let force = Files { force: true, ..Files::default() };
    for path in [&path, &link] {
        let refused = Recorder::create_files(path, Files::default(), &header(), &Preamble::default());
        assert!(matches!(refused, Err(RecordError::Exists { .. })));
        let (recorder, first) = Recorder::create_files(path, force, &header(), &Preamble::default()).expect("forced");
        assert_eq!(&first, path);
        recorder.push(&[marked(5)]);
        recorder.finish().expect("room");
        assert!(fs::symlink_metadata(path).expect("it is there").is_file());
        assert_eq!(read(&mut Reader::open(path).expect("a recording")), [marked(5)]);
    }
    assert_eq!(fs::read_to_string(&elsewhere).expect("still there"), "precious");
    let refused = Recorder::create_files(folder.path(), force, &header(), &Preamble::default());
    let text = refused.map(drop).expect_err("a folder").to_string();
    assert!(text.contains("what is there is no file"), "{text}");
}
