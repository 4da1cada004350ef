//! Actions with their arguments, on every kernel: what is told of each packet is compared with the flow that it hit, as
//! the daemon's own tools print that.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ovscope::event::{Action, Body, Cookie, Event, PacketId, Ufid, UpcallCmd, Why};

use crate::{KERNELS, guest::Guest};

fn actions(events: &[Event]) -> impl Iterator<Item = &Action> {
    events.iter().filter_map(|e| match &e.body {
        Body::ActionExecute(execute) => Some(&execute.action),
        _ => None,
    })
}

/// The flows that `ovs-dpctl dump-flows -m` prints: their actions by UFID.
fn flows(dump: &str) -> HashMap<Ufid, String> {
    let flow = |line: &str| {
        let (ufid, rest) = line.split_once(',')?;
        let (_, actions) = rest.split_once(" actions:")?;
        Some((ufid.trim().parse().ok()?, actions.to_owned()))
    };
    dump.lines().filter_map(flow).collect()
}

/// The passes of each packet through the datapath: the flow that it hit, and what was executed until the next.
fn passes(events: &[Event]) -> Vec<(Ufid, Vec<&Action>)> {
    let mut done = Vec::new();
    let mut of_packet: BTreeMap<PacketId, (Option<Ufid>, Vec<&Action>)> = BTreeMap::new();
    for event in events {
        let Some(packet) = event.packet else { continue };
        match &event.body {
            Body::FlowLookup(lookup) => {
                if let Some((Some(ufid), actions)) = of_packet.insert(packet, (lookup.ufid, Vec::new())) {
                    done.push((ufid, actions));
                }
            }
            Body::ActionExecute(execute) => of_packet.entry(packet).or_default().1.push(&execute.action),
            _ => {}
        }
    }
    done.extend(of_packet.into_values().filter_map(|(ufid, actions)| Some((ufid?, actions))));
    done
}

/// Whether the actions are those of a flow, one after the other; in between, those that stand in another one's list. What
/// a tunnel's options hold is told as their length.
fn is_flow(flow: &str, actions: &[&Action]) -> bool {
    let flow = flow.replace("geneve({class=0x102,type=0x3,len=4,0xa})", "options_len=8");
    if flow == "drop" {
        return actions.iter().all(|action| matches!(action, Action::Drop { .. }));
    }
    let mut left = flow.as_str();
    let mut lists = String::new();
    for action in actions {
        let text = action.to_string();
        let rest = left.strip_prefix(&text).filter(|rest| rest.is_empty() || rest.starts_with(','));
        match rest {
            // An action that may be either is first taken for one of a list.
            Some(rest) if !lists.ends_with(&text) => {
                left = rest.trim_start_matches(',');
                if text.ends_with("))") || text.starts_with("clone(") {
                    lists = text;
                }
            }
            Some(rest) => left = rest.trim_start_matches(','),
            // Conntrack in a list is told without arguments there.
            None if lists.contains(&text) || matches!(action, Action::Ct { .. }) && lists.contains("ct") => {}
            None => return false,
        }
    }
    left.is_empty()
}

#[test]
#[ignore = "boots guests of the lab"]
fn each_action_is_that_of_the_flow_on_every_kernel() {
    for kernel in KERNELS {
        let guest = Guest::run(kernel, "actions");
        let events = guest.events("actions.jsonl");
        same_as_the_flows(kernel, &events, &flows(&guest.text("flows.txt")));
        why_action_upcalls(kernel, &events);
        one_identity(kernel, &events);
    }
}

