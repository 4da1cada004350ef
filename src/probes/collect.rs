//! The probes' thread: loads, attaches, then reads the ring buffer and the counters until it is told to stop.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    mem::MaybeUninit,
    os::fd::AsFd,
    path::Path,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use bytemuck::Zeroable as _;
use libbpf_rs::{
    Link, MapCore as _, MapFlags, OpenObject, PrintLevel, Program, ProgramInput, ProgramMut, RingBufferBuilder,
    query::ProgInfoIter,
    skel::{OpenSkel, Skel, SkelBuilder},
};

use super::{
    Config, Error, Sink, Usdt,
    capability::{HANDLER_SCHED, PACKET_END, PLANS, Plan, Wanted, missing_functions},
    counters::{CounterReader, read_loss},
    datapaths::{read_datapaths, read_stats},
    decode::Decoder,
    host::{monotonic_now, session},
    reasons::Reasons,
    skeleton::{OvscopeMaps, OvscopeSkel, OvscopeSkelBuilder},
    usdt::{self, Listener},
    wire,
};
use crate::{
    event::{Body, Capability, CapabilityState, Datapath, Event, Loss, ProbeCost},
    filter::Programs,
};

/// How often the ring buffer is emptied.
const RING_PERIOD: Duration = Duration::from_millis(40);
/// How often the counters are read.
const COUNTER_PERIOD: Duration = Duration::from_millis(250);
/// How often datapaths, ports and the probes' cost are looked at.
const SLOW_PERIOD: Duration = Duration::from_secs(1);
/// A packet that nothing happens to for so long is told while it waits; 25 to 250 ms, as the kernel is built.
const QUIET_JIFFIES: u64 = 25;
/// Events to a batch, at most about so many.
const BATCH: usize = 4096;
/// Batches read from the ring buffer in a row: then it is time for the counters, or for the end.
const BATCHES: usize = 64;
/// The inode of the first pid namespace, `PROC_PID_INIT_INO` in the kernel: only there threads have the ids that the
/// kernel side knows them by.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The program that user space runs, and that is attached to nothing.
const SWEEP: &str = "sweep";

/// A negative answer of the ring buffer's callback ends its reading early.
const EARLY: i32 = 1;

/// What libbpf says while it loads: it names the program that the kernel refused, and why.
static LIBBPF_SAID: Mutex<String> = Mutex::new(String::new());

#[expect(clippy::needless_pass_by_value, reason = "as libbpf calls it")]
fn remember(_level: PrintLevel, message: String) {
    if let Ok(mut said) = LIBBPF_SAID.lock() {
        said.push_str(&message);
    }
}

type Ready = mpsc::Sender<Result<Vec<Capability>, Error>>;

