//! What is left out on purpose, by `--sample`, by the budget and by `--track` is counted to the packet.

use std::collections::{BTreeMap, BTreeSet};

use ovscope::event::{Body, CapabilityState, Counters, DevPoint, Event, Loss, PacketId};

use crate::{exact::dpctl, guest::Guest};

/// Hits and misses between two of `ovs-dpctl show`.
fn traffic(guest: &Guest, before: &str, after: &str) -> (u64, u64) {
    let (before, after) = (dpctl(&guest.text(before)), dpctl(&guest.text(after)));
    (after.0 - before.0, after.1 - before.1)
}

struct Part {
    name: String,
    events: Vec<Event>,
    counters: Counters,
    loss: Loss,
}

impl Part {
    fn of(guest: &Guest, kernel: &str, name: &str) -> Self {
        let events = guest.events(&format!("{name}.jsonl"));
        let counters =
            events.iter().rev().find_map(|e| if let Body::Counters(c) = &e.body { Some((**c).clone()) } else { None });
        let loss = events.iter().rev().find_map(|e| if let Body::Loss(loss) = &e.body { Some(*loss) } else { None });
        let part = Self {
            name: format!("{name} on {kernel}"),
            counters: counters.expect("they are in every recording"),
            // Told when there is one.
            loss: loss.unwrap_or_default(),
            events,
        };
        assert!(!part.loss.any(), "{}: {:?}", part.name, part.loss);
        part
    }

    /// Hits and misses, as it counted them.
    fn counted(&self) -> (u64, u64) {
        self.counters.datapaths.iter().fold((0, 0), |sum, dp| (sum.0 + dp.hits, sum.1 + dp.misses))
    }

    fn count(&self, kind: &str) -> u64 {
        self.events.iter().filter(|e| e.kind() == kind).count() as u64
    }

    /// The packets whose lookups hit, each once.
    fn hits(&self) -> BTreeSet<PacketId> {
        let hit = |e: &&Event| matches!(&e.body, Body::FlowLookup(lookup) if lookup.flow.is_some());
        let packets: Vec<PacketId> = self.events.iter().filter(hit).filter_map(|e| e.packet).collect();
        let each: BTreeSet<PacketId> = packets.iter().copied().collect();
        assert_eq!(each.len(), packets.len(), "{}: one lookup to a packet", self.name);
        each
    }

    /// Every one of these packets is there with its bytes, its action and its way out of the other port, and with its
    /// `first` step in its sender's device.
    fn check_whole(&self, packets: &BTreeSet<PacketId>, first: bool) {
        let mut seen: BTreeMap<PacketId, [u32; 4]> = BTreeMap::new();
        for event in &self.events {
            let at = match &event.body {
                Body::PacketBytes(_) => 0,
                Body::Dev(step) if step.point == DevPoint::NetDevQueue && step.dev.to_string() == "p1_r" => 1,
                Body::ActionExecute(_) => 2,
                Body::Dev(step) if step.point == DevPoint::NetDevXmit && step.dev.to_string() == "p2_l" => 3,
                _ => continue,
            };
            if let Some(packet) = event.packet {
                seen.entry(packet).or_default()[at] += 1;
            }
        }
        for packet in packets {
            let [bytes, queue, action, out] = seen.get(packet).copied().unwrap_or_default();
            assert_eq!([bytes, action, out], [1; 3], "{}: {packet:?} is whole", self.name);
            assert!(queue == 1 || !first, "{}: {packet:?} from its begin on", self.name);
        }
    }
}

/// Of `exact`'s last part, on this kernel.
pub fn check(guest: &Guest, kernel: &str) {
    let all = traffic(guest, "parts-before", "parts-after");
    assert!(all.0 >= 3000 && all.1 >= 80, "{kernel}: the traffic came: {all:?}");
    let part = |name| {
        let part = Part::of(guest, kernel, name);
        assert_eq!(part.counted(), all, "{}: against ovs-dpctl", part.name);
        part
    };

    let sampled = part("sampled");
    let hits = sampled.hits();
    assert_eq!(hits.len() as u64 + sampled.loss.not_sampled, all.0, "{kernel}: recorded and left out");
    // Five standard deviations.
    let (eighth, off) = (all.0 as f64 / 8.0, 5.0 * (all.0 as f64 * 7.0 / 64.0).sqrt());
    assert!((hits.len() as f64 - eighth).abs() < off, "{kernel}: {} of {} is no eighth", hits.len(), all.0);
    sampled.check_whole(&hits, true);
    assert_eq!(sampled.count("upcall"), all.1, "{kernel}: upcalled packets are not sampled");

    let budget = part("budget");
    let hits = budget.hits();
    assert_eq!(hits.len() as u64 + budget.loss.over_budget, all.0, "{kernel}: recorded and left out");
    assert!(budget.loss.over_budget > all.0 / 2 && !hits.is_empty(), "{kernel}: {:?}", budget.loss);
    // While it is spent nothing is remembered of packets before their lookup.
    budget.check_whole(&hits, false);
    assert_eq!(budget.count("upcall") + budget.loss.upcalls_over_budget, all.1, "{kernel}: upcalls");
    // Upcalls are seen however fast the fast path is: they may have all of it, and the others half. On a machine that
    // stands still now and then, misses come in bursts that no budget has room for.
    assert!(
        budget.count("upcall") * all.0 > 2 * hits.len() as u64 * all.1,
        "{kernel}: {} of {} upcalls, {} of {} hits",
        budget.count("upcall"),
        all.1,
        hits.len(),
        all.0
    );

    let counted = part("counted");
    for kind in ["packet_bytes", "flow_lookup", "upcall", "upcall_recv", "flow_put", "action_execute", "net_dev_queue"]
    {
        assert_eq!(counted.count(kind), 0, "{kernel}: --track off follows nothing: {kind}");
    }
    let upcalls: u64 = counted.counters.upcalls.iter().map(|u| u.count).sum();
    assert_eq!(upcalls, all.1, "{kernel}: and counts all");

    let of_kernel = part("kernel");
    let tied = of_kernel.events.iter().filter(|e| e.kind() == "flow_exec" && e.upcall.is_some()).count() as u64;
    assert_eq!((of_kernel.count("upcall"), of_kernel.count("upcall_recv"), tied), (all.1, all.1, all.1), "{kernel}");
    let capabilities = of_kernel.events.iter().rev().find_map(|e| match &e.body {
        Body::Probes { capabilities } => Some(capabilities.clone()),
        _ => None,
    });
    let usdt: Vec<_> = capabilities.unwrap_or_default().into_iter().filter(|c| c.name.starts_with("usdt")).collect();
    assert!(!usdt.is_empty(), "{kernel}");
    for capability in usdt {
        assert_eq!((capability.state, &*capability.why), (CapabilityState::Off, "--track kernel"), "{kernel}");
    }
}
