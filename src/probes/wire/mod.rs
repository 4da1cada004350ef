//! The wire format, byte for byte as the kernel side has it.
//!
//! A test compares every size and offset with the compiled object's BTF.

use bytemuck::Pod;

macro_rules! wire {
    ($layouts:ident: $($(#[$doc:meta])* struct $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, Pod, Zeroable)]
            #[repr(C)]
            #[allow(dead_code, reason = "padding is named")]
            pub struct $name { $(pub $field: $type,)* }
        )*

        /// Every struct's name in C, size and fields with their offsets, for the comparison with the object's BTF.
        #[cfg(test)]
        pub fn $layouts() -> Vec<(&'static str, usize, Vec<(&'static str, usize)>)> {
            vec![$((
                stringify!($name),
                size_of::<$name>(),
                vec![$((stringify!($field), std::mem::offset_of!($name, $field)),)*],
            ),)*]
        }
    };
}

mod maps;
mod ring;

pub use maps::*;
pub use ring::*;

/// Reads one struct from the front of `bytes`; none when there are too few.
pub fn read<T: Pod>(bytes: &[u8]) -> Option<T> {
    bytes.get(..size_of::<T>()).map(bytemuck::pod_read_unaligned)
}

#[cfg(test)]
mod tests {
    use libbpf_rs::{
        HasSize as _,
        btf::{Btf, types::Struct},
    };

    use super::*;

    fn c_name(rust: &str) -> String {
        rust.chars()
            .flat_map(|c| if c.is_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] })
            .skip(1)
            .collect()
    }

    #[test]
    fn a_filter_finds_its_fields() {
        let (_, size, fields) =
            map_layouts().into_iter().find(|(name, ..)| *name == "FilterFields").expect("it is there");
        for field in crate::filter::FIELDS {
            let at = fields.iter().find(|(name, _)| *name == field.name()).map(|(_, at)| *at);
            assert_eq!(at, Some(field.word() * 4), "{field}");
        }
        assert_eq!(fields[crate::filter::UFID_LEN_WORD], ("ufid_len", crate::filter::UFID_LEN_WORD * 4));
        assert!(size <= 256, "it fits into what a program sees");
        assert_eq!(crate::filter::classic::MAX, FILTER_INSNS);
    }

    #[test]
    fn every_struct_lies_as_the_compiled_object_has_it() {
        let btf = Btf::from_path(concat!(env!("OUT_DIR"), "/ovscope.bpf.o")).expect("build.rs leaves the object");
        for (name, size, fields) in ring_layouts().into_iter().chain(map_layouts()) {
            let name = c_name(name);
            let in_c: Struct<'_> = btf.type_by_name(&name).unwrap_or_else(|| panic!("{name} is in the BTF"));
            assert_eq!(in_c.size(), size, "size of {name}");
            let offsets: Vec<(String, u32)> = in_c
                .iter()
                .map(|m| {
                    let name = m.name.expect("named").to_string_lossy().into_owned();
                    let libbpf_rs::btf::types::MemberAttr::Normal { offset } = m.attr else { panic!("a bit field") };
                    (name, offset / 8)
                })
                .collect();
            let expected: Vec<(String, u32)> = fields.into_iter().map(|(f, at)| (f.to_owned(), at as u32)).collect();
            assert_eq!(offsets, expected, "fields of {name}");
        }
    }
}
