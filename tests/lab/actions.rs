//! Actions with their arguments, on every kernel: what is told of each packet is compared with the flow that it hit, as
//! the daemon's own tools print that.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    iter::Peekable,
};

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

/// The passes of each packet through the datapath: the flow that it hit, and what was executed until the next. A flow is
/// given as it was last: the daemon may change one (CFM's, when it finds its port) before the flows are printed.
fn passes(events: &[Event]) -> Vec<(Ufid, Vec<&Action>)> {
    let put = events.iter().filter_map(|event| match &event.body {
        Body::FlowPut(put) if put.op.ret == 0 => Some((put.op.ufid?, event.ts)),
        _ => None,
    });
    let last_put: HashMap<Ufid, u64> = put.collect();
    let is_last = |ufid: &Ufid, ts: u64| last_put.get(ufid).is_none_or(|put| *put < ts);
    let mut done = Vec::new();
    let mut of_packet: BTreeMap<PacketId, (Option<Ufid>, Vec<&Action>)> = BTreeMap::new();
    for event in events {
        let Some(packet) = event.packet else { continue };
        match &event.body {
            Body::FlowLookup(lookup) => {
                let hit = lookup.ufid.filter(|ufid| is_last(ufid, event.ts));
                if let Some((Some(ufid), actions)) = of_packet.insert(packet, (hit, Vec::new())) {
                    done.push((ufid, actions));
                }
            }
            // What the daemon executes by itself is no flow's.
            Body::ActionExecute(execute) if execute.queue_id == 0 => {
                of_packet.entry(packet).or_default().1.push(&execute.action);
            }
            _ => {}
        }
    }
    done.extend(of_packet.into_values().filter_map(|(ufid, actions)| Some((ufid?, actions))));
    done
}

/// Whether the actions are those of a flow, each list's after the action that has it. What a tunnel's options hold is told
/// as their length, and conntrack in a list without its arguments.
fn is_flow(flow: &str, actions: &[&Action]) -> bool {
    let flow = flow
        .replace("geneve({class=0x102,type=0x3,len=4,0xa})", "options_len=8")
        .replace("clone(ct(commit,zone=4)", "clone(ct");
    if flow == "drop" {
        return actions.iter().all(|action| matches!(action, Action::Drop { .. }));
    }
    let mut left = flow.as_str();
    let mut told = actions.iter().copied().peekable();
    while let Some(action) = told.next() {
        let rest = left.strip_prefix(&action.to_string());
        let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(',')) else { return false };
        left = rest.trim_start_matches(',');
        if !is_inside(action, &mut told) {
            return false;
        }
    }
    // A meter may be the last that a packet sees.
    left.is_empty() || matches!(actions.last(), Some(Action::Meter { .. }))
}

/// Whether what is told next is what stands in this action, if anything does.
fn is_inside<'a>(action: &Action, told: &mut Peekable<impl Iterator<Item = &'a Action>>) -> bool {
    let list = match action {
        Action::Clone { actions: Some(list) } => list,
        Action::Sample { args: Some(sample) } => match told.peek() {
            Some(next) if is_same(&sample.actions.actions[0], next) => &sample.actions,
            _ => return sample.probability < u32::MAX,
        },
        Action::CheckPktLen { args: Some(args) } => match told.peek() {
            Some(next) if args.greater.actions.first().is_some_and(|a| is_same(a, next)) => &args.greater,
            _ => &args.less_equal,
        },
        _ => return true,
    };
    let mut wanted = list.actions.iter();
    wanted.all(|wanted| told.next().is_some_and(|action| is_same(wanted, action) && is_inside(action, told)))
}

fn is_same(listed: &Action, told: &Action) -> bool {
    listed == told || matches!((listed, told), (Action::Ct { args: None }, Action::Ct { .. }))
}

#[test]
#[ignore = "boots guests of the lab"]
fn each_action_is_that_of_the_flow_on_every_kernel() {
    for kernel in KERNELS {
        let guest = Guest::run(kernel, "actions");
        let mut events = guest.events("actions.jsonl");
        // A packet's steps are told together, some of its actions by themselves.
        events.sort_by_key(|event| event.ts);
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
    assert_eq!((own.len(), hit), if kernel == "6.1" { (35, 35) } else { (36, 36) }, "{kernel}: {compared:?}");

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
    let recirculated = whose(|a| matches!(a, Action::Recirc { id: 85 }));
    let lookups: Vec<u32> = of(recirculated)
        .filter_map(|e| match &e.body {
            Body::FlowLookup(lookup) => Some(lookup.recirc_id),
            _ => None,
        })
        .collect();
    assert_eq!(lookups, [0, 85], "{kernel}: one packet, both passes");
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
