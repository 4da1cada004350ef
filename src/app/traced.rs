//! What `ofproto/trace` is asked for: the key of a flow or of a packet, as far as it is known.

use crate::{
    event::{DpIfindex, Query},
    model::{Flow, Model, Packet, packet_key},
    ovs_rpc::{AskTrace, KeyText},
    ovs_text::write_key,
};

/// Kinds of ports whose packets come with a tunnel's fields, which are not among a packet's bytes.
const TUNNELS: [&str; 4] = ["vxlan", "geneve", "gre", "gtpu"];

/// The question about a flow: by its key under its mask, as get-flow gave it, or as it was put.
pub fn of_flow(model: &Model, flow: &Flow) -> Result<AskTrace, String> {
    let told = model.answer(flow, Query::GetFlow).and_then(|answer| answer.answer.as_ref().ok());
    let told = told.and_then(|text| KeyText::new(&key_of(text)).ok());
    let key = if let Some(key) = told {
        key
    } else {
        let unknown = "its key is not known: ovs-vswitchd has not answered get-flow, and its put was not seen of late";
        let shape = flow.ufid.and_then(|ufid| model.shape(flow.dp, ufid)).ok_or(unknown)?;
        let key = write_key(&shape.matches).map_err(|error| error.to_string())?;
        KeyText::new(&key).map_err(|error| error.to_string())?
    };
    let datapath = name(model, flow.dp);
    Ok(AskTrace { dp: flow.dp, datapath, key, ufid: flow.ufid, packet: None, sample_of: None })
}

/// The question about a packet: by its bytes and the port it came in by.
pub fn of_packet(model: &Model, packet: &Packet) -> Result<AskTrace, String> {
    let not_looked_up = "no datapath was seen to look it up: there is no port to trace it from";
    let (dp, in_port) = packet.dp.zip(packet.in_port).ok_or(not_looked_up)?;
    let bytes = packet.bytes.as_ref().ok_or("its bytes were not seen")?;
    let ports = model.datapath(dp).map_or(&[][..], |datapath| &datapath.ports);
    if let Some(port) = ports.iter().find(|port| port.port == in_port && TUNNELS.contains(&port.kind.as_str())) {
        return Err(format!("it came by {}, and what tunnel it came from is not recorded: trace its flow", port.name));
    }
    let key = packet_key(in_port, &bytes.data).ok_or("its first bytes are fewer than an Ethernet header")?;
    let key = write_key(&key).map_err(|error| error.to_string())?;
    let key = KeyText::new(&key).map_err(|error| error.to_string())?;
    Ok(AskTrace { dp, datapath: name(model, dp), key, ufid: None, packet: Some(packet.id), sample_of: None })
}

fn name(model: &Model, dp: DpIfindex) -> String {
    model.datapath(dp).map_or_else(String::new, |datapath| datapath.name.clone())
}

/// The part of get-flow's text before the counts, without the flow's name.
fn key_of(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line = line.split_once(", packets:").map_or(line, |(key, _)| key);
    let key = match line.trim().strip_prefix("ufid:") {
        Some(rest) => rest.split_once(',').map_or("", |(_, key)| key),
        None => line,
    };
    key.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_flows_text_has_the_key_before_the_counts() {
        let text = "ufid:5f74d01b-0102-0304-a0b0-c0d0000000ff, recirc_id(0),in_port(p1),eth(src=02:00:00:00:00:01),\
                    eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,frag=no), packets:3, bytes:1, used:never, actions:2\n";
        let key =
            "recirc_id(0),in_port(p1),eth(src=02:00:00:00:00:01),eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,frag=no)";
        assert_eq!(key_of(text), key);
        assert_eq!(key_of(&text[text.find("recirc").expect("it is there")..]), key);
        assert_eq!((key_of(""), key_of("ufid:1")), (String::new(), String::new()));
    }
}
