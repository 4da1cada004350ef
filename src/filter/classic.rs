//! Classic BPF: instructions as in `linux/filter.h`, and which programs the kernel side can run.

use std::fmt;

/// The most instructions of a program; `FILTER_INSNS` in bpf/maps.h.
pub const MAX: usize = 512;

/// An instruction; `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    /// What it does.
    pub code: u16,
    /// Of a conditional jump: how many instructions to skip where it holds.
    pub jt: u8,
    /// The same where it does not hold.
    pub jf: u8,
    /// Its number.
    pub k: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`: a word of the packet into A.
pub const LD_WORD: u16 = 0x20;
/// `BPF_JMP | BPF_JA`: over k instructions.
pub const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`: is A equal to k?
pub const JUMP_EQ: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`: is A greater?
pub const JUMP_GT: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`: is A greater or equal?
pub const JUMP_GE: u16 = 0x35;
/// `BPF_RET | BPF_K`: the end; 0 refuses the packet.
pub const RETURN: u16 = 0x06;

/// Loads from here on are of what only a packet socket knows (`SKF_AD_OFF` and the like).
const EXTENSIONS: u32 = 0xfff0_0000;

/// Why a program cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has too many instructions.
    #[error("it takes {0} instructions, and {MAX} are the most: ask for less at once")]
    Long(usize),
    /// It has none, or does not end with a return.
    #[error("its program does not end")]
    Endless,
    /// It has an instruction that the interpreter does not know, or that jumps out of the program.
    #[error("its program has an instruction that is of no use here: {0}")]
    Instruction(Insn),
}

impl fmt::Display for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} {} {} {:#x}", self.code, self.jt, self.jf, self.k)
    }
}

/// Whether a program may be run: known instructions, at most [`MAX`], jumps that go forward and stay inside, an end.
pub fn check(program: &[Insn]) -> Result<(), Unfit> {
    if program.len() > MAX {
        return Err(Unfit::Long(program.len()));
    }
    if program.last().is_none_or(|insn| insn.code & 7 != 6) {
        return Err(Unfit::Endless);
    }
    for (at, insn) in program.iter().enumerate() {
        let inside = |over: u32| (over as usize) < program.len() - at - 1;
        let good = match insn.code {
            // ld [k] and ldx 4*([k]&0xf): within the packet.
            0x20 | 0x28 | 0x30 | 0xb1 => insn.k < EXTENSIONS,
            // ld M[k], ldx M[k], st, stx.
            0x60 | 0x61 | 0x02 | 0x03 => insn.k < 16,
            // div #k, mod #k.
            0x34 | 0x94 => insn.k != 0,
            JUMP => inside(insn.k),
            // jeq, jgt, jge, jset, with k and with X.
            JUMP_EQ | 0x1d | JUMP_GT | 0x2d | JUMP_GE | 0x3d | 0x45 | 0x4d => {
                inside(insn.jt.into()) && inside(insn.jf.into())
            }
            // ld [X+k], ld and ldx of the length and of k; add, sub, mul, or, and, xor, lsh, rsh with k and with X, neg;
            // div and mod by X; ret k, ret a; tax, txa.
            0x40 | 0x48 | 0x50 | 0x80 | 0x81 | 0x00 | 0x01 | 0x04 | 0x0c | 0x14 | 0x1c | 0x24 | 0x2c | 0x44 | 0x4c
            | 0x54 | 0x5c | 0xa4 | 0xac | 0x64 | 0x6c | 0x74 | 0x7c | 0x84 | 0x3c | 0x9c | RETURN | 0x16 | 0x07
            | 0x87 => true,
            _ => false,
        };
        if !good {
            return Err(Unfit::Instruction(*insn));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    const RET: Insn = Insn { code: RETURN, jt: 0, jf: 0, k: 1 };

    /// What a checked program of loads, comparisons and returns gives for these bytes: the reference for testing compilers.
    pub fn run(program: &[Insn], bytes: &[u8]) -> u32 {
        let (mut a, mut at) = (0u32, 0usize);
        loop {
            let insn = program[at];
            let k = insn.k;
            at += 1;
            let over = |holds: bool| usize::from(if holds { insn.jt } else { insn.jf });
            match insn.code {
                LD_WORD => match bytes.get(k as usize..k as usize + 4) {
                    Some(word) => a = u32::from_be_bytes(word.try_into().expect("four bytes")),
                    None => return 0,
                },
                JUMP => at += k as usize,
                JUMP_EQ => at += over(a == k),
                JUMP_GT => at += over(a > k),
                JUMP_GE => at += over(a >= k),
                RETURN => return k,
                code => panic!("{code:#x} at {}", at - 1),
            }
        }
    }

    #[test]
    fn a_program_must_end_and_stay_inside() {
        assert_eq!(check(&[RET]), Ok(()));
        assert_eq!(check(&[]), Err(Unfit::Endless));
        let load = Insn { code: LD_WORD, jt: 0, jf: 0, k: 12 };
        assert_eq!(check(&[RET, load]), Err(Unfit::Endless));
        let jump = |k| Insn { code: JUMP, jt: 0, jf: 0, k };
        assert_eq!(check(&[jump(0), RET]), Ok(()));
        assert_eq!(check(&[jump(1), RET]), Err(Unfit::Instruction(jump(1))));
        assert_eq!(check(&[jump(u32::MAX), RET]), Err(Unfit::Instruction(jump(u32::MAX))));
        let branch = |jt, jf| Insn { code: JUMP_EQ, jt, jf, k: 0 };
        assert_eq!(check(&[branch(1, 0), RET, RET]), Ok(()));
        assert_eq!(check(&[branch(0, 2), RET, RET]), Err(Unfit::Instruction(branch(0, 2))));
        assert_eq!(check(&vec![RET; MAX + 1]), Err(Unfit::Long(MAX + 1)));
        for k in [0xffff_f000, 0xfff0_0000] {
            let extension = Insn { code: 0x28, jt: 0, jf: 0, k };
            assert_eq!(check(&[extension, RET]), Err(Unfit::Instruction(extension)));
        }
        for (code, k) in [(0x34, 0), (0x60, 16), (0xff, 0), (0xa0, 0), (0x0e, 0)] {
            let odd = Insn { code, jt: 0, jf: 0, k };
            assert_eq!(check(&[odd, RET]), Err(Unfit::Instruction(odd)));
        }
    }

    proptest! {
        #[test]
        fn no_program_makes_the_check_panic(insns in prop::collection::vec(any::<(u16, u8, u8, u32)>(), 0..20)) {
            let program: Vec<Insn> =
                insns.into_iter().map(|(code, jt, jf, k)| Insn { code: code & 0xff, jt, jf, k }).collect();
            let _ = check(&program);
        }
    }
}
