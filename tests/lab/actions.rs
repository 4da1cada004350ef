//! Actions are told apart, with their arguments, on every kernel.

use ovscope::event::{Action, Body, Event, PacketId, UpcallCmd};

use crate::{KERNELS, guest::Guest};

fn actions(events: &[Event]) -> impl Iterator<Item = (&Action, Option<PacketId>)> {
    events.iter().filter_map(|e| match &e.body {
        Body::ActionExecute(execute) => Some((&execute.action, e.packet)),
        _ => None,
    })
}

#[test]
#[ignore = "boots guests of the lab"]
fn each_action_is_named_on_every_kernel() {
    for kernel in KERNELS {
        let guest = Guest::run(kernel, "actions");
        let events = guest.events("actions.jsonl");
        let count = |wanted: fn(&Action) -> bool| actions(&events).filter(|(a, _)| wanted(a)).count();
        let unknown: Vec<_> = actions(&events).filter(|(a, _)| matches!(a, Action::Unknown { .. })).collect();
        assert!(unknown.is_empty(), "{kernel}: {unknown:?}\n{}", guest.said);
        // Two pings there and back: each packet goes through conntrack twice and is looked up again in between.
        assert_eq!(count(|a| matches!(a, Action::Recirc { id } if *id > 0)), 4, "{kernel}: {}", guest.said);
        assert_eq!(count(|a| matches!(a, Action::Ct)), 8, "{kernel}: {}", guest.said);
        assert!(count(|a| matches!(a, Action::Output { .. })) >= 10, "{kernel}");
        assert!(count(|a| matches!(a, Action::SetMasked)) >= 5, "{kernel}: {}", guest.said);
        // Six for the controller: the first is executed by the daemon itself, the others by the datapath.
        assert!(count(|a| matches!(a, Action::Userspace { pid: Some(_), userdata: Some(_) })) >= 5, "{kernel}");
        let sent_up =
            events.iter().filter(|e| matches!(&e.body, Body::Upcall(u) if u.cmd == UpcallCmd::Action)).count();
        assert!(sent_up >= 5, "{kernel}: {sent_up} action upcalls");
        // The datapath has an action to drop since Linux 6.6; before, a flow that drops has no actions.
        let drops = count(|a| matches!(a, Action::Drop { .. }));
        assert_eq!(drops >= 5, kernel != "6.1", "{kernel}: {drops} drops");

        let again = actions(&events).find_map(|(a, packet)| matches!(a, Action::Recirc { .. }).then_some(packet)?);
        let lookups: Vec<u32> = events
            .iter()
            .filter(|e| e.packet == again)
            .filter_map(|e| match &e.body {
                Body::FlowLookup(lookup) => Some(lookup.recirc_id),
                _ => None,
            })
            .collect();
        assert!(
            lookups.contains(&0) && lookups.iter().any(|id| *id > 0),
            "{kernel}: one packet, both passes: {lookups:?}"
        );
    }
}
