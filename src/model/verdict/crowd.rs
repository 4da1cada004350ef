//! Rules about the packets that go up: what is different in each of them, and where they come from.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Dimension, FieldSpread, Flow, MacAddr, SECOND, State, TalkerKey, windows::Matter};
use super::{
    Cause, Culprit, Evidence, Finding, Severity, rules,
    words::{count, each, part, percent},
};
use crate::event::{DpIfindex, Field, FlowShape, PortNo, written};

/// Misses per second that are a storm of flows.
const MANY: f64 = 200.0;

/// Longer than a restart takes, and than the daemon's figures are apart: what explains it may be in them.
const UNKNOWN_SECONDS: u64 = 6;

fn costs(e: &Evidence<'_>) -> Severity {
    if e.rates.upcalls_lost > 0.0 { Severity::Critical } else { Severity::Warning }
}

/// `4 912 upcalls/s, 98 % from p1_l`
fn who(e: &Evidence<'_>) -> (String, Option<Culprit>) {
    let upcalls = each(e.rates.upcalls, "upcalls");
    match e.top_port() {
        Some((culprit, name, share)) => (format!("{upcalls}, {} from {name}", percent(share)), Some(culprit)),
        None => (upcalls, None),
    }
}

fn left_out(e: &Evidence<'_>) -> Option<String> {
    let left_out = e.spreads.left_out;
    (left_out > 0).then(|| format!("a sample: {} more new flows were made in that time", count(left_out)))
}

/// The field that most new flows differ in alone, if that is nearly all of them and they are many.
fn exploded<'e>(e: &'e Evidence<'_>) -> Option<&'e FieldSpread> {
    let spread = e.spreads.fields.first()?;
    let is_most = part(spread.alone as u64, e.spreads.flows as u64) >= 0.6;
    (e.rates.misses >= MANY && e.rates.puts >= MANY / 2.0 && is_most && spread.values >= 50).then_some(spread)
}

/// That field, and the port that those flows come in by.
pub fn exploding(e: &Evidence<'_>) -> Option<(Field, Option<(DpIfindex, PortNo)>)> {
    let spread = exploded(e)?;
    Some((spread.field, spread.in_port.map(|((dp, port), _)| (dp, PortNo(port)))))
}

/// A field that every packet has another value in.
pub fn field_explosion(e: &Evidence<'_>) -> Option<Finding> {
    let spread = exploded(e)?;
    let rules = rules::named(e, spread.field);
    let (who, port) = who(e);
    let name = spread.field.name();
    let headline = format!("every new {name} makes a flow: {who}");
    Some(
        Finding::new(Cause::FieldExplosion, costs(e), headline)
            .figure(format!(
                "{name} alone differs in {} of {} new flows: {} values, {:.1} bits",
                percent(part(spread.alone as u64, e.spreads.flows as u64)),
                count(e.spreads.flows as u64),
                count(spread.values as u64),
                spread.entropy
            ))
            .culprit(Some(Culprit::Field(spread.field)))
            .culprit(port)
            .rules(rules)
            .note(left_out(e)),
    )
}

/// Misses of packets that connection tracking sent round again.
pub fn short_connections(e: &Evidence<'_>) -> Option<Finding> {
    let again = e.share(Matter::MissAgain);
    // Load balancing recirculates too, without connection tracking.
    let is_tracked = e.model.shapes.recent(e.now()).any(|shape| {
        shape.matches.get(Field::RecircId).is_some_and(|of| of.value != 0)
            && shape.matches.get(Field::CtState).is_some()
    });
    if e.rates.misses < MANY || again < 0.25 || !is_tracked {
        return None;
    }
    let (who, port) = who(e);
    let headline = format!("each connection is new to connection tracking and makes flows of its own: {who}");
    let mut finding = Finding::new(Cause::ShortConnections, costs(e), headline)
        .figure(format!("{} of the upcalls are of recirculated packets", percent(again)))
        .culprit(port);
    if let Some(spread) = e.spreads.fields.first() {
        let share = percent(part(spread.alone as u64, e.spreads.flows as u64));
        finding = finding
            .figure(format!(
                "{} alone differs in {share} of {} new flows",
                spread.field.name(),
                count(e.spreads.flows as u64)
            ))
            .culprit(Some(Culprit::Field(spread.field)));
    }
    Some(finding.against(e.sampled()))
}

