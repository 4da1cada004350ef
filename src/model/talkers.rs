//! Who makes the upcalls of the last ten seconds.

use std::net::IpAddr;

use super::{meter::LastTen, ordered::Ordered};
use crate::event::{Comm, DpIfindex, MacAddr, PortNo, UpcallCmd};

/// What upcalls are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The port the packets came in by. Exact.
    InPort,
    /// The reason. Exact.
    Cmd,
    /// What `ovs_dp_upcall` returned. Exact.
    Errno,
    /// The handler's netlink port. Exact.
    Handler,
    /// The CPU that they were made on. Exact.
    Cpu,
    /// Where the packets come from: IP source and protocol, else Ethernet source. Of the upcalls seen in detail.
    Source,
    /// Where they go. Of the upcalls seen in detail.
    Destination,
    /// The Ethernet source. Of the upcalls seen in detail.
    SourceMac,
    /// The Ethernet destination. Of the upcalls seen in detail.
    DestinationMac,
    /// Addresses, protocol and ports; what is not IP is unknown in it. Of the upcalls seen in detail.
    FiveTuple,
    /// The cookie of the OpenFlow rule that punts packets to a controller. Of the upcalls seen in detail, and of those the
    /// ones that a `controller` action makes.
    Cookie,
}

/// Who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TalkerKey {
    /// A port of a datapath.
    Port(DpIfindex, PortNo),
    /// A reason.
    Cmd(UpcallCmd),
    /// 0, or minus an errno.
    Errno(i32),
    /// A netlink port and, where a receive on it was seen, the handler's thread.
    Handler {
        /// The netlink port.
        port: u32,
        /// Thread id and name.
        task: Option<(u32, Comm)>,
    },
    /// A CPU.
    Cpu(u32),
    /// An IP address and a protocol's number.
    Ip(IpAddr, u8),
    /// An Ethernet address.
    Mac(MacAddr),
    /// The 5-tuple of a flow of packets.
    Tuple {
        /// Source.
        src: IpAddr,
        /// Destination.
        dst: IpAddr,
        /// The protocol's number.
        proto: u8,
        /// Source and destination port, where there are some.
        ports: Option<(u16, u16)>,
    },
    /// An OpenFlow rule's cookie. Rules of several bridges may have the same.
    Cookie(u64),
}

/// One of those who make upcalls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Talker {
    /// Who.
    pub key: TalkerKey,
    /// Upcalls in the last ten monotonic seconds, the running one among them. Exact ones count in the second in which
    /// the counters were read, a quarter second late at most.
    pub count: u64,
    /// The same per second.
    pub per_second: f64,
    /// Its part of all upcalls of this dimension, 0 to 1.
    pub share: f64,
}

/// The biggest talkers of a dimension, and what is not among them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Talkers {
    /// The biggest first.
    pub top: Vec<Talker>,
    /// How many upcalls of the last ten seconds this dimension knows of, those of `top` among them.
    pub total: u64,
    /// Upcalls whose talker is not told apart: there were too many, or the packet's bytes were not seen, or do not have
    /// what this dimension is about.
    pub unknown: u64,
    /// Those of `unknown` whose talkers were too many: the bound of the error. A talker made at least as many as its
    /// `count` and at most so many more; one that is not told apart made at most so many. 0 where nobody is missed.
    pub short: u64,
    /// Whether the numbers come from the kernel side's exact counters; else from the upcalls seen in detail.
    pub exact: bool,
}

/// Counts by talker over ten seconds, for as many talkers as there is room for. A newcomer that finds no room counts among the
/// others until the next second, when the small ones make room: a big talker is never missed for longer. No count is ever too
/// high, and whatever a count may lack is among the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sketch {
    talkers: Ordered<TalkerKey, LastTen>,
    others: LastTen,
    unknown: LastTen,
}

impl Sketch {
    /// Counts one; says whether it has a place of its own.
    pub fn add(&mut self, key: TalkerKey, second: u64, limit: usize) -> bool {
        if let Some(count) = self.talkers.get_mut(&key) {
            count.add(second, 1);
        } else if self.talkers.len() < limit.max(1) {
            let mut count = LastTen::default();
            count.add(second, 1);
            self.talkers.insert(key, count);
        } else {
            self.others.add(second, 1);
            return false;
        }
        true
    }

