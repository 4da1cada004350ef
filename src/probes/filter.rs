//! Gives the kernel side a filter's programs.

use bytemuck::Zeroable as _;
use libbpf_rs::{MapCore as _, MapFlags};

use super::{skeleton::OvscopeMaps, wire};
use crate::filter::Programs;

/// Writes the programs of a filter, before anything runs them.
pub fn write(maps: &OvscopeMaps<'_>, filter: &Programs) -> libbpf_rs::Result<()> {
    let places = [
        (wire::FILTER_BYTES, &filter.bytes),
        (wire::FILTER_LOOKUP, &filter.lookup),
        (wire::FILTER_UPCALL, &filter.upcall),
        (wire::FILTER_DROP, &filter.drop),
    ];
    for (place, insns) in places {
        let mut program = wire::FilterProgram { len: insns.len() as u32, ..wire::FilterProgram::zeroed() };
        for (to, insn) in program.insns.iter_mut().zip(insns) {
            *to = wire::FilterInsn { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k };
        }
        maps.filter_programs.update(&place.to_ne_bytes(), bytemuck::bytes_of(&program), MapFlags::ANY)?;
    }
    Ok(())
}