/// Packets to everybody.
pub fn broadcast_flood(e: &Evidence<'_>) -> Option<Finding> {
    let (share, per_second) = (e.share(Matter::ToMany), e.matter(Matter::ToMany));
    if share < 0.5 || per_second < 100.0 {
        return None;
    }
    let arp =
        part(e.model.matters.count(Matter::Arp, e.second), e.model.matters.count(Matter::ToMany, e.second).max(1));
    let what = if arp >= 0.5 { "ARP" } else { "broadcasts" };
    let (who, port) = who(e);
    let headline = format!("{what} to everybody: {who}");
    Some(
        Finding::new(Cause::BroadcastFlood, costs(e), headline)
            .figure(format!(
                "{} of the upcalls' packets go to everybody or to many, {} of those are ARP",
                percent(share),
                percent(arp.min(1.0))
            ))
            .culprit(port)
            .culprit(e.top(Dimension::SourceMac).map(|talker| Culprit::Talker(talker.key)))
            .against(e.sampled()),
    )
}

/// A MAC address that comes from more than one port, by the packets that hit or made flows in the last seconds.
fn wanderer(e: &Evidence<'_>) -> Option<(MacAddr, Vec<(DpIfindex, PortNo)>)> {
    let mut ports: BTreeMap<MacAddr, (usize, BTreeSet<(DpIfindex, PortNo)>)> = BTreeMap::new();
    for flow in e.model.flows().filter(|flow| flow.deleted.is_none()) {
        if let (Some(summary), Some(port)) = (flow.summary, flow.in_port) {
            let (flows, of) = ports.entry(summary.eth_src).or_default();
            *flows += 1;
            of.insert((flow.dp, port));
        }
    }
    let moving = ports.into_iter().filter(|(_, (_, of))| of.len() > 1);
    let (mac, (_, of)) = moving.max_by_key(|(_, (flows, _))| *flows)?;
    Some((mac, of.into_iter().collect()))
}

/// Addresses move from port to port.
pub fn mac_flapping(e: &Evidence<'_>) -> Option<Finding> {
    let moved = e.coverage("mac_learning_moved");
    if moved < 2.0 {
        return None;
    }
    let wanderer = wanderer(e);
    let who = wanderer.as_ref().map_or_else(
        || "MAC addresses move".to_owned(),
        |(mac, ports)| {
            let names: Vec<String> = ports.iter().map(|(dp, port)| e.port(*dp, *port)).collect();
            format!("{mac} moves between {}", names.join(" and "))
        },
    );
    let headline = format!("{who}: {}, {}", each(moved, "moves"), each(e.rates.upcalls, "upcalls"));
    let mut finding = Finding::new(Cause::MacFlapping, Severity::Warning, headline)
        .figure(format!("mac_learning_moved grows by {}", each(moved, "")));
    if let Some((mac, ports)) = wanderer {
        finding = finding.culprit(Some(Culprit::Talker(TalkerKey::Mac(mac))));
        finding.culprits.extend(ports.into_iter().map(|(dp, port)| Culprit::Port(dp, port)));
    }
    let revalidated = e.coverage("rev_mac_learning");
    Some(if revalidated > 0.0 {
        finding.figure(format!("flows are revalidated because of it: {}", each(revalidated, "times")))
    } else {
        finding
    })
}

