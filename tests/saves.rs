//! What is saved of the flight recorder is whole when the program ends, and is told of once more then.

#[expect(dead_code, reason = "other tests use the rest of it")]
mod made_up;

use std::collections::BTreeSet;

use made_up::{Host, STORM};
use ovscope::{
    app::flight::{FlightControl as _, FlightRecorder},
    event::{Event, Told},
    record::Reader,
};
use tokio::sync::mpsc;

#[test]
fn what_is_being_saved_at_the_end_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    // Files are saved where the program runs; this is the only test of its process.
    std::env::set_current_dir(&dir).expect("the directory is there");
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(5, STORM));
    let (notes, taken) = mpsc::channel(1);
    let mut recorder = FlightRecorder::new(8 << 20, notes.downgrade()).expect("memory");
    let told: Vec<Told> = events.iter().cloned().map(Told::Event).collect();
    recorder.see(&told).expect("memory");
    // Within one second: each is a file of its own.
    for _ in 0..3 {
        let begun = recorder.save().expect("there is something to save");
        assert!(begun.starts_with("saving "), "{begun}");
    }
    // The screen is gone.
    drop((notes, taken));
    let mut files = BTreeSet::new();
    for told in recorder.finish() {
        let (saved, file) = told.split_once(": ovscope replay ").expect("how to look at it");
        let batches = Reader::open(file.as_ref()).expect("it is there");
        let read: Vec<Event> = batches.flat_map(|b| b.expect("whole")).collect();
        assert!(saved.starts_with(&format!("saved {} events to {file}", events.len())), "{told}");
        assert!(read.len() >= events.len() && read.last() == events.last(), "{} of {}", read.len(), events.len());
        files.insert(file.to_owned());
    }
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(recorder.finish().is_empty(), "it is told once");
}
