//! Recordings: what is written is read, and of what is cut off or damaged no event is invented.

mod damage;
mod ends;
mod events;
mod export;
mod flight;
mod keyframes;
mod newer;
mod pcapng;
mod recorder;
mod replay;
mod retis;
mod rows;
mod schema;
mod whole;

use ovscope::{
    event::{Body, Event, Loss, Told},
    record::{Header, Preamble, Reader, Writer},
};

fn header() -> Header {
    Header {
        program: "ovscope 0.1.0".to_owned(),
        host: "hv-17".to_owned(),
        kernel: "6.12.0".to_owned(),
        ovs_version: "3.5.0".to_owned(),
        ..Header::default()
    }
}

/// A whole recording of some events, with a chunk for each part.
fn recording(parts: &[Vec<Event>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header(), &Preamble::default()).expect("memory");
    for part in parts {
        writer.write(part).expect("memory");
        writer.flush().expect("memory");
    }
    writer.finish().expect("memory");
    writer.into_sink()
}

/// The same of what the probes told.
fn recording_of_told(parts: &[Vec<Told>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header(), &Preamble::default()).expect("memory");
    for part in parts {
        writer.write_told(part).expect("memory");
        writer.flush().expect("memory");
    }
    writer.finish().expect("memory");
    writer.into_sink()
}

fn reader(bytes: &[u8]) -> Reader {
    Reader::from_bytes("memory", bytes.to_vec()).expect("a recording")
}

fn read(reader: &mut Reader) -> Vec<Event> {
    reader.flat_map(|batch| batch.expect("memory")).collect()
}

/// An event that is told from others by its time and a count.
fn marked(ts: u64) -> Event {
    Event::host(ts, Body::Loss(Loss { ring_full: ts, ..Loss::default() }))
}

fn told(events: &[Event]) -> Vec<Told> {
    events.iter().cloned().map(Told::Event).collect()
}
