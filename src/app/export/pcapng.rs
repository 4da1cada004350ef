//! A recording's packets as pcapng: each once, where and when it was first seen, with what became of it.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
};

use super::{ExportSummary, comment::comments, written};
use crate::{
    event::{Body, DpIfindex, Event, Name, Nanos, PacketBytes, PacketId, PortNo},
    model::{Limits, Model, Packet, SECOND},
    record::{
        Recording,
        pcapng::{CapturedPacket, Interface, PcapngWriter, Section, Statistics},
    },
    ui::{clean, label, losses},
};

/// A packet is written this long after it was first seen: by then its upcall is answered, or never will be.
const HOLD: Nanos = 10 * SECOND;
/// At most so many packets wait for that, fewer than the model keeps, ...
const WAITING: usize = 10_000;
/// ... of at most so many bytes: packets may have been recorded whole.
const WAITING_BYTES: usize = 32 << 20;
/// How many events pass between two looks at what waits.
const LOOK: u64 = 256;
/// How many interfaces are told apart.
const INTERFACES: usize = 4096;

/// Where a packet was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// A device of a network namespace.
    Device { netns: u32, ifindex: u32, name: Name },
    /// A port of a datapath.
    Port(DpIfindex, PortNo),
    /// Not known: its events do not say.
    Unknown,
    /// Any interface beyond those that are told apart.
    Others,
    /// The session as a whole, for what is missing in it.
    Session,
}

/// Writes the packets whose bytes were recorded, in the order of their times, each with an interface, comments and its
/// identity; at the end what is missing, by interface and in all. A reader of `output` that closes it early is no error.
pub fn pcapng(recording: &mut Recording, output: impl Write) -> anyhow::Result<ExportSummary> {
    let mut summary = ExportSummary::default();
    let mut to_the_end = false;
    written(output, |output| {
        let mut walk = Walk::new(output);
        for batch in &mut *recording {
            for event in batch? {
                walk.take(&event)?;
            }
        }
        summary.events = walk.events;
        summary.packets = walk.finish(recording.remarks().as_deref())?;
        to_the_end = true;
        Ok(())
    })?;
    let none = (to_the_end && summary.packets == 0)
        .then(|| "the recording has no packet's bytes, so the export has no packets".to_owned());
    summary.remarks = recording.remarks().into_iter().chain(none).reduce(|a, b| format!("{a}\n{b}"));
    Ok(summary)
}

struct Walk<W: Write> {
    /// Where to write, until the first packet is written: the file's head says who recorded, which the events tell.
    output: Option<W>,
    writer: Option<PcapngWriter<W>>,
    model: Model,
    events: u64,
    /// By time.
    waiting: BTreeMap<(Nanos, PacketId), PacketBytes>,
    /// The bytes of those.
    waiting_bytes: usize,
    interfaces: HashMap<Place, u32>,
    /// Packets written, by interface.
    delivered: Vec<u64>,
    /// The times of the first packet written and the last.
    span: Option<(u64, u64)>,
}

impl<W: Write> Walk<W> {
    fn new(output: W) -> Self {
        // Room enough that whatever waits still has its events, even where a packet has many.
        let limits = Limits { packet_events: 500_000, packet_bytes: 32 << 20, ..Limits::default() };
        Self {
            output: Some(output),
            writer: None,
            model: Model::new(limits),
            events: 0,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            interfaces: HashMap::new(),
            delivered: Vec::new(),
            span: None,
        }
    }

    fn take(&mut self, event: &Event) -> anyhow::Result<()> {
        self.events += 1;
        match (&event.body, event.packet) {
            (Body::PacketBytes(bytes), Some(id)) => {
                self.waiting_bytes += bytes.data.len();
                let same = self.waiting.insert((event.ts, id), bytes.clone());
                self.waiting_bytes -= same.map_or(0, |same| same.data.len());
            }
            // Another host, or probes attached anew: identities begin again, and the model forgets.
            (Body::Session(session), _) if self.model.session().is_some_and(|before| !before.is_same(session)) => {
                self.write_while(|_, _| true)?;
            }
            _ => {}
        }
        self.model.apply(event);
        if self.events.is_multiple_of(LOOK) {
            let due = self.model.now().saturating_sub(HOLD);
            self.write_while(|ts, walk| {
                ts <= due || walk.waiting.len() > WAITING || walk.waiting_bytes > WAITING_BYTES
            })?;
        }
        Ok(())
    }