    /// Counts one whose talker is not known.
    pub fn add_unknown(&mut self, second: u64) {
        self.unknown.add(second, 1);
    }

    /// The talker of one of those is known now.
    pub fn take_unknown(&mut self, second: u64) {
        self.unknown.take(second);
    }

    /// A new second has begun: talkers that were silent for ten seconds go and, where more than half of the room is taken, the
    /// smaller ones. Returns how many of the latter there were.
    pub fn advance(&mut self, second: u64, limit: usize) -> u64 {
        self.talkers.retain(|_, count| count.total(second) > 0);
        let room = limit.max(1).div_ceil(2);
        if self.talkers.len() <= room {
            return 0;
        }
        let rank = |count: &LastTen| std::cmp::Reverse(count.total(second));
        self.talkers.sort_by(|a, x, b, y| rank(x).cmp(&rank(y)).then(a.cmp(b)));
        let gone = self.talkers.split_off(room);
        for count in gone.values() {
            self.others.merge(count);
        }
        gone.len() as u64
    }

    pub fn iter(&self, second: u64) -> impl Iterator<Item = (TalkerKey, u64)> {
        self.talkers.iter().map(move |(key, count)| (*key, count.total(second)))
    }

    pub fn others(&self, second: u64) -> u64 {
        self.others.total(second)
    }

    pub fn unknown(&self, second: u64) -> u64 {
        self.unknown.total(second)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.talkers.len()
    }
}

impl Talkers {
    /// The `n` biggest of `counts`, which were counted in so many seconds; besides them `short` others and `unknown`.
    pub fn new(
        counts: impl Iterator<Item = (TalkerKey, u64)>,
        (short, unknown): (u64, u64),
        seconds: f64,
        n: usize,
        exact: bool,
    ) -> Self {
        let mut counts: Vec<(TalkerKey, u64)> = counts.filter(|(_, count)| *count > 0).collect();
        let unknown = unknown.saturating_add(short);
        let total = counts.iter().fold(unknown, |sum, (_, count)| sum.saturating_add(*count));
        let before = |a: &(TalkerKey, u64), b: &(TalkerKey, u64)| b.1.cmp(&a.1).then(a.0.cmp(&b.0));
        if n < counts.len() {
            counts.select_nth_unstable_by(n, before);
            counts.truncate(n);
        }
        counts.sort_unstable_by(before);
        let talker = |(key, count)| Talker {
            key,
            count,
            per_second: if seconds > 0.0 { count as f64 / seconds } else { 0.0 },
            share: count as f64 / total as f64,
        };
        Self { top: counts.into_iter().map(talker).collect(), total, unknown, short, exact }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> TalkerKey {
        TalkerKey::Ip(IpAddr::from(n.to_be_bytes()), 17)
    }

    #[test]
    fn the_biggest_are_found_among_more_than_there_is_room_for() {
        let mut sketch = Sketch::default();
        let mut left_out = 0u64;
        for second in 100..115u64 {
            sketch.advance(second, 64);
            for n in 0..1000u32 {
                // Everyone is new but one, who comes last.
                left_out += u64::from(!sketch.add(ip(second as u32 * 1000 + n), second, 64));
                left_out += u64::from(!sketch.add(ip(1), second, 64));
            }
            assert!(sketch.len() <= 64);
        }
        let talkers = Talkers::new(sketch.iter(114), (sketch.others(114), 0), 10.0, 3, false);
        assert_eq!((talkers.top[0].key, talkers.top[0].count), (ip(1), 10_000));
        assert_eq!((talkers.total, talkers.top.len()), (20_000, 3));
        // Everyone else made ten at most: well below what could have been missed.
        assert!(talkers.top[1].count <= 10 && talkers.short > 10 && talkers.short == talkers.unknown, "{talkers:?}");
        assert!((talkers.top[0].share - 0.5).abs() < 1e-9);
        assert!(left_out > 0);
    }

    #[test]
    fn who_was_silent_for_ten_seconds_is_gone() {
        let mut sketch = Sketch::default();
        sketch.add(ip(1), 5, 8);
        sketch.advance(14, 8);
        assert_eq!(sketch.len(), 1);
        sketch.advance(15, 8);
        assert_eq!(sketch.len(), 0);
    }
}
