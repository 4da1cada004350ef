//! Upcalls by kind: what the kernel side's upcall counters say of ports, reasons, outcomes and handlers.

use super::{
    counting::Reading,
    limits::{Evicted, Limits},
    meter::{LastTen, Meter, SECOND},
    ordered::Ordered,
    talkers::TalkerKey,
};
use crate::event::{DpIfindex, Nanos, PortNo, UpcallCmd, UpcallCounter};

/// What a counter counts.
type Kind = (DpIfindex, PortNo, UpcallCmd, u32, Option<u32>, i32);

/// One talker's upcalls.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Tally {
    sum: u64,
    meter: Meter,
    recent: LastTen,
}

/// A port's upcalls by reason.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PortTally {
    misses: Tally,
    actions: Tally,
    others: Tally,
    lost: Tally,
}

impl PortTally {
    fn all(&mut self) -> [&mut Tally; 4] {
        [&mut self.misses, &mut self.actions, &mut self.others, &mut self.lost]
    }

    /// Misses, actions and lost: how many, and how many per second at `now`; and how many upcalls for other reasons.
    pub fn figures(&self, now: Nanos) -> ([(u64, f64); 3], u64) {
        ([self.misses, self.actions, self.lost].map(|t| (t.sum, t.meter.rate(now))), self.others.sum)
    }
}

/// A netlink port's upcalls: all, and those of them that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct SocketTally {
    all: Tally,
    lost: Tally,
}

/// All kinds, and their sums by port, reason, outcome and handler.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpcallKinds {
    counts: Ordered<Kind, u64>,
    ports: Ordered<(DpIfindex, PortNo), PortTally>,
    cmds: Ordered<UpcallCmd, Tally>,
    outcomes: Ordered<i32, Tally>,
    sockets: Ordered<u32, SocketTally>,
    /// Upcalls whose CPU is known.
    cpus: Ordered<u32, Tally>,
}

impl UpcallKinds {
    /// Takes a reading at `ts`.
    pub fn apply(
        &mut self,
        reading: Reading,
        ts: Nanos,
        counters: &[UpcallCounter],
        limits: &Limits,
        evicted: &mut Evicted,
    ) {
        if reading == Reading::First {
            *self = Self::default();
        }
        let mut without_room = 0;
        for counter in counters {
            let kind = (counter.dp, counter.in_port, counter.cmd, counter.port, counter.cpu, counter.ret);
            if !self.counts.contains_key(&kind) && self.counts.len() >= limits.upcall_kinds.max(1) {
                without_room += 1;
                continue;
            }
            let before = self.counts.insert(kind, counter.count).unwrap_or(0);
            self.add(reading, ts, counter, counter.count.saturating_sub(before));
        }
        evicted.upcall_kinds = evicted.upcall_kinds.max(without_room);
        let before = match reading {
            Reading::After(before) => Some(before),
            _ => None,
        };
        let ports = self.ports.values_mut().flat_map(PortTally::all);
        let sockets = self.sockets.values_mut().flat_map(|s| [&mut s.all, &mut s.lost]);
        for tally in ports.chain(sockets) {
            match before {
                Some(before) => tally.meter.set(before, ts, tally.sum),
                None => tally.meter.start(ts, tally.sum),
            }
        }
    }

    fn add(&mut self, reading: Reading, ts: Nanos, counter: &UpcallCounter, grown: u64) {
        let port = self.ports.entry((counter.dp, counter.in_port)).or_default();
        let socket = self.sockets.entry(counter.port).or_default();
        let by_cmd = match counter.cmd {
            UpcallCmd::Miss => &mut port.misses,
            UpcallCmd::Action => &mut port.actions,
            UpcallCmd::Other(_) => &mut port.others,
        };
        let cmd = self.cmds.entry(counter.cmd).or_default();
        let outcome = self.outcomes.entry(counter.ret).or_default();
        let cpu = counter.cpu.map(|cpu| self.cpus.entry(cpu).or_default());
        let lost = (counter.ret != 0).then_some([&mut port.lost, &mut socket.lost]);
        // When the upcalls before the first reading were is not known: they are in the sums and not in the seconds.
        let recent = if matches!(reading, Reading::After(_)) { grown } else { 0 };
        for tally in [by_cmd, &mut socket.all, cmd, outcome].into_iter().chain(cpu).chain(lost.into_iter().flatten()) {
            tally.sum = tally.sum.saturating_add(grown);
            tally.recent.add(ts / SECOND, recent);
        }
    }

    /// Every port that made upcalls.
    pub fn ports(&self) -> impl Iterator<Item = ((DpIfindex, PortNo), &PortTally)> {
        self.ports.iter().map(|(key, tally)| (*key, tally))
    }

    pub fn port(&self, dp: DpIfindex, port: PortNo) -> Option<&PortTally> {
        self.ports.get(&(dp, port))
    }

    /// Upcalls to a netlink port, per second at `now`, and how many were lost.
    pub fn socket(&self, port: u32, now: Nanos) -> (u64, f64, u64) {
        self.sockets.get(&port).map_or((0, 0.0, 0), |s| (s.all.sum, s.all.meter.rate(now), s.lost.sum))
    }

    pub fn by_port(&self, second: u64) -> Vec<(TalkerKey, u64)> {
        let count = move |t: &Tally| t.recent.total(second);
        let of = |t: &PortTally| count(&t.misses) + count(&t.actions) + count(&t.others);
        self.ports.iter().map(|(&(dp, port), tally)| (TalkerKey::Port(dp, port), of(tally))).collect()
    }

    pub fn by_cmd(&self, second: u64) -> Vec<(TalkerKey, u64)> {
        self.cmds.iter().map(|(&cmd, tally)| (TalkerKey::Cmd(cmd), tally.recent.total(second))).collect()
    }

    pub fn by_outcome(&self, second: u64) -> Vec<(TalkerKey, u64)> {
        self.outcomes.iter().map(|(&ret, tally)| (TalkerKey::Errno(ret), tally.recent.total(second))).collect()
    }

    pub fn by_cpu(&self, second: u64) -> Vec<(TalkerKey, u64)> {
        self.cpus.iter().map(|(&cpu, tally)| (TalkerKey::Cpu(cpu), tally.recent.total(second))).collect()
    }

    pub fn by_socket(&self, second: u64) -> impl Iterator<Item = (u32, u64)> {
        self.sockets.iter().map(move |(&port, tally)| (port, tally.all.recent.total(second)))
    }
}