    /// Writes what waits, the oldest first, for as long as `is_due` says so of the oldest one's time.
    fn write_while(&mut self, is_due: impl Fn(Nanos, &Self) -> bool) -> anyhow::Result<()> {
        while let Some((&(ts, _), _)) = self.waiting.first_key_value()
            && is_due(ts, self)
            && let Some(((ts, id), bytes)) = self.waiting.pop_first()
        {
            self.waiting_bytes -= bytes.data.len();
            self.write(ts, id, &bytes)?;
        }
        Ok(())
    }

    fn write(&mut self, ts: Nanos, id: PacketId, bytes: &PacketBytes) -> anyhow::Result<()> {
        let packet = self.model.packet(id);
        let place = packet.map_or(Place::Unknown, |packet| place(&self.model, packet));
        let comments = packet.map_or_else(
            || vec![format!("packet {}: its way was not kept, as there were too many at once", label::packet(id))],
            |packet| comments(&self.model, packet),
        );
        let time = self.time(ts);
        let interface = self.interface(place)?;
        let (len, data) = (bytes.len, &bytes.data[..]);
        self.writer()?.packet(&CapturedPacket { interface, time, len, data, id: id.0, comments: &comments })?;
        self.delivered[interface as usize] += 1;
        self.span = Some(self.span.map_or((time, time), |(from, to)| (from.min(time), to.max(time))));
        Ok(())
    }

    /// The wall-clock time in nanoseconds; the monotonic time where the recording does not tell it, as the head then says.
    fn time(&self, ts: Nanos) -> u64 {
        self.model.wall(ts).unwrap_or(ts)
    }

    fn writer(&mut self) -> anyhow::Result<&mut PcapngWriter<W>> {
        if let Some(output) = self.output.take() {
            let session = self.model.session();
            let (hardware, kernel) = session.map_or(("", ""), |s| (s.machine.as_str(), s.kernel.as_str()));
            let os = if kernel.is_empty() { String::new() } else { clean(&format!("Linux {kernel}")) };
            let recorded = session.map_or_else(String::new, |s| {
                let host = if s.host.is_empty() { String::new() } else { format!(" on {}", s.host) };
                clean(&format!("recorded by {}{host}: {}", s.program, s.command))
            });
            let clock = if session.is_none_or(|s| s.clock.wall == 0) {
                "\nthe times are those of the host's monotonic clock: the recording does not tell the wall clock"
            } else {
                ""
            };
            let comment = format!("{recorded}{clock}");
            let section = Section {
                hardware: &clean(hardware),
                os: &os,
                application: concat!("ovscope ", env!("CARGO_PKG_VERSION")),
                comment: comment.trim(),
            };
            self.writer = Some(PcapngWriter::new(output, &section)?);
        }
        self.writer.as_mut().ok_or_else(|| anyhow::anyhow!("the export's head could not be written"))
    }

    fn interface(&mut self, place: Place) -> anyhow::Result<u32> {
        if let Some(interface) = self.interfaces.get(&place) {
            return Ok(*interface);
        }
        if self.interfaces.len() >= INTERFACES && !matches!(place, Place::Others | Place::Session) {
            return self.interface(Place::Others);
        }
        let datapath = |dp| self.model.datapath(dp).map_or_else(|| format!("datapath {}", dp.0), |d| d.name.clone());
        let (name, description) = match place {
            Place::Device { netns, ifindex, name } => {
                (name.to_string(), format!("interface {ifindex} of network namespace {netns}"))
            }
            Place::Port(dp, port) => {
                (label::port(&self.model, Some(dp), port), format!("port {} of {}", port.0, datapath(dp)))
            }
            Place::Unknown => ("unknown".to_owned(), "where the packet came in was not recorded".to_owned()),
            Place::Others => ("others".to_owned(), "interfaces beyond those that are told apart".to_owned()),
            Place::Session => ("ovscope".to_owned(), "the session as a whole: what is missing in it".to_owned()),
        };
        let interface =
            self.writer()?.interface(&Interface { name: &clean(&name), description: &clean(&description) })?;
        self.interfaces.insert(place, interface);
        self.delivered.push(0);
        Ok(interface)
    }

