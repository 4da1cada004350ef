//! The datapaths and their ports, asked of the kernel over generic netlink: no daemon is needed for it.
//!
//! Families, commands and attributes: `include/uapi/linux/openvswitch.h`; framing: `netlink(7)`.

use std::{collections::BTreeMap, io};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

use crate::event::{Datapath, DpIfindex, DpStats, Port, PortNo};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
/// `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`, `CTRL_ATTR_FAMILY_ID`, `CTRL_ATTR_FAMILY_NAME`.
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// `OVS_DP_CMD_GET` and `OVS_VPORT_CMD_GET`.
const OVS_CMD_GET: u8 = 3;
/// `struct nlmsghdr`, `struct genlmsghdr`, `struct ovs_header`.
const HEADERS: usize = 16 + 4;
const OVS_HEADERS: usize = HEADERS + 4;
const NLA_TYPE_MASK: u16 = 0x3fff;

/// All datapaths of this network namespace with their ports. Empty where there are none; an error where the kernel has
/// no openvswitch module or refuses.
pub fn read_datapaths() -> io::Result<Vec<Datapath>> {
    let socket = connect()?;
    let mut datapaths = without_ports(&socket)?;
    let vport_family = family(&socket, "ovs_vport")?;
    for (dp, datapath) in &mut datapaths {
        datapath.ports = dump(&socket, vport_family, 1, dp.0)?.iter().map(|m| parse_port(m)).collect();
        datapath.ports.sort_by_key(|p| p.port);
    }
    Ok(datapaths.into_values().collect())
}

/// The kernel's own counts of all datapaths of this network namespace.
pub fn read_stats() -> io::Result<BTreeMap<DpIfindex, DpStats>> {
    let datapaths = without_ports(&connect()?)?;
    Ok(datapaths.into_iter().filter_map(|(dp, datapath)| Some((dp, datapath.stats?))).collect())
}

fn connect() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

fn without_ports(socket: &Socket) -> io::Result<BTreeMap<DpIfindex, Datapath>> {
    let family = family(socket, "ovs_datapath")?;
    let messages = dump(socket, family, 2, 0)?;
    Ok(messages.iter().map(|m| parse_datapath(m)).map(|datapath| (datapath.dp, datapath)).collect())
}

fn family(socket: &Socket, name: &str) -> io::Result<u16> {
    let mut attribute = Vec::new();
    push_attribute(&mut attribute, CTRL_ATTR_FAMILY_NAME, &[name.as_bytes(), &[0]].concat());
    socket.send(&message(GENL_ID_CTRL, NLM_F_REQUEST, CTRL_CMD_GETFAMILY, 1, &attribute), 0)?;
    let reply = receive(socket)?;
    let first = messages(&reply).next().ok_or_else(|| io::Error::other("an empty answer"))?;
    error_of(first)?;
    attributes(first.get(HEADERS..).unwrap_or(&[]))
        .find(|(kind, _)| *kind == CTRL_ATTR_FAMILY_ID)
        .and_then(|(_, value)| u16_of(value))
        .ok_or_else(|| io::Error::other(format!("no id for the family {name}")))
}

fn dump(socket: &Socket, family: u16, version: u8, dp: u32) -> io::Result<Vec<Vec<u8>>> {
    let flags = NLM_F_REQUEST | NLM_F_DUMP;
    socket.send(&message(family, flags, OVS_CMD_GET, version, &dp.to_ne_bytes()), 0)?;
    let mut all = Vec::new();
    loop {
        let reply = receive(socket)?;
        for message in messages(&reply) {
            if kind_of(message) == NLMSG_DONE {
                return Ok(all);
            }
            error_of(message)?;
            all.push(message.to_vec());
        }
    }
}

fn receive(socket: &Socket) -> io::Result<Vec<u8>> {
    socket.recv_from_full().map(|(bytes, _)| bytes)
}

fn message(kind: u16, flags: u16, cmd: u8, version: u8, payload: &[u8]) -> Vec<u8> {
    let mut m = Vec::with_capacity(HEADERS + payload.len());
    m.extend(((HEADERS + payload.len()) as u32).to_ne_bytes());
    m.extend(kind.to_ne_bytes());
    m.extend(flags.to_ne_bytes());
    m.extend(1u32.to_ne_bytes());
    m.extend(0u32.to_ne_bytes());
    m.extend([cmd, version, 0, 0]);
    m.extend(payload);
    m
}

