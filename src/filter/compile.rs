//! Compiles a condition to classic BPF, once for each place where it is applied.

use super::{
    classic::{self, Insn, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, LD_WORD, RETURN, Unfit},
    field::{Field, Place},
    parse::Op,
    resolve::{Condition, Test},
};

/// What the kernel side runs; an empty program accepts everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Programs {
    /// Of `-f`, over a packet's bytes.
    pub bytes: Vec<Insn>,
    /// Of `--where`, at [`Place::Lookup`].
    pub lookup: Vec<Insn>,
    /// Of `--where`, at [`Place::Upcall`].
    pub upcall: Vec<Insn>,
    /// Of `--where`, at [`Place::Drop`]; unlike the others, where it is empty drops decide nothing.
    pub drop: Vec<Insn>,
}

/// Why a condition cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// It takes too many instructions.
    #[error("--where: {0}")]
    Long(#[from] Unfit),
    /// It can hold only at places where nothing is attached.
    #[error(
        "--where can never hold with --sample 0, where only upcalls are seen: ufid is known after lookups, reason at \
         drops. Leave one of the two out"
    )]
    OnlyLookups,
}

impl Programs {
    /// Adds the programs of a condition to that of the bytes. A comparison with a field that a place does not know holds there
    /// neither as it is nor negated. `lookups` is false where only upcalls are seen.
    pub fn of(bytes: Vec<Insn>, condition: Option<&Condition>, lookups: bool) -> Result<Self, Unreachable> {
        let Some(condition) = condition else { return Ok(Self { bytes, ..Self::default() }) };
        let at = |place| fold(condition, false, place, lookups);
        let (lookup, upcall, drop) = (at(Place::Lookup), at(Place::Upcall), at(Place::Drop));
        // Upcalls know every field but for the flow, which lookups tell them, and the reason of a drop.
        if !lookups && upcall == Folded::Never {
            return Err(Unreachable::OnlyLookups);
        }
        let drops = lookups && condition.has(Field::Reason);
        let drop = if drops { generate(&drop)? } else { Vec::new() };
        Ok(Self { bytes, lookup: generate(&lookup)?, upcall: generate(&upcall)?, drop })
    }
}

/// A condition at one place: without negations, and without fields that are not known there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Folded {
    Always,
    Never,
    /// A test, or its opposite, and the word that must not be 0 for the field to be known at all.
    Test(Test, bool, Option<usize>),
    All(Vec<Folded>),
    Any(Vec<Folded>),
}

fn fold(condition: &Condition, negated: bool, place: Place, ufid_is_kept: bool) -> Folded {
    let each = |conditions: &[Condition]| -> Vec<Folded> {
        conditions.iter().map(|c| fold(c, negated, place, ufid_is_kept)).collect()
    };
    match condition {
        Condition::Not(inner) => fold(inner, !negated, place, ufid_is_kept),
        Condition::All(parts) if negated => any_of(each(parts)),
        Condition::Any(parts) if negated => all_of(each(parts)),
        Condition::All(parts) => all_of(each(parts)),
        Condition::Any(parts) => any_of(each(parts)),
        Condition::Test(test) => {
            let known = test.field.is_known_at(place) && (ufid_is_kept || test.field != Field::Ufid);
            let known_by = test.field.known_by(place);
            if known { Folded::Test(test.clone(), negated, known_by) } else { Folded::Never }
        }
    }
}

fn all_of(mut parts: Vec<Folded>) -> Folded {
    parts.retain(|part| *part != Folded::Always);
    if parts.contains(&Folded::Never) {
        return Folded::Never;
    }
    if parts.is_empty() { Folded::Always } else { Folded::All(parts) }
}

fn any_of(mut parts: Vec<Folded>) -> Folded {
    parts.retain(|part| *part != Folded::Never);
    if parts.contains(&Folded::Always) {
        return Folded::Always;
    }
    if parts.is_empty() { Folded::Never } else { Folded::Any(parts) }
}

/// Where a jump goes, until all instructions are written.
#[derive(Debug, Clone, Copy)]
struct Label(usize);