/// Runs until `stopped` is hung up or the sink wants no more. What it could attach goes to `ready`, once.
pub fn run(config: &Config, mut sink: Sink, stopped: &mpsc::Receiver<()>, ready: &Ready) {
    libbpf_rs::set_print(Some((PrintLevel::Info, remember)));
    let (skel, mut capabilities, links) = match load_and_attach(config) {
        Ok(attached) => attached,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let mut listener = Listener::new(config.usdt, &capabilities);
    listener.look(&skel, &mut capabilities);
    let begun = vec![Event::host(monotonic_now(), Body::Session(Box::new(session(&config.command))))];
    if !sink(begun) {
        return;
    }
    if ready.send(Ok(capabilities.clone())).is_ok() {
        read(&skel, capabilities, listener, sink, stopped);
    }
    drop(links);
}

type Attached = (OvscopeSkel<'static>, Vec<Capability>, Vec<Link>);

fn load_and_attach(config: &Config) -> Result<Attached, Error> {
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let mut why_not = missing_functions(&symbols);
    loop {
        let mut skel = load(config, &mut why_not)?;
        if let Some(filter) = &config.filter {
            write_filter(&skel, filter).map_err(|source| Error::Kernel { what: "writing the filter", source })?;
        }
        let (capabilities, links) = attach(config, &mut skel, &why_not);
        let generic_without_end = generic(config, &why_not)
            && capabilities.iter().any(|c| c.name == PACKET_END && c.state == CapabilityState::Missing);
        if !generic_without_end {
            return Ok((skel, capabilities, links));
        }
        // It was loaded and could not be attached: once more, with all that rests on it left out.
        let why = capabilities.iter().find(|c| c.name == PACKET_END).map(|c| c.why.clone()).unwrap_or_default();
        why_not.insert(PACKET_END, why);
    }
}

/// Loads every program that is wanted and can be. One that the kernel refuses is left out, with its reason, and the
/// rest is loaded without it.
fn load(config: &Config, why_not: &mut BTreeMap<&'static str, String>) -> Result<OvscopeSkel<'static>, Error> {
    loop {
        // A load that failed cannot be tried again: each try has an object of its own. Its storage, a pointer, stays.
        let storage = Box::leak(Box::new(MaybeUninit::uninit()));
        let error = match open(config, why_not, storage)?.load() {
            Ok(skel) => return Ok(skel),
            Err(error) => error,
        };
        let said = LIBBPF_SAID.lock().map(|s| s.clone()).unwrap_or_default();
        let Some(plan) = PLANS.iter().find(|p| p.programs.iter().any(|name| refused(&said, name))) else {
            return Err(Error::Kernel { what: "loading the probes", source: error });
        };
        // Each round leaves one more out, or ends it.
        if why_not.contains_key(plan.name) || plan.wanted == Wanted::Always {
            return Err(Error::Refused { probe: plan.probe, why: last_words(&said) });
        }
        why_not.insert(plan.name, format!("the kernel refused it ({}): {}", last_words(&said), plan.without));
    }
}

/// Writes the programs of a filter, before anything runs them.
fn write_filter(skel: &OvscopeSkel<'_>, filter: &Programs) -> libbpf_rs::Result<()> {
    let places = [
        (wire::FILTER_BYTES, &filter.bytes),
        (wire::FILTER_LOOKUP, &filter.lookup),
        (wire::FILTER_UPCALL, &filter.upcall),
    ];
    for (place, insns) in places {
        let mut program = wire::FilterProgram { len: insns.len() as u32, ..wire::FilterProgram::zeroed() };
        for (to, insn) in program.insns.iter_mut().zip(insns) {
            *to = wire::FilterInsn { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k };
        }
        skel.maps.filter_programs.update(&place.to_ne_bytes(), bytemuck::bytes_of(&program), MapFlags::ANY)?;
    }
    Ok(())
}

fn refused(said: &str, program: &str) -> bool {
    said.contains(&format!("prog '{program}': failed to load"))
        || said.contains(&format!("prog '{program}': BPF program load failed"))
}

/// The verifier's last words, which mostly are the reason.
fn last_words(said: &str) -> String {
    said.lines()
        .rev()
        .map(str::trim)
        .find(|l| !l.is_empty() && !l.starts_with("libbpf:") && !l.starts_with("processed ") && !l.starts_with("--"))
        .unwrap_or("it gave no reason")
        .to_owned()
}

fn open<'obj>(
    config: &Config,
    why_not: &BTreeMap<&'static str, String>,
    storage: &'obj mut MaybeUninit<OpenObject>,
) -> Result<super::skeleton::OpenOvscopeSkel<'obj>, Error> {
    if let Ok(mut said) = LIBBPF_SAID.lock() {
        said.clear();
    }
    let mut open = OvscopeSkelBuilder::default()
        .open(storage)
        .map_err(|source| Error::Kernel { what: "opening the BPF object", source })?;
    if let Some(settings) = open.maps.rodata_data.as_deref_mut() {
        settings.cfg_snaplen = config.snaplen.min(super::SNAPLEN_MAX);
        settings.cfg_sample = config.sample;
        settings.cfg_budget = config.event_budget;
        settings.cfg_follow = config.follow;
        settings.cfg_generic = generic(config, why_not);
        settings.cfg_filter = config.filter.is_some();
        settings.cfg_sched = config.follow && !why_not.contains_key(HANDLER_SCHED);
    }
    open.maps
        .ring
        .set_max_entries(config.buffer)
        .map_err(|source| Error::Kernel { what: "sizing the ring buffer", source })?;
    for mut program in open.open_object_mut().progs_mut() {
        let wanted = program.name() == SWEEP && config.follow
            || PLANS
                .iter()
                .find(|p| p.programs.iter().any(|name| program.name() == *name))
                .is_some_and(|plan| !why_not.contains_key(plan.name) && is_wanted(plan, config, why_not));
        program.set_autoload(wanted);
    }
    Ok(open)
}

/// Packets are followed around OVS only where it is seen when they end: else a buffer's next owner would be taken for
/// the last.
fn generic(config: &Config, why_not: &BTreeMap<&'static str, String>) -> bool {
    config.sample > 0 && !why_not.contains_key(PACKET_END)
}

fn is_wanted(plan: &Plan, config: &Config, why_not: &BTreeMap<&'static str, String>) -> bool {
    match plan.wanted {
        Wanted::Always => true,
        Wanted::Follow => config.follow,
        Wanted::Usdt => config.follow && config.usdt != Usdt::Off,
        Wanted::Generic => generic(config, why_not),
    }
}

fn attach(
    config: &Config,
    skel: &mut OvscopeSkel<'_>,
    why_not: &BTreeMap<&'static str, String>,
) -> (Vec<Capability>, Vec<Link>) {
    let mut links = Vec::new();
    let mut programs: BTreeMap<String, ProgramMut<'_>> =
        skel.object_mut().progs_mut().map(|p| (p.name().to_string_lossy().into_owned(), p)).collect();
    let mut capabilities = Vec::new();
    for plan in PLANS {
        if let Some(why) = why_not.get(plan.name) {
            capabilities.push(plan.state(CapabilityState::Missing, why.clone()));
            continue;
        }
        if !is_wanted(plan, config, why_not) {
            let why = match plan.wanted {
                Wanted::Generic if config.sample > 0 => "needs packet_end".to_owned(),
                Wanted::Generic if config.follow => "--sample 0".to_owned(),
                Wanted::Usdt if config.follow => "--track kernel".to_owned(),
                _ => "--track off".to_owned(),
            };
            capabilities.push(plan.state(CapabilityState::Off, why));
            continue;
        }
        if plan.wanted == Wanted::Usdt {
            capabilities.push(plan.state(CapabilityState::Off, usdt::WAITING.to_owned()));
            continue;
        }
        let mut whole = Vec::new();
        let mut failed = None;
        for name in plan.programs {
            match programs.get_mut(*name).map(|p| p.attach()) {
                Some(Ok(link)) => whole.push(link),
                Some(Err(error)) => failed = Some(format!("could not be attached ({error}): {}", plan.without)),
                None => failed = Some(format!("program {name} is not in the object: {}", plan.without)),
            }
        }
        // A capability's programs only make sense together: with one missing, what was attached of it is detached again.
        capabilities.push(if let Some(why) = failed {
            plan.state(CapabilityState::Missing, why)
        } else {
            links.append(&mut whole);
            plan.state(CapabilityState::Attached, String::new())
        });
    }
    (capabilities, links)
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
    skel: &OvscopeSkel<'_>,
    mut capabilities: Vec<Capability>,
    mut listener: Listener,
    mut sink: Sink,
    stopped: &mpsc::Receiver<()>,
) {
    let batch = RefCell::new(Vec::with_capacity(BATCH));
    let undecoded = RefCell::new(0u64);
    let decoder = RefCell::new(Decoder::default());
    let mut builder = RingBufferBuilder::new();
    let callback = |bytes: &[u8]| {
        let mut batch = batch.borrow_mut();
        if decoder.borrow_mut().decode(bytes, &mut batch).is_err() {
            *undecoded.borrow_mut() += 1;
        }
        // A full batch interrupts the reading, so that it can be passed on.
        if batch.len() >= BATCH { -EARLY } else { 0 }
    };
    let Ok(ring) = builder.add(&skel.maps.ring, callback).map(|_| ()).and_then(|()| builder.build()) else {
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
            sweep(skel, if stop { 0 } else { QUIET_JIFFIES });
        }
        for _ in 0..BATCHES {
            let _ = ring.consume_raw();
            let events = batch.replace(Vec::with_capacity(BATCH));
            let full = events.len() >= BATCH;
            if !events.is_empty() && !sink(events) {
                return;
            }
            if !full {
                break;
            }
        }
        let now = Instant::now();
        let mut events = Vec::new();
        around.undecoded = *undecoded.borrow();
        if stop || now >= next_slow {
            next_slow = now + SLOW_PERIOD;
            listener.look(skel, &mut capabilities);
            slow(skel, &mut around, &mut capabilities, &mut events);
            with_flows = true;
        }
        if stop || now >= next_counters {
            next_counters = now + COUNTER_PERIOD;
            quick(&skel.maps, &mut counters, with_flows, decoder.borrow_mut().reasons(), &mut around, &mut events);
            with_flows = false;
        }
        if (!events.is_empty() && !sink(events)) || stop {
            return;
        }
    }
}

