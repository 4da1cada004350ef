//! Which packets make upcalls: by their addresses, and by the OpenFlow rule that punts them.

use super::{
    Dimension,
    summary::{L4Summary, NetSummary, PacketSummary},
    talkers::{Sketch, TalkerKey},
};
use crate::event::{Upcall, UpcallCmd, Why};

/// The dimensions of [`Makers::packets`], in their order.
const DIMENSIONS: [Dimension; 5] =
    [Dimension::Source, Dimension::Destination, Dimension::SourceMac, Dimension::DestinationMac, Dimension::FiveTuple];

/// Of the upcalls seen in detail, who made them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Makers {
    packets: [Sketch; DIMENSIONS.len()],
    punts: Sketch,
}

/// What a packet is in each dimension.
fn keys(summary: &PacketSummary) -> [Option<TalkerKey>; DIMENSIONS.len()] {
    let macs = (TalkerKey::Mac(summary.eth_src), TalkerKey::Mac(summary.eth_dst));
    let (ends, tuple) = match summary.net {
        NetSummary::Ip { src, dst, proto, l4 } => {
            let ports = match l4 {
                L4Summary::Ports { src, dst } => Some((src, dst)),
                _ => None,
            };
            let ends = (TalkerKey::Ip(src, proto), TalkerKey::Ip(dst, proto));
            (ends, Some(TalkerKey::Tuple { src, dst, proto, ports }))
        }
        _ => (macs, None),
    };
    [Some(ends.0), Some(ends.1), Some(macs.0), Some(macs.1), tuple]
}

impl Makers {
    /// Counts an upcall of a packet, as far as its bytes are known. Returns how many talkers found no room.
    pub fn add(&mut self, second: u64, summary: Option<&PacketSummary>, limit: usize) -> u64 {
        let Some(summary) = summary else {
            self.packets.iter_mut().for_each(|sketch| sketch.add_unknown(second));
            return 0;
        };
        self.add_known(second, summary, limit)
    }

    fn add_known(&mut self, second: u64, summary: &PacketSummary, limit: usize) -> u64 {
        let mut gone = 0;
        for (sketch, key) in self.packets.iter_mut().zip(keys(summary)) {
            match key {
                Some(key) => gone += u64::from(!sketch.add(key, second, limit)),
                None => sketch.add_unknown(second),
            }
        }
        gone
    }

    /// Adds the packet of an upcall that was counted without its bytes. Returns how many talkers found no room.
    pub fn tell(&mut self, second: u64, summary: &PacketSummary, limit: usize) -> u64 {
        self.packets.iter_mut().for_each(|sketch| sketch.take_unknown(second));
        self.add_known(second, summary, limit)
    }

    /// Counts an upcall, if it is to a controller, or by an action that is not known. Returns how many talkers found no room.
    pub fn add_punt(&mut self, second: u64, upcall: &Upcall, limit: usize) -> u64 {
        match upcall.cookie.as_ref().map(|cookie| &cookie.why) {
            Some(Why::Controller { rule_cookie, .. }) => {
                return u64::from(!self.punts.add(TalkerKey::Cookie(*rule_cookie), second, limit));
            }
            None if upcall.cmd == UpcallCmd::Action => self.punts.add_unknown(second),
            _ => {}
        }
        0
    }

    /// A new second has begun. Returns how many talkers have to go to make room.
    pub fn advance(&mut self, second: u64, limit: usize) -> u64 {
        self.packets.iter_mut().chain([&mut self.punts]).map(|sketch| sketch.advance(second, limit)).sum()
    }

    /// The counts of a dimension; none of one that is counted elsewhere.
    pub fn of(&self, dimension: Dimension) -> Option<&Sketch> {
        if dimension == Dimension::Cookie {
            return Some(&self.punts);
        }
        let at = DIMENSIONS.iter().position(|of| *of == dimension)?;
        self.packets.get(at)
    }
}
