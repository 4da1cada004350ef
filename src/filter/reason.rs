//! Looks up what a packet is dropped for: by its name in the running kernel, or why there is none of it.

use std::{cmp::Reverse, collections::BTreeMap};

use super::resolve::there_are;

/// Why nothing can be asked for where the kernel tells no reasons.
pub const NONE: &str = "this kernel tells no reasons of drops (Linux does since 5.17), so none can be asked for";

/// Of the core's; the kernel's own lists have it before each.
const CORE: &str = "SKB_DROP_REASON_";
/// Of openvswitch's own.
const OVS: &str = "OVS_DROP_";
/// Names that are shown as near, at most.
const NEAR: usize = 5;
/// How alike they are at least, from 0 to 1.
const ALIKE: f64 = 0.75;

/// The number of a reason, by its name in capitals or not, with the kernel's prefix or without.
pub fn number(name: &str, reasons: &BTreeMap<u32, String>) -> Result<u32, String> {
    let name = name.to_ascii_uppercase();
    let plain = name.strip_prefix(CORE).unwrap_or(&name);
    if let Some((number, _)) = reasons.iter().find(|(_, known)| *known == plain) {
        return Ok(*number);
    }
    if reasons.is_empty() {
        return Err(NONE.to_owned());
    }
    let of_ovs = |name: &str| name.starts_with(OVS);
    let none_of_ovs = of_ovs(plain) && !reasons.values().any(|known| of_ovs(known));
    let why = if none_of_ovs {
        "openvswitch tells no reasons of its own on this kernel (Linux does since 6.6)".to_owned()
    } else {
        format!("there is no reason '{plain}' on this kernel")
    };
    let near = if none_of_ovs { Vec::new() } else { near(plain, reasons) };
    if !near.is_empty() {
        return Err(format!("{why}; near it: {}", near.join(", ")));
    }
    // Openvswitch's own first.
    let (ovs, core): (Vec<&String>, Vec<&String>) = reasons.values().partition(|known| of_ovs(known));
    Err(why + &there_are(ovs.into_iter().chain(core).cloned()))
}

/// Names like this one, the most alike first.
fn near<'a>(name: &str, reasons: &'a BTreeMap<u32, String>) -> Vec<&'a str> {
    // What they all begin with says nothing.
    let bare = |name: &str| name.strip_prefix(OVS).unwrap_or(name).to_owned();
    let alike = |known: &str| strsim::jaro_winkler(&bare(name), &bare(known));
    let mut near: Vec<(u32, &str)> = reasons
        .values()
        .map(|known| (alike(known), known.as_str()))
        .filter(|(alike, _)| *alike >= ALIKE)
        .map(|(alike, known)| ((alike * 1e6) as u32, known))
        .collect();
    near.sort_by_key(|(alike, known)| (Reverse(*alike), *known));
    near.into_iter().take(NEAR).map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(names: &[(u32, &str)]) -> BTreeMap<u32, String> {
        names.iter().map(|(number, name)| (*number, (*name).to_owned())).collect()
    }

    #[test]
    fn a_reason_has_a_name_as_the_kernel_writes_it_or_shorter() {
        let known = reasons(&[(2, "NOT_SPECIFIED"), (3, "NO_SOCKET"), (0x3_0005, "OVS_DROP_METER")]);
        for (name, is) in [
            ("NO_SOCKET", 3),
            ("no_socket", 3),
            ("SKB_DROP_REASON_NO_SOCKET", 3),
            ("OVS_DROP_METER", 0x3_0005),
            ("ovs_drop_meter", 0x3_0005),
        ] {
            assert_eq!(number(name, &known), Ok(is), "{name}");
        }
    }

    #[test]
    fn what_there_is_not_is_refused_with_what_is_near_it_or_all_there_is() {
        let known = reasons(&[
            (2, "NOT_SPECIFIED"),
            (3, "NO_SOCKET"),
            (0x3_0005, "OVS_DROP_METER"),
            (0x3_0006, "OVS_DROP_RECURSION_LIMIT"),
        ]);
        let why = |name: &str| number(name, &known).expect_err("there is none");
        assert_eq!(why("NO_SOKET"), "there is no reason 'NO_SOKET' on this kernel; near it: NO_SOCKET");
        assert_eq!(why("meter"), "there is no reason 'METER' on this kernel; near it: OVS_DROP_METER");
        assert_eq!(
            why("QQQ"),
            "there is no reason 'QQQ' on this kernel; there are: OVS_DROP_METER, OVS_DROP_RECURSION_LIMIT, \
             NOT_SPECIFIED, NO_SOCKET"
        );
    }

    #[test]
    fn a_kernel_without_reasons_says_since_when_there_are_some() {
        assert_eq!(number("NO_SOCKET", &BTreeMap::new()), Err(NONE.to_owned()));
        let core = reasons(&[(2, "NOT_SPECIFIED"), (3, "NO_SOCKET")]);
        assert_eq!(
            number("OVS_DROP_METER", &core).expect_err("there is none"),
            "openvswitch tells no reasons of its own on this kernel (Linux does since 6.6); there are: NOT_SPECIFIED, \
             NO_SOCKET"
        );
    }
}
