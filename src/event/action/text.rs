//! Actions as text, as `ovs-dpctl dump-flows` prints them (`format_odp_action` in OVS's `lib/odp-util.c`), so that what is
//! on the screen can be compared with what the daemon says.

use std::fmt;

use super::{Action, CheckPktLen, MplsLse, MplsParts, Nested, Nsh, Psample, Userspace};

/// C's `%#x`: a zero has no prefix.
pub(super) fn alternate_hex(number: u128) -> String {
    if number == 0 { "0".to_owned() } else { format!("{number:#x}") }
}

/// Parts with commas between them.
pub(super) fn list(parts: &[impl fmt::Display]) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A wide number as a string of hex digits.
pub(super) mod wide {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(number: &u128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{number:#x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u128, D::Error> {
        let text = String::deserialize(d)?;
        u128::from_str_radix(text.trim_start_matches("0x"), 16).map_err(D::Error::custom)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Output { port } => write!(f, "{port}"),
            Self::Userspace(to) => write!(f, "{to}"),
            Self::Set { to: Some(to) } | Self::SetMasked { to: Some(to) } => write!(f, "set({to})"),
            Self::PushVlan { tpid, vid, pcp } => {
                let mut parts = Vec::new();
                if *tpid != 0x8100 {
                    parts.push(format!("tpid=0x{tpid:04x}"));
                }
                parts.push(format!("vid={vid}"));
                parts.push(format!("pcp={pcp}"));
                write!(f, "push_vlan({})", list(&parts))
            }
            Self::Sample { args: Some(sample) } => {
                let percent = 100.0 * f64::from(sample.probability) / f64::from(u32::MAX);
                write!(f, "sample(sample={percent:.1}%,actions({}))", sample.actions)
            }
            Self::Recirc { id } => write!(f, "recirc({})", alternate_hex((*id).into())),
            Self::Hash { algorithm: 0, basis } => write!(f, "hash(l4({basis}))"),
            Self::Hash { algorithm: 1, basis } => write!(f, "hash(sym_l4({basis}))"),
            Self::Hash { algorithm, basis } => write!(f, "hash(algorithm {algorithm},{basis})"),
            Self::PushMpls { lse, ethertype } => write!(f, "push_mpls({lse},eth_type=0x{ethertype:x})"),
            Self::PopMpls { ethertype } => write!(f, "pop_mpls(eth_type=0x{ethertype:x})"),
            Self::Ct { args: Some(ct) } => write!(f, "{ct}"),
            Self::Trunc { max_len } => write!(f, "trunc({max_len})"),
            Self::PushEth { addresses: Some(eth) } => {
                write!(f, "push_eth(src={},dst={})", eth.src, eth.dst)
            }
            Self::PushNsh { header: Some(nsh) } => write!(f, "push_nsh({nsh})"),
            Self::PopNsh => f.write_str("pop_nsh()"),
            Self::Meter { id } => write!(f, "meter({id})"),
            Self::Clone { actions: Some(actions) } => write!(f, "clone({actions})"),
            Self::CheckPktLen { args: Some(args) } => {
                let CheckPktLen { len, greater, less_equal } = &**args;
                write!(f, "check_pkt_len(size={len},gt({greater}),le({less_equal}))")
            }
            Self::AddMpls { args: Some(mpls) } => {
                write!(f, "add_mpls({},eth_type=0x{:x})", mpls.lse, mpls.ethertype)
            }
            Self::DecTtl { actions: Some(actions) } => write!(f, "dec_ttl(le_1({actions}))"),
            Self::Drop { reason } if *reason != 0 => write!(f, "drop(reason={reason})"),
            Self::Psample { args: Some(args) } => {
                let Psample { group, cookie } = &**args;
                write!(f, "psample(group={group}")?;
                if let Some(cookie) = cookie {
                    // As one number, as OVS prints it: without the zeros before it.
                    let digits = cookie.trim_start_matches('0');
                    if digits.is_empty() { f.write_str(",cookie=0")? } else { write!(f, ",cookie=0x{digits}")? }
                }
                f.write_str(")")
            }
            Self::Unknown { number } => write!(f, "action{number}"),
            // With no arguments, or recorded by a version that did not take them.
            _ => f.write_str(name),
        }
    }
}

impl fmt::Display for Userspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.pid.iter().map(|pid| format!("pid={pid}")).collect();
        parts.extend(self.cookie.iter().map(ToString::to_string));
        if self.actions {
            parts.push("actions".to_owned());
        }
        parts.extend(self.egress_tun_port.iter().map(|port| format!("tunnel_out_port={port}")));
        write!(f, "userspace({})", list(&parts))
    }
}

/// No action is a drop.
impl fmt::Display for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.actions.is_empty(), self.cut) {
            (true, false) => f.write_str("drop"),
            (true, true) => f.write_str("..."),
            (false, cut) => write!(f, "{}{}", list(&self.actions), if cut { ",..." } else { "" }),
        }
    }
}

impl fmt::Display for Nsh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "flags={},ttl={},mdtype={},np={},spi=0x{:x},si={}",
            self.flags, self.ttl, self.mdtype, self.np, self.spi, self.si
        )?;
        for (context, n) in self.context.iter().flatten().zip(1..) {
            write!(f, ",c{n}=0x{context:x}")?;
        }
        match &self.md2 {
            Some(md2) => {
                let digits = md2.trim_start_matches('0');
                if digits.is_empty() { f.write_str(",md2=0") } else { write!(f, ",md2=0x{digits}") }
            }
            None => Ok(()),
        }
    }
}

/// As `ovs-dpctl dump-flows` prints it (`format_mpls_lse`).
impl fmt::Display for MplsLse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MplsParts { label, tc, ttl, bos } = (*self).into();
        write!(f, "label={label},tc={tc},ttl={ttl},bos={bos}")
    }
}
