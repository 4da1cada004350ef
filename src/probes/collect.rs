//! The probes' thread: loads, attaches, then reads the ring buffer and the counters until it is told to stop.

use std::{
    cell::RefCell,
    fs,
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use libbpf_rs::{MapCore as _, ProgramInput, RingBufferBuilder};

use super::{
    Config, Error, Sink, Usdt,
    attach::{Attached, load_and_attach},
    counters::{CounterReader, read_loss},
    datapaths::{read_datapaths, read_stats},
    decode::Decoder,
    host::{monotonic_now, session},
    reasons::Reasons,
    skeleton::{OvscopeMaps, OvscopeSkel},
    usdt::Listener,
    wire,
};
use crate::{
    event::{Body, Capability, Datapath, Event, Loss, Told},
    privileges,
};

/// How often the ring buffer is emptied.
const RING_PERIOD: Duration = Duration::from_millis(40);
/// How often the counters are read.
const COUNTER_PERIOD: Duration = Duration::from_millis(250);
/// How often datapaths, ports and the probes' cost are looked at.
const SLOW_PERIOD: Duration = Duration::from_secs(1);
/// A packet that nothing happens to for so long is told while it waits.
const QUIET: Duration = Duration::from_millis(100);
/// Events and runs to a batch, at most about so many.
const BATCH: usize = 4096;
/// Batches read from the ring buffer in a row: then it is time for the counters, or for the end.
const BATCHES: usize = 64;
/// The inode of the first pid namespace, `PROC_PID_INIT_INO` in the kernel: only there threads have the ids that the
/// kernel side knows them by.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A negative answer of the ring buffer's callback ends its reading early.
const EARLY: i32 = 1;

type Ready = mpsc::Sender<Result<Vec<Capability>, Error>>;

/// Runs until `stopped` is hung up or the sink wants no more. What it could attach goes to `ready`, once.
pub fn run(config: &Config, mut sink: Sink, stopped: &mpsc::Receiver<()>, ready: &Ready) {
    let done = load_and_attach(config).and_then(|mut attached| {
        // The daemons that run now are attached to with all that root may do.
        let mut listener = Listener::new(config.usdt, &attached.capabilities);
        listener.look(&attached.upper, &mut attached.capabilities);
        // It opens what only root may read.
        let mut decoder = Decoder::default();
        let listens = config.follow && config.usdt != Usdt::Off;
        privileges::keep(if listens { privileges::PROBES_OF_DAEMONS } else { privileges::PROBES })?;
        decoder.read_ahead();
        Ok((attached, listener, decoder))
    });
    let (mut attached, listener, decoder) = match done {
        Ok(attached) => attached,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let begun = vec![Event::host(monotonic_now(), Body::Session(Box::new(session(&config.command)))).into()];
    if !sink(begun) {
        return;
    }
    if ready.send(Ok(attached.capabilities.clone())).is_ok() {
        read(&mut attached, listener, decoder, sink, stopped);
    }
}

/// What is read slowly, and what it was last time.
#[derive(Default)]
struct Surroundings {
    datapaths: Option<Vec<Datapath>>,
    loss: Loss,
    undecoded: u64,
    missed_runs: u64,
}

fn read(
    attached: &mut Attached,
    mut listener: Listener,
    decoder: Decoder,
    mut sink: Sink,
    stopped: &mpsc::Receiver<()>,
) {
    let batch = RefCell::new(Vec::with_capacity(BATCH));
    let undecoded = RefCell::new(0u64);
    let decoder = RefCell::new(decoder);
    let mut builder = RingBufferBuilder::new();
    let callback = |bytes: &[u8]| {
        let mut batch = batch.borrow_mut();
        if decoder.borrow_mut().decode(bytes, &mut batch).is_err() {
            *undecoded.borrow_mut() += 1;
        }
        // A full batch interrupts the reading, so that it can be passed on.
        if batch.len() >= BATCH { -EARLY } else { 0 }
    };
    let Ok(ring) = builder.add(&attached.upper.skel.maps.ring, callback).map(|_| ()).and_then(|()| builder.build())
    else {
        return;
    };
    let mut counters = CounterReader::default();
    let mut around = Surroundings::default();
    let (mut next_counters, mut next_slow) = (Instant::now(), Instant::now());
    let mut with_flows = true;
    loop {
        let stop = match stopped.recv_timeout(RING_PERIOD) {
            Err(mpsc::RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => true,
        };
        if stop || Instant::now() >= next_counters {
            sweep(&attached.upper.skel, if stop { Duration::ZERO } else { QUIET });
        }
        for _ in 0..BATCHES {
            let _ = ring.consume_raw();
            let told = batch.replace(Vec::with_capacity(BATCH));
            let full = told.len() >= BATCH;
            if !told.is_empty() && !sink(told) {
                return;
            }
            if !full {
                break;
            }
        }
        let now = Instant::now();
        let mut events: Vec<Told> = Vec::new();
        around.undecoded = *undecoded.borrow();
        if stop || now >= next_slow {
            next_slow = now + SLOW_PERIOD;
            listener.look(&attached.upper, &mut attached.capabilities);
            slow(attached, &mut around, &mut events);
            with_flows = true;
        }
        if stop || now >= next_counters {
            next_counters = now + COUNTER_PERIOD;
            let maps = &attached.upper.skel.maps;
            quick(maps, &mut counters, with_flows, decoder.borrow_mut().reasons(), &mut around, &mut events);
            with_flows = false;
        }
        if (!events.is_empty() && !sink(events)) || stop {
            return;
        }
    }
}

/// Has the kernel side tell the steps of packets that nothing happened to for so long.
fn sweep(skel: &OvscopeSkel<'_>, quiet: Duration) {
    let mut order = bytemuck::bytes_of(&wire::SweepOrder { quiet: quiet.as_nanos() as u64 }).to_vec();
    let input = ProgramInput { context_in: Some(&mut order), ..ProgramInput::default() };
    // Where the kernel refuses, they are told later, when their buffer is freed.
    let _ = skel.progs.sweep.test_run(input);
}

fn quick(
    maps: &OvscopeMaps<'_>,
    counters: &mut CounterReader,
    with_flows: bool,
    reasons: &mut Reasons,
    around: &mut Surroundings,
    events: &mut Vec<Told>,
) {
    let now = monotonic_now();
    let stats = read_stats().unwrap_or_default();
    if let Ok(counters) = counters.read(maps, &stats, now, with_flows, reasons) {
        events.push(Event::host(now, Body::Counters(Box::new(counters))).into());
    }
    if let Ok(loss) = read_loss(maps) {
        let loss = Loss { undecoded: around.undecoded, missed_runs: loss.missed_runs + around.missed_runs, ..loss };
        if loss != around.loss {
            around.loss = loss;
            events.push(Event::host(now, Body::Loss(loss)).into());
        }
    }
}

fn slow(attached: &mut Attached, around: &mut Surroundings, events: &mut Vec<Told>) {
    let now = monotonic_now();
    // An answer that did not come says nothing about the datapaths.
    if let Ok(datapaths) = read_datapaths()
        && around.datapaths.as_ref() != Some(&datapaths)
    {
        around.datapaths = Some(datapaths.clone());
        events.push(Event::host(now, Body::Datapaths { datapaths }).into());
    }
    forget_dead_handlers(&attached.upper.skel.maps);
    around.missed_runs = attached.read_costs();
    events.push(Event::host(now, Body::Probes { capabilities: attached.capabilities.clone() }).into());
}

/// Threads that are gone make room for those of the next daemon.
fn forget_dead_handlers(maps: &OvscopeMaps<'_>) {
    if fs::read_link("/proc/self/ns/pid").is_ok_and(|ns| ns.as_os_str() == FIRST_PID_NAMESPACE) {
        for key in maps.handlers.keys() {
            let tid = wire::read::<u32>(&key).unwrap_or_default();
            if !Path::new(&format!("/proc/{tid}")).exists() {
                let _ = maps.handlers.delete(&key);
                let _ = maps.scheds.delete(&key);
            }
        }
    }
}