/// Has the kernel side tell the steps of packets that nothing happened to for so many jiffies.
fn sweep(skel: &OvscopeSkel<'_>, quiet: u64) {
    let mut order = bytemuck::bytes_of(&wire::SweepOrder { quiet }).to_vec();
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
    events: &mut Vec<Event>,
) {
    let now = monotonic_now();
    let stats = read_stats().unwrap_or_default();
    if let Ok(counters) = counters.read(maps, stats, now, with_flows, reasons) {
        events.push(Event::host(now, Body::Counters(Box::new(counters))));
    }
    if let Ok(loss) = read_loss(maps) {
        let loss = Loss { undecoded: around.undecoded, missed_runs: loss.missed_runs + around.missed_runs, ..loss };
        if loss != around.loss {
            around.loss = loss;
            events.push(Event::host(now, Body::Loss(loss)));
        }
    }
}

fn slow(skel: &OvscopeSkel<'_>, around: &mut Surroundings, capabilities: &mut [Capability], events: &mut Vec<Event>) {
    let now = monotonic_now();
    // An answer that did not come says nothing about the datapaths.
    if let Ok(datapaths) = read_datapaths()
        && around.datapaths.as_ref() != Some(&datapaths)
    {
        around.datapaths = Some(datapaths.clone());
        events.push(Event::host(now, Body::Datapaths { datapaths }));
    }
    forget_dead_handlers(&skel.maps);
    around.missed_runs = read_programs(skel, capabilities);
    events.push(Event::host(now, Body::Probes { capabilities: capabilities.to_vec() }));
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

/// Runs and nanoseconds of each capability's programs, where the kernel's BPF statistics are on. Returns how many runs
/// the kernel left out; those of a twin's other half are no loss.
fn read_programs(skel: &OvscopeSkel<'_>, capabilities: &mut [Capability]) -> u64 {
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    for program in skel.object().progs() {
        if let Ok(id) = Program::id_from_fd(program.as_fd()) {
            names.insert(id, program.name().to_string_lossy().into_owned());
        }
    }
    let mut missed = 0;
    let mut costs = BTreeMap::new();
    for info in ProgInfoIter::default() {
        let Some(name) = names.get(&info.id) else { continue };
        let has_twin = |name: &String| names.values().any(|other| *other == format!("{name}_twin"));
        if !name.ends_with("_twin") && !has_twin(name) {
            missed += info.recursion_misses;
        }
        costs.insert(name.clone(), ProbeCost { runs: info.run_cnt, ns: info.run_time_ns });
    }
    for (plan, capability) in PLANS.iter().zip(capabilities) {
        let mut sum = ProbeCost::default();
        for cost in plan.programs.iter().filter_map(|name| costs.get(*name)) {
            sum.runs += cost.runs;
            sum.ns += cost.ns;
        }
        capability.cost = (capability.state == CapabilityState::Attached && sum.runs > 0).then_some(sum);
    }
    missed
}
