//! Names of drop reasons: what the running kernel and its openvswitch module call them.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

use crate::event::drop_reason_name;

/// Names by number, read from the kernel's types when the first is asked for.
#[derive(Debug, Default)]
pub struct Reasons(Option<Known>);

#[derive(Debug, Default)]
struct Known {
    names: HashMap<u32, String>,
    /// The number of openvswitch's subsystem; none before Linux 6.6.
    ovs: Option<u32>,
}

/// All that the running kernel and its openvswitch module drop packets for, by number; empty where it does not tell, which
/// is before Linux 5.17.
pub fn read_drop_reasons() -> BTreeMap<u32, String> {
    Known::read().names.into_iter().collect()
}

impl Reasons {
    /// `NO_SOCKET`, `OVS_DROP_METER`; empty where nothing names it.
    pub fn name(&mut self, reason: u32) -> String {
        self.0.get_or_insert_with(Known::read).names.get(&reason).cloned().unwrap_or_default()
    }
}

impl Known {
    fn read() -> Self {
        let mut known = Self::default();
        let Ok(base) = fs::read("/sys/kernel/btf/vmlinux") else { return known };
        // As the kernel itself prints them: the core's without their prefix, and without the markers of where they end
        // and the subsystems begin.
        let core = enumerators(&base, &[], "skb_drop_reason").unwrap_or_default();
        let named = core.into_iter().filter_map(|(name, reason)| {
            let name = name.strip_prefix("SKB_DROP_REASON_")?;
            (reason >> 16 == 0 && name != "MAX").then(|| (reason, name.to_owned()))
        });
        known.names.extend(named);
        let subsystems = enumerators(&base, &[], "skb_drop_reason_subsys").unwrap_or_default();
        known.ovs = subsystems.into_iter().find(|(n, _)| n == "SKB_DROP_REASON_SUBSYS_OPENVSWITCH").map(|(_, at)| at);
        if let Ok(module) = fs::read("/sys/kernel/btf/openvswitch") {
            let ovs = enumerators(&module, &base, "ovs_drop_reason").unwrap_or_default();
            let own = ovs.into_iter().filter(|(name, _)| name.starts_with("OVS_DROP_") && name != "OVS_DROP_MAX");
            known.names.extend(own.map(|(name, reason)| (reason, name)));
        }
        known.fill();
        known
    }

    /// Where the module's own names could not be read, the first of them are known all the same.
    fn fill(&mut self) {
        let Some(ovs) = self.ovs else { return };
        for place in 1.. {
            let Some(name) = drop_reason_name(place) else { return };
            self.names.entry(ovs << 16 | u32::from(place)).or_insert_with(|| name.to_owned());
        }
    }
}

/// The names and values of an `enum` in BTF (`include/uapi/linux/btf.h`), in the machine's byte order. A module's BTF
/// continues the strings of its `base`. libbpf can read it too, but the crate at hand gives it no base.
fn enumerators(btf: &[u8], base: &[u8], wanted: &str) -> Option<Vec<(String, u32)>> {
    let sections = Sections::of(btf)?;
    let base = if base.is_empty() { &[] } else { Sections::of(base)?.strings };
    let name = |at: u32| {
        let at = at as usize;
        let from = if at < base.len() { base.get(at..) } else { sections.strings.get(at - base.len()..) };
        let bytes = from?.split(|b| *b == 0).next()?;
        std::str::from_utf8(bytes).ok()
    };
    let mut rest = sections.types;
    while !rest.is_empty() {
        let [name_at, info, _] = words(rest)?;
        let (count, kind) = (info as usize & 0xffff, info >> 24 & 0x1f);
        // Bytes behind each type, by its kind: BTF_KIND_INT is 1.
        let more = match kind {
            1 | 14 | 17 => 4,
            3 => 12,
            4 | 5 | 15 | 19 => 12 * count,
            6 | 13 => 8 * count,
            2 | 7..=12 | 16 | 18 => 0,
            _ => return None,
        };
        let members = rest.get(12..12 + more)?;
        if kind == 6 && count > 0 && name(name_at) == Some(wanted) {
            return members
                .chunks(8)
                .map(|m| words(m).and_then(|[at, value]| Some((name(at)?.to_owned(), value))))
                .collect();
        }
        rest = &rest[12 + more..];
    }
    None
}