    /// Writes the rest and what is missing. Returns the number of packets written.
    fn finish(mut self, remarks: Option<&str>) -> anyhow::Result<u64> {
        self.write_while(|_, _| true)?;
        let lost: Vec<(Place, u64)> =
            self.model.ports().iter().filter(|r| r.lost > 0).map(|r| (Place::Port(r.dp, r.port), r.lost)).collect();
        let mut lost_at: HashMap<u32, u64> = HashMap::new();
        for (place, lost) in lost {
            *lost_at.entry(self.interface(place)?).or_default() += lost;
        }
        let session = self.interface(Place::Session)?;
        let packets: u64 = self.delivered.iter().sum();
        let (time, span) = (self.time(self.model.now()), self.span);
        for (interface, delivered) in self.delivered.clone().into_iter().enumerate() {
            let interface = interface as u32;
            if interface == session {
                continue;
            }
            let lost = lost_at.get(&interface).copied();
            let comments: Vec<String> = lost.iter().map(|n| format!("{n} upcalls of this port were lost")).collect();
            let delivered = Some(delivered);
            self.writer()?.statistics(&Statistics {
                interface,
                time,
                span,
                os_dropped: lost,
                delivered,
                comments: &comments,
                ..Statistics::default()
            })?;
        }
        let comments = self.missing(remarks);
        let no_room = self.model.loss().untracked.saturating_add(self.model.loss().over_budget);
        let os_dropped = self.model.totals().map(|totals| totals.upcalls_lost);
        self.writer()?.statistics(&Statistics {
            interface: session,
            time,
            span,
            received: None,
            dropped: Some(no_room),
            os_dropped,
            delivered: Some(packets),
            comments: &comments,
        })?;
        Ok(packets)
    }

    /// What is missing in the recording, and what the datapath dropped, in words.
    fn missing(&self, remarks: Option<&str>) -> Vec<String> {
        let model = &self.model;
        let unwanted = losses::unwanted(model.loss());
        let left_out = losses::left_out(model.loss(), &crate::model::Evicted::default());
        let missing = unwanted.iter().chain(&left_out).filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}"));
        let lost = model.totals().filter(|totals| totals.upcalls_lost > 0);
        let lost = lost.map(|totals| format!("{} upcalls were lost, and their packets", totals.upcalls_lost));
        let drops = model
            .drops()
            .into_iter()
            .map(|row| format!("dropped by the datapath: {}: {}", label::drop_reason(row.reason, row.name), row.count));
        let remarks = remarks.into_iter().flat_map(str::lines).map(str::to_owned);
        missing.chain(lost).chain(drops).chain(remarks).map(|words| clean(&words)).collect()
    }
}

/// The place of the first event that has one.
fn place(model: &Model, packet: &Packet) -> Place {
    let known = |dp, port| (port != PortNo::NONE).then_some(Place::Port(dp, port));
    let of = |event: &Event| match &event.body {
        Body::Dev(e) => Some(Place::Device { netns: e.netns, ifindex: e.ifindex, name: e.dev }),
        Body::FlowLookup(e) => known(e.dp, e.in_port?),
        Body::Upcall(e) => known(e.dp, e.in_port),
        Body::ActionExecute(e) => known(e.dp, e.in_port),
        _ => None,
    };
    model.timeline(packet).find_map(of).unwrap_or(Place::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_packets_that_wait_are_bounded_by_their_bytes() {
        let mut walk = Walk::new(Vec::new());
        let large = 9000;
        // All within the time that packets wait, and fewer than may wait.
        for n in 0..9_000 {
            let body = Body::PacketBytes(PacketBytes { len: large, data: vec![0; large as usize].into() });
            walk.take(&Event { packet: Some(PacketId(n)), ..Event::host(n, body) }).expect("memory");
            let room = WAITING_BYTES + LOOK as usize * large as usize;
            assert!(walk.waiting_bytes <= room, "{} bytes wait", walk.waiting_bytes);
        }
        assert_eq!(walk.waiting_bytes, walk.waiting.len() * large as usize);
        assert_eq!(walk.finish(None).expect("memory"), 9_000);
    }
}