/// Packets that no bridge takes: the daemon puts a flow that drops them, forgets it, and gets them again.
pub fn unknown_port(e: &Evidence<'_>) -> Option<Finding> {
    // Such a flow is put without a mask: what no rule ever looks at counts too.
    let unmasked = [Field::SkbPriority, Field::SkbMark, Field::DpHash];
    let is_stray =
        |shape: &&FlowShape| shape.actions_len == 0 && unmasked.iter().all(|field| shape.matches.get(*field).is_some());
    let strays: Vec<&FlowShape> = e.model.shapes.recent(e.now()).filter(is_stray).collect();
    if strays.len() < 2 {
        return None;
    }
    let last = strays.last()?;
    let value = |field| last.matches.get(field).map(|of| written(field, of.value));
    let port = last.matches.get(Field::InPort).map(|of| PortNo(of.value as u32));
    let name = port.map_or(String::new(), |port| format!(" by {}", e.port(last.dp, port)));
    let from =
        value(Field::TunSrc).or_else(|| value(Field::TunIpv6Src)).map_or(String::new(), |ip| format!(" from {ip}"));
    let key = value(Field::TunId).map_or(String::new(), |id| format!(" with tunnel key {id}"));
    let severity = if e.rates.misses >= 50.0 { Severity::Warning } else { Severity::Note };
    let headline = format!("no bridge knows packets{name}{from}{key}: dropped, forgotten, and up again");
    Some(
        Finding::new(Cause::UnknownPort, severity, headline)
            .figure(format!("{} flows that drop, put by the packet's key alone, in 10 s", count(strays.len() as u64)))
            .culprit(port.map(|port| Culprit::Port(last.dp, port))),
    )
}

/// Each lookup tries many masks.
pub fn tuple_space(e: &Evidence<'_>) -> Option<Finding> {
    if e.rates.lookups < 500.0 {
        return None;
    }
    let tried = e.rates.masks_tried / e.rates.lookups;
    let severity = match tried {
        16.0.. => Severity::Warning,
        8.0.. => Severity::Note,
        _ => return None,
    };
    let cached = e.rates.cache_hits / e.rates.lookups;
    let worst = searched(e);
    let port = worst.and_then(|flow| Some((flow.dp, flow.in_port?)));
    let from = port.map_or(String::new(), |(dp, port)| format!(", most by {}", e.port(dp, port)));
    let headline = format!(
        "each packet tries {tried:.0} masks until it finds its flow, at {}{from}",
        each(e.rates.lookups, "lookups")
    );
    Some(
        Finding::new(Cause::TupleSpace, severity, headline)
            .figure(format!("the mask cache answered {} of them", percent(cached)))
            .culprit(port.map(|(dp, port)| Culprit::Port(dp, port)))
            .culprit(worst.map(|flow| Culprit::Flow(flow.key))),
    )
}

/// The flow that costs most masks: those that its last packet tried, for each of its packets. No upcall tells it: its
/// packets are found.
fn searched<'e>(e: &'e Evidence<'_>) -> Option<&'e Flow> {
    let flows = e.model.flows().filter(|flow| flow.deleted.is_none());
    let cost = |flow: &Flow| f64::from(flow.masks_tried.unwrap_or(0)) * e.model.hit_rate(flow);
    let costly = flows.map(|flow| (cost(flow), flow)).filter(|(cost, _)| *cost > 0.0);
    costly.max_by(|(x, of_x), (y, of_y)| x.total_cmp(y).then(of_y.key.cmp(&of_x.key))).map(|(_, flow)| flow)
}

/// A storm that nothing else explains.
pub fn unknown(e: &Evidence<'_>) -> Option<Finding> {
    if !matches!(e.model.condition().state, State::Storm | State::Losing) {
        return None;
    }
    // Where reading began in the middle of it, the cause may be in what is not known yet.
    if e.follows() && e.model.detailed_from.is_none_or(|from| from / SECOND + UNKNOWN_SECONDS > e.second) {
        return None;
    }
    let port = e.top_port();
    let from = port.as_ref().map_or(String::new(), |(_, name, share)| format!("; {} from {name}", percent(*share)));
    let headline = format!("the cause is not known{from}");
    let mut finding = Finding::new(Cause::Unknown, costs(e), headline).culprit(port.map(|(culprit, ..)| culprit));
    finding.holds = UNKNOWN_SECONDS;
    let no_figures = e.udpifs().is_empty().then(|| "the daemon's own figures are not known".to_owned());
    Some(finding.against(e.sampled()).against(no_figures).against(left_out(e)))
}
