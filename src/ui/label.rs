//! Words for what the model names by number: ports, packets, upcalls, outcomes.

use std::net::SocketAddr;

use crate::{
    event::{DpIfindex, PacketId, PortNo, UpcallCmd, UpcallId, errno_meaning, errno_name, task_name},
    model::{Culprit, Fate, FlowKey, Model, Packet, TalkerKey, UpcallEnd, proto_name},
};

/// The port's name, or `port 3` where it has none; `port ?` where it is not known.
pub fn port(model: &Model, dp: Option<DpIfindex>, port: PortNo) -> String {
    if port == PortNo::NONE {
        return "port ?".to_owned();
    }
    // A datapath that is not known yet can only be the one there is.
    let dp = dp.filter(|dp| dp.0 != 0).or_else(|| match model.datapaths() {
        [only] => Some(only.dp),
        _ => None,
    });
    dp.and_then(|dp| model.port_name(dp, port)).map_or_else(|| format!("port {}", port.0), str::to_owned)
}

/// Both kinds of identity are `cpu << 40 | sequence`.
fn identity(id: u64) -> String {
    let (cpu, sequence) = (id >> 40, id & ((1 << 40) - 1));
    if cpu == 0 { format!("#{sequence}") } else { format!("#{cpu}.{sequence}") }
}

/// `#81`, or `#3.81` for the 81st of CPU 3.
pub fn packet(id: PacketId) -> String {
    identity(id.0)
}

/// The same of an upcall.
pub fn upcall(id: UpcallId) -> String {
    identity(id.0)
}

/// `miss`, `action`, or the number.
pub fn cmd(cmd: UpcallCmd) -> String {
    match cmd {
        UpcallCmd::Miss => "miss".to_owned(),
        UpcallCmd::Action => "action".to_owned(),
        UpcallCmd::Other(n) => format!("command {n}"),
    }
}

/// `ok`, or the errno's name, or its number.
pub fn outcome(ret: i32) -> String {
    match ret {
        0 => "ok".to_owned(),
        ret => errno_name(ret).map_or_else(|| format!("errno {}", ret.unsigned_abs()), str::to_owned),
    }
}

/// The same, and what it means, where there are words for it.
pub fn outcome_meaning(ret: i32) -> String {
    match errno_meaning(ret) {
        Some(meaning) if ret != 0 => format!("{}: {meaning}", outcome(ret)),
        _ => outcome(ret),
    }
}

/// An IP protocol's name, or `proto 89`.
pub fn protocol(proto: u8) -> String {
    proto_name(proto).map_or_else(|| format!("proto {proto}"), str::to_owned)
}

/// Who makes upcalls.
pub fn talker(model: &Model, key: TalkerKey) -> String {
    match key {
        TalkerKey::Port(dp, number) => port(model, Some(dp), number),
        TalkerKey::Cmd(reason) => cmd(reason),
        TalkerKey::Errno(ret) => outcome_meaning(ret),
        TalkerKey::Cpu(cpu) => format!("cpu {cpu}"),
        TalkerKey::Handler { task: Some((tid, comm)), .. } => task_name(comm, tid),
        TalkerKey::Handler { port: 0, task: None } => "nobody listens".to_owned(),
        TalkerKey::Handler { port, task: None } => format!("portid {port}"),
        TalkerKey::Ip(address, proto) => format!("{address} {}", protocol(proto)),
        TalkerKey::Mac(mac) => mac.to_string(),
        TalkerKey::Tuple { src, dst, proto, ports: Some((from, to)) } => {
            let (src, dst) = (SocketAddr::new(src, from), SocketAddr::new(dst, to));
            format!("{src} → {dst} {}", protocol(proto))
        }
        TalkerKey::Tuple { src, dst, proto, ports: None } => format!("{src} → {dst} {}", protocol(proto)),
        TalkerKey::Cookie(cookie) => format!("cookie {cookie:#x}"),
    }
}

/// Whom a verdict names, with what it is.
pub fn culprit(model: &Model, culprit: Culprit) -> String {
    match culprit {
        Culprit::Port(dp, number) => match port(model, Some(dp), number) {
            name if name.starts_with("port ") => name,
            name => format!("port {name}"),
        },
        Culprit::Talker(TalkerKey::Errno(ret)) => outcome(ret),
        Culprit::Talker(key) => talker(model, key),
        Culprit::Field(field) => format!("field {}", field.name()),
        Culprit::Handler(tid) => match model.handlers().iter().find(|handler| handler.tid == tid) {
            Some(handler) => task_name(handler.comm, tid),
            None => format!("thread {tid}"),
        },
        Culprit::Flow(FlowKey::Ufid(_, ufid)) => format!("flow {:08x}…", ufid.0[0]),
        Culprit::Flow(FlowKey::Ptr(..)) => "a flow known by its key".to_owned(),
    }
}

/// A packet in a line, or what to say without its bytes.
pub fn packet_summary(packet: Option<&Packet>) -> String {
    match packet {
        Some(Packet { summary: Some(known), .. }) => known.to_string(),
        Some(Packet { len: Some(len), .. }) => format!("{len} bytes, not seen"),
        _ => "–".to_owned(),
    }
}

/// What became of a packet, and whether that is bad.
pub fn fate(model: &Model, packet: &Packet, fate: Fate) -> (String, bool) {
    match fate {
        Fate::Forwarded => {
            let names: Vec<String> = packet.outputs.iter().map(|out| port(model, packet.dp, *out)).collect();
            let more = if packet.outputs_cut > 0 { format!(" +{}", packet.outputs_cut) } else { String::new() };
            (format!("→ {}{more}", names.join(", ")), false)
        }
        Fate::Dropped { reason: 0 } => ("dropped by its flow".to_owned(), false),
        Fate::Dropped { reason } => (format!("dropped, {}", outcome(reason.cast_signed())), false),
        Fate::DroppedFor => match &packet.dropped {
            Some(drop) => (format!("dropped, {}", drop_reason(drop.reason, &drop.name)), false),
            None => ("dropped".to_owned(), false),
        },
        Fate::NoAction => ("no action: dropped".to_owned(), false),
        Fate::NotGivenBack => ("not given back: dropped".to_owned(), false),
        Fate::Lost { ret } => (format!("LOST {}", outcome(ret)), true),
        Fate::NotHandledYet => ("waits for a handler".to_owned(), false),
        Fate::NotAnsweredYet => ("handler at work".to_owned(), false),
        Fate::ToUserspace => ("to userspace".to_owned(), false),
        Fate::ExecFailed { ret } => (format!("EXECUTE FAILED {}", outcome(ret)), true),
        Fate::Consumed => ("actions, no output".to_owned(), false),
        Fate::InFlight => ("on its way".to_owned(), false),
    }
}

/// A drop's reason by its name, or by its number where the kernel did not name it.
pub fn drop_reason(reason: u32, name: &str) -> String {
    match (name, reason >> 16) {
        ("", 0) => format!("reason {reason}"),
        ("", subsystem) => format!("reason {} of subsystem {subsystem}", reason & 0xffff),
        (name, _) => name.to_owned(),
    }
}

/// How an upcall ended, and whether that is bad.
pub fn end(end: UpcallEnd) -> (String, bool) {
    match end {
        UpcallEnd::PutFailed { ret } => (format!("PUT FAILED {}", outcome(ret)), true),
        UpcallEnd::ExecFailed { ret } => (format!("EXECUTE FAILED {}", outcome(ret)), true),
        UpcallEnd::Refused { ret } => (format!("LOST {}", outcome(ret)), true),
        other => (other.name().to_owned(), false),
    }
}
