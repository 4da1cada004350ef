//! What the fuzz targets (fuzz/) call: each takes any bytes, must not panic or take memory without bound, and says how
//! much it made of them. `tests/fuzz_seeds.rs` calls the same with the seeds.

use crate::{
    app::trigger::Trigger,
    event::{Datapath, DpIfindex, Port, PortNo, Told},
    filter::{
        Known, Programs, Where,
        classic::{self, Insn},
    },
    model::Model,
    ovs_text::{FlowText, Rule, Trace},
    probes::decode::Decoder,
    record::{Recording, read_message},
};

/// A target, by its name.
pub type Target = (&'static str, fn(&[u8]) -> usize);

/// All of them.
pub const TARGETS: [Target; 8] = [
    ("recording_reader", recording_reader),
    ("recording_message", recording_message),
    ("retis_reader", retis_reader),
    ("ring_decoder", ring_decoder),
    ("filter_where", filter_where),
    ("filter_program", filter_program),
    ("trigger", trigger),
    ("ovs_text", ovs_text),
];

/// A recording of any kind, from its first byte. Events read.
pub fn recording_reader(bytes: &[u8]) -> usize {
    let Ok(mut recording) = Recording::from_bytes("memory", bytes.to_vec()) else { return 0 };
    let (mut events, mut last) = (0, 0);
    for batch in recording.by_ref() {
        let batch = batch.expect("memory can be read");
        last = batch.iter().map(|event| event.ts).fold(last, u64::max);
        events += batch.len();
    }
    let _ = recording.remarks();
    recording.seek(last / 2).expect("memory can be read from any place");
    let again: usize = recording.map(|batch| batch.expect("memory can be read").len()).sum();
    assert!(events > 0 || again == 0, "what cannot be read from the begin is not there later");
    events
}

/// One message of a recording: what is in its chunks, which no other input than a whole chunk gets at. Events read.
pub fn recording_message(bytes: &[u8]) -> usize {
    read_message(bytes).map_or(0, |events| events.len())
}

/// Lines of an event file of retis, behind a good first line. Events read.
pub fn retis_reader(bytes: &[u8]) -> usize {
    const STARTUP: &[u8] = br#"{"common":{"timestamp":1},"startup":{"retis_version":"v1.6.0","clock_monotonic_offset":{"sec":1,"nsec":2}}}"#;
    let file = [STARTUP, b"\n", bytes].concat();
    // Of the first line alone are two.
    recording_reader(&file).saturating_sub(2)
}

/// Records of the ring buffer, each behind its length in two bytes. Events decoded.
pub fn ring_decoder(mut bytes: &[u8]) -> usize {
    let mut decoder = Decoder::default();
    let mut told = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
        let (record, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*len).into()));
        let _ = decoder.decode(record, &mut told);
        bytes = rest;
    }
    let events = Told::expanded(told);
    for event in &events {
        let _ = serde_json::to_string(event).expect("every event has a form in JSON");
    }
    events.len()
}

/// `--where`: read, looked up and compiled, or refused with a mark below the place. Instructions made.
pub fn filter_where(bytes: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(bytes) else { return 0 };
    let port = |port, name: &str| Port { port: PortNo(port), name: name.to_owned(), kind: String::new(), ifindex: 1 };
    let ports = vec![port(0, "br0"), port(1, "p1")];
    let datapaths = vec![Datapath { dp: DpIfindex(4), name: "ovs-system".to_owned(), ports, stats: None }];
    let reasons = [(3, "NO_SOCKET".to_owned()), (0x3_0005, "OVS_DROP_METER".to_owned())].into();
    let known = Known { datapaths, reasons };
    let condition = match Where::parse(text).and_then(|expression| expression.resolve(&known)) {
        Ok(condition) => condition,
        Err(wrong) => {
            assert!(wrong.shown(text).contains('^'));
            return 0;
        }
    };
    let Ok(programs) = Programs::of(Vec::new(), Some(&condition), true) else { return 0 };
    for program in [&programs.lookup, &programs.upcall, &programs.drop] {
        assert!(program.is_empty() || classic::check(program).is_ok(), "what is compiled may be run");
    }
    programs.lookup.len() + programs.upcall.len() + programs.drop.len()
}

/// A classic BPF program, eight bytes an instruction, as libpcap gives it: whether it may be run. Its instructions.
pub fn filter_program(bytes: &[u8]) -> usize {
    let insn = |b: &[u8; 8]| Insn {
        code: u16::from_le_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
    };
    let program: Vec<Insn> = bytes.as_chunks().0.iter().map(insn).collect();
    match classic::check(&program) {
        Ok(()) => program.len(),
        Err(why) => {
            assert!(!why.to_string().is_empty());
            0
        }
    }
}

/// `--trigger`: read or refused in words. What is read is read again from what is shown of it, and does not hold where
/// nothing is counted. 1 if it is one.
pub fn trigger(bytes: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(bytes) else { return 0 };
    match text.parse::<Trigger>() {
        Ok(trigger) => {
            let shown = trigger.to_string();
            assert_eq!(shown.parse::<Trigger>().map(|again| again.to_string()), Ok(shown));
            assert!(!trigger.holds(&Model::default()));
            1
        }
        Err(why) => {
            assert!(!why.is_empty());
            0
        }
    }
}

/// Texts of the daemon: a flow and a rule are written back as they were. Parts understood.
pub fn ovs_text(bytes: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(bytes) else { return 0 };
    let mut parts = 0;
    for line in text.lines() {
        let (flow, rule) = (FlowText::read(line), Rule::read(line));
        assert_eq!((flow.to_string(), rule.to_string()), (line.to_owned(), line.to_owned()));
        parts += flow.key.0.len() + rule.matches().count();
    }
    let trace = Trace::read(text);
    parts + trace.passes.iter().map(|pass| pass.met.len()).sum::<usize>()
}