fn push_attribute(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend((value.len() as u16 + 4).to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

fn kind_of(message: &[u8]) -> u16 {
    message.get(4..).and_then(u16_of).unwrap_or(NLMSG_DONE)
}

fn error_of(message: &[u8]) -> io::Result<()> {
    match message.get(16..).and_then(u32_of) {
        Some(errno) if kind_of(message) == NLMSG_ERROR && errno != 0 => {
            Err(io::Error::from_raw_os_error(errno.cast_signed().wrapping_neg()))
        }
        _ => Ok(()),
    }
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = u32_of(bytes)? as usize;
        let message = bytes.get(..len).filter(|m| m.len() >= 16)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_of(bytes)?);
        let kind = u16_of(bytes.get(2..)?)? & NLA_TYPE_MASK;
        let value = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

fn u16_of(bytes: &[u8]) -> Option<u16> {
    bytes.get(..2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_of(bytes: &[u8]) -> Option<u32> {
    bytes.get(..4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn u64_of(bytes: &[u8]) -> Option<u64> {
    bytes.get(..8)?.try_into().ok().map(u64::from_ne_bytes)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

fn parse_datapath(message: &[u8]) -> Datapath {
    let mut datapath =
        Datapath { dp: DpIfindex(message.get(HEADERS..).and_then(u32_of).unwrap_or(0)), ..Datapath::default() };
    let mut stats = DpStats::default();
    for (kind, value) in attributes(message.get(OVS_HEADERS..).unwrap_or(&[])) {
        let word = |at: usize| value.get(at..).and_then(u64_of).unwrap_or(0);
        match kind {
            // OVS_DP_ATTR_NAME
            1 => datapath.name = text_of(value),
            // OVS_DP_ATTR_STATS, struct ovs_dp_stats
            3 => {
                stats.n_hit = word(0);
                stats.n_missed = word(8);
                stats.n_lost = word(16);
                stats.n_flows = word(24);
                datapath.stats = Some(stats);
            }
            // OVS_DP_ATTR_MEGAFLOW_STATS, struct ovs_dp_megaflow_stats
            4 => {
                stats.n_mask_hit = word(0);
                stats.n_masks = value.get(8..).and_then(u32_of).unwrap_or(0);
                stats.n_cache_hit = word(16);
                datapath.stats = Some(stats);
            }
            _ => {}
        }
    }
    datapath
}

fn parse_port(message: &[u8]) -> Port {
    let mut port = Port { port: PortNo(0), name: String::new(), kind: "unknown".to_owned(), ifindex: 0 };
    for (kind, value) in attributes(message.get(OVS_HEADERS..).unwrap_or(&[])) {
        match kind {
            // OVS_VPORT_ATTR_PORT_NO, _TYPE, _NAME, _IFINDEX
            1 => port.port = PortNo(u32_of(value).unwrap_or(0)),
            2 => {
                // enum ovs_vport_type
                let names = ["unspecified", "netdev", "internal", "gre", "vxlan", "geneve"];
                let name = u32_of(value).and_then(|n| names.get(n as usize)).unwrap_or(&"unknown");
                (*name).clone_into(&mut port.kind);
            }
            3 => port.name = text_of(value),
            8 => port.ifindex = u32_of(value).unwrap_or(0),
            _ => {}
        }
    }
    port
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_port_is_read_from_its_attributes() {
        let mut payload = 7u32.to_ne_bytes().to_vec();
        push_attribute(&mut payload, 1, &3u32.to_ne_bytes());
        push_attribute(&mut payload, 2, &1u32.to_ne_bytes());
        push_attribute(&mut payload, 3, b"p1_l\0");
        push_attribute(&mut payload, 8, &12u32.to_ne_bytes());
        let port = parse_port(&message(30, 0, OVS_CMD_GET, 1, &payload));
        assert_eq!(port, Port { port: PortNo(3), name: "p1_l".into(), kind: "netdev".into(), ifindex: 12 });
    }

    #[test]
    fn a_refusal_carries_its_errno() {
        let mut refused = message(NLMSG_ERROR, 0, 0, 0, &[]);
        refused[16..20].copy_from_slice(&(-2i32).to_ne_bytes());
        assert_eq!(error_of(&refused).expect_err("it is one").raw_os_error(), Some(2));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for message in messages(&bytes) {
                let _ = (parse_datapath(message), parse_port(message), error_of(message));
            }
        }
    }
}