/// Every action that can be made in the lab was executed, as its flow has it.
fn same_as_the_flows(kernel: &str, events: &[Event], flows: &HashMap<Ufid, String>) {
    let unknown: Vec<_> = actions(events).filter(|a| matches!(a, Action::Unknown { .. })).collect();
    assert!(unknown.is_empty(), "{kernel}: {unknown:?}");
    let passes = passes(events);
    let mut compared = BTreeSet::new();
    for (ufid, actions) in &passes {
        let Some(flow) = flows.get(ufid) else { continue };
        let told: Vec<String> = actions.iter().map(ToString::to_string).collect();
        assert!(is_flow(flow, actions), "{kernel}: the flow is {flow}\nand what is told is {}", told.join(" | "));
        compared.insert(*ufid);
    }
    // Those of our own datapath, by their UFIDs: each was hit. The newest action is not in the oldest kernel.
    let own: Vec<&String> = flows.iter().filter(|(u, _)| u.0[3] == 1).map(|(_, flow)| flow).collect();
    let hit = compared.iter().filter(|ufid| ufid.0[3] == 1).count();
    assert_eq!((own.len(), hit), if kernel == "6.1" { (34, 34) } else { (35, 35) }, "{kernel}: {compared:?}");

    let names: BTreeSet<&str> = actions(events).map(Action::name).collect();
    let mut expected = BTreeSet::from([
        "output",
        "userspace",
        "set",
        "push_vlan",
        "pop_vlan",
        "sample",
        "recirc",
        "hash",
        "push_mpls",
        "pop_mpls",
        "set_masked",
        "ct",
        "trunc",
        "push_eth",
        "pop_eth",
        "ct_clear",
        "push_nsh",
        "pop_nsh",
        "meter",
        "clone",
        "check_pkt_len",
        "add_mpls",
    ]);
    // The datapath has an action to drop since Linux 6.6 and psample since 6.11; before, a flow that drops has no actions.
    if kernel != "6.1" {
        expected.extend(["drop", "psample"]);
    }
    assert_eq!(names, expected, "{kernel}");
    // A timeout policy's name is the daemon's: it is asked for by zone.
    let timeout =
        actions(events).any(|a| matches!(a, Action::Ct { args: Some(ct) } if ct.zone == 9 && ct.timeout.is_some()));
    assert!(timeout, "{kernel}: a timeout policy's name");
}

/// Every action upcall says what made it.
fn why_action_upcalls(kernel: &str, events: &[Event]) {
    let upcalls = events.iter().filter_map(|e| match &e.body {
        Body::Upcall(upcall) if upcall.cmd == UpcallCmd::Action => Some(upcall),
        _ => None,
    });
    let cookies: Vec<&Cookie> = upcalls.map(|u| u.cookie.as_deref().expect("every action has a cookie")).collect();
    let count = |wanted: fn(&Why) -> bool| cookies.iter().filter(|cookie| wanted(&cookie.why)).count();
    let controller =
        count(|why| matches!(why, Why::Controller { rule_cookie: 0x1234_abcd, max_len: 100, reason: 1, .. }));
    assert!(controller >= 5, "{kernel}: {cookies:?}");
    let slow = count(|why| matches!(why, Why::SlowPath { reasons } if reasons[..] == ["cfm"]));
    assert!(slow >= 2, "{kernel}: {cookies:?}");
    assert!(count(|why| matches!(why, Why::Sflow { .. })) >= 5, "{kernel}: {cookies:?}");
    let sample = count(|why| matches!(why, Why::FlowSample { probability: 65535, obs_point_id: 3, .. }));
    assert!(sample >= 5, "{kernel}: {cookies:?}");
    assert_eq!(count(|why| matches!(why, Why::Other { userdata } if userdata == "c0ffee0000000000")), 1, "{kernel}");
    let misses =
        events.iter().any(|e| matches!(&e.body, Body::Upcall(u) if u.cmd == UpcallCmd::Miss && u.cookie.is_some()));
    assert!(!misses, "{kernel}: a miss has no cookie");
}

/// Clones and recirculated packets are the packet they were.
fn one_identity(kernel: &str, events: &[Event]) {
    let of = |packet: PacketId| events.iter().filter(move |e| e.packet == Some(packet));
    let whose = |wanted: fn(&Action) -> bool| {
        let found = events.iter().find(|e| matches!(&e.body, Body::ActionExecute(x) if wanted(&x.action)));
        found.and_then(|e| e.packet).unwrap_or_else(|| panic!("{kernel}: no such action"))
    };
    let recirculated = whose(|a| matches!(a, Action::Recirc { id: 5 }));
    let lookups: Vec<u32> = of(recirculated)
        .filter_map(|e| match &e.body {
            Body::FlowLookup(lookup) => Some(lookup.recirc_id),
            _ => None,
        })
        .collect();
    assert_eq!(lookups, [0, 5], "{kernel}: one packet, both passes");
    let cloned = whose(|a| a.to_string() == "clone(push_vlan(vid=9,pcp=1),set(ipv4(ttl=3)),2)");
    let told: Vec<String> = of(cloned)
        .filter_map(|e| match &e.body {
            Body::ActionExecute(execute) => Some(execute.action.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(
        told[1..],
        ["push_vlan(vid=9,pcp=1)", "set(ipv4(ttl=3))", "2", "2"],
        "{kernel}: what is done to the clone is told of the packet"
    );
}