/// The two sections of BTF.
struct Sections<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Sections<'a> {
    fn of(btf: &'a [u8]) -> Option<Self> {
        let [magic, header, types_at, types_len, strings_at, strings_len] = words(btf)?;
        if magic & 0xffff != 0xeb9f {
            return None;
        }
        let part = |at: u32, len: u32| btf.get(header as usize + at as usize..)?.get(..len as usize);
        Some(Self { types: part(types_at, types_len)?, strings: part(strings_at, strings_len)? })
    }
}

fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let mut words = [0; N];
    let (chunks, _) = bytes.as_chunks::<4>();
    words.copy_from_slice(chunks.get(..N)?.iter().map(|c| u32::from_ne_bytes(*c)).collect::<Vec<_>>().as_slice());
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object() -> Vec<u8> {
        // The compiled object's own types, found by their magic.
        let object = fs::read(concat!(env!("OUT_DIR"), "/ovscope.bpf.o")).expect("build.rs leaves the object");
        let magic = [0xeb9fu16.to_ne_bytes().as_slice(), &[1, 0, 24, 0, 0, 0]].concat();
        let at = object.windows(magic.len()).position(|w| w == magic).expect("BTF is in it");
        object[at..].to_vec()
    }

    #[test]
    fn an_enum_is_read_from_btf() {
        let stages = enumerators(&object(), &[], "ovs_action_attr").expect("it is there");
        assert!(stages.contains(&("OVS_ACTION_ATTR_CT".to_owned(), 12)), "{stages:?}");
        assert_eq!(enumerators(&object(), &[], "no_such_enum"), None);
    }

    #[test]
    fn a_modules_names_continue_those_of_its_base() {
        let header = |types: usize, strings: usize| -> Vec<u8> {
            [0x0001_eb9f, 24, 0, types as u32, types as u32, strings as u32]
                .iter()
                .flat_map(|w: &u32| w.to_ne_bytes())
                .collect()
        };
        let base = [header(0, 8), b"\0METER\0\0".to_vec()].concat();
        let strings = b"\0ovs_drop_reason\0OVS_DROP_IP_TTL\0";
        let types: Vec<u8> = [8 + 1, 6 << 24 | 2, 4, 1, 3 << 16 | 5, 8 + 17, 3 << 16 | 0xb]
            .iter()
            .flat_map(|w: &u32| w.to_ne_bytes())
            .collect();
        let module = [header(types.len(), strings.len()), types, strings.to_vec()].concat();
        let found = enumerators(&module, &base, "ovs_drop_reason");
        assert_eq!(found, Some(vec![("METER".to_owned(), 0x3_0005), ("OVS_DROP_IP_TTL".to_owned(), 0x3_000b)]));
    }

    #[test]
    fn a_reason_that_the_kernel_does_not_name_is_named_by_the_table_or_not_at_all() {
        let mut known = Known { names: HashMap::from([(0x2_0001, "OVS_DROP_NEW".to_owned())]), ovs: Some(2) };
        known.fill();
        let mut none = Reasons(Some(known));
        assert_eq!(none.name(0x2_0001), "OVS_DROP_NEW", "what the kernel says comes first");
        assert_eq!(none.name(0x2_0005), "OVS_DROP_METER");
        for unknown in [0x2_0000, 0x2_00ff, 0x3_0005, 5] {
            assert_eq!(none.name(unknown), "", "{unknown:#x}");
        }
    }

    proptest! {
        #[test]
        fn damaged_btf_is_borne(at in 0usize..4000, byte in any::<u8>(), len in 0usize..20_000) {
            let mut btf = object();
            btf.truncate(len);
            if let Some(b) = btf.get_mut(at) {
                *b = byte;
            }
            let _ = enumerators(&btf, &[], "ovs_action_attr");
        }
    }
}