#[derive(Debug, Default)]
struct Writer {
    insns: Vec<Insn>,
    /// Where each label is.
    labels: Vec<usize>,
    /// Jumps by their places, with where they go.
    jumps: Vec<(usize, Label)>,
}

fn generate(folded: &Folded) -> Result<Vec<Insn>, Unfit> {
    let mut writer = Writer::default();
    let (yes, no) = (writer.label(), writer.label());
    writer.condition(folded, yes, no);
    for (label, verdict) in [(yes, 1), (no, 0)] {
        writer.here(label);
        writer.push(RETURN, verdict);
    }
    let program = writer.finish();
    classic::check(&program)?;
    Ok(program)
}

impl Writer {
    fn label(&mut self) -> Label {
        self.labels.push(usize::MAX);
        Label(self.labels.len() - 1)
    }

    fn here(&mut self, label: Label) {
        self.labels[label.0] = self.insns.len();
    }

    fn push(&mut self, code: u16, k: u32) {
        self.insns.push(Insn { code, jt: 0, jf: 0, k });
    }

    fn jump(&mut self, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(JUMP, 0);
    }

    /// A comparison of A. Conditional jumps are short: each goes to one of two that are long.
    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) {
        self.insns.push(Insn { code, jt: 0, jf: 1, k });
        self.jump(yes);
        self.jump(no);
    }

    fn condition(&mut self, folded: &Folded, yes: Label, no: Label) {
        match folded {
            Folded::Always => self.jump(yes),
            Folded::Never => self.jump(no),
            Folded::Test(test, negated, known_by) => self.test(test, *negated, *known_by, yes, no),
            Folded::All(all) => {
                for part in all {
                    let next = self.label();
                    self.condition(part, next, no);
                    self.here(next);
                }
                self.jump(yes);
            }
            Folded::Any(any) => {
                for part in any {
                    let next = self.label();
                    self.condition(part, yes, next);
                    self.here(next);
                }
                self.jump(no);
            }
        }
    }

    fn test(&mut self, test: &Test, negated: bool, known_by: Option<usize>, yes: Label, no: Label) {
        let load = |word: usize| 4 * word as u32;
        if let Some(word) = known_by {
            let known = self.label();
            self.push(LD_WORD, load(word));
            self.branch(JUMP_EQ, 0, no, known);
            self.here(known);
        }
        let (yes, no) = if negated { (no, yes) } else { (yes, no) };
        for (i, value) in test.words.iter().enumerate() {
            let next = self.label();
            self.push(LD_WORD, load(test.field.word() + i));
            match test.op {
                Op::Eq => self.branch(JUMP_EQ, *value, next, no),
                Op::Ne => self.branch(JUMP_EQ, *value, no, next),
                Op::Gt => self.branch(JUMP_GT, *value, next, no),
                Op::Le => self.branch(JUMP_GT, *value, no, next),
                Op::Ge => self.branch(JUMP_GE, *value, next, no),
                Op::Lt => self.branch(JUMP_GE, *value, no, next),
            }
            self.here(next);
        }
        self.jump(yes);
    }

    /// Fills in every jump's distance; conditional ones go straight to their targets where these are near.
    fn finish(mut self) -> Vec<Insn> {
        for (at, label) in &self.jumps {
            self.insns[*at].k = (self.labels[label.0] - at - 1) as u32;
        }
        for at in 0..self.insns.len() {
            let insn = self.insns[at];
            if [JUMP_EQ, JUMP_GT, JUMP_GE].contains(&insn.code) {
                let straight = |over: u8| {
                    let mut end = at + 1 + usize::from(over);
                    while self.insns[end].code == JUMP {
                        end += 1 + self.insns[end].k as usize;
                    }
                    u8::try_from(end - at - 1).unwrap_or(over)
                };
                let (jt, jf) = (straight(insn.jt), straight(insn.jf));
                self.insns[at] = Insn { jt, jf, ..insn };
            }
        }
        self.insns
    }
}

#[cfg(test)]
mod tests;
