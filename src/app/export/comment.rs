//! What is known of a packet, as comments for programs that show packets, such as Wireshark.

use std::fmt::Write as _;

use crate::{
    event::{Body, Event},
    model::{Model, Packet, Stage, Upcall},
    ui::{clean, format, label},
};

/// The packet's identity, each of its upcalls with the stages that were seen, its flow, why it was dropped, and what
/// became of it: a comment each.
pub fn comments(model: &Model, packet: &Packet) -> Vec<String> {
    let mut comments = vec![format!("packet {}", label::packet(packet.id))];
    for id in &packet.upcalls {
        comments.push(match model.upcall(*id) {
            Some(known) => upcall(model, known),
            None => format!("upcall {}: let go, as newer ones needed the room", label::upcall(*id)),
        });
    }
    if let Some((address, ufid)) = packet.flow {
        comments.push(match ufid {
            Some(ufid) => format!("flow ufid:{ufid}"),
            None => format!("flow at {address}, known by its key alone"),
        });
    }
    comments.extend(model.timeline(packet).filter_map(dropped));
    comments.push(format!("fate: {}", label::fate(model, packet, model.fate(packet)).0));
    if packet.events_cut > 0 {
        comments.push(format!("{} more events of it are not in this", packet.events_cut));
    }
    comments.iter().map(|comment| clean(comment)).collect()
}

fn upcall(model: &Model, upcall: &Upcall) -> String {
    let mut words = format!("upcall {}", label::upcall(upcall.id));
    if let Some(cmd) = upcall.cmd {
        let made_by = upcall.made_by.map_or_else(String::new, |by| format!(" {by}"));
        let _ = write!(words, " ({}{made_by})", label::cmd(cmd));
    }
    let _ = write!(words, ": {}", label::end(model.upcall_end(upcall)).0);
    for stage in Stage::ALL {
        if let Some(took) = model.stage(upcall, stage) {
            let _ = write!(words, ", {} {}", stage.name(), format::duration(took).trim_end());
        }
    }
    words
}

fn dropped(event: &Event) -> Option<String> {
    let Body::Drop(drop) = &event.body else { return None };
    let place = if drop.location.is_empty() { String::new() } else { format!(" in {}", drop.location) };
    Some(format!("dropped: {}{place}", label::drop_reason(drop.reason, &drop.name)))
}
