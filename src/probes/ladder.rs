//! Which rung of the ladder each capability stands on: what it is attached with, and why not with something better.

use std::collections::BTreeMap;

use super::capability::{Plan, Wanted};
use crate::event::{Capability, CapabilityState};

/// What may be attached with what; `--attach`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attach {
    /// The best that the kernel allows, for each capability by itself.
    #[default]
    Auto,
    /// Only fentry, fexit and `tp_btf`.
    Fentry,
    /// Only kprobes and raw tracepoints.
    Kprobe,
}

/// What a program is attached with, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// fentry, fexit and `tp_btf`: `bpf/ovscope.bpf.c`.
    Fentry,
    /// kprobes, kretprobes and raw tracepoints: `bpf/ovscope_kprobes.bpf.c`.
    Kprobe,
}

impl Rung {
    const ALL: [Self; 2] = [Self::Fentry, Self::Kprobe];
}

/// What is worse on the lower rung, for those whose programs are on functions.
const KPROBES: &str =
    "a kprobe costs more, and passes over a run while another is at work on its CPU (counted since Linux 6.7)";
/// And for those on tracepoints alone.
const RAW_TRACEPOINT: &str = "a raw tracepoint costs a little more";

/// How the capabilities stand. Each begins on the best rung that is allowed and falls when the kernel refuses it there.
#[derive(Debug)]
pub struct Ladder {
    attach: Attach,
    /// On no rung, and why; none while nobody has looked.
    gone: Option<BTreeMap<&'static str, String>>,
    /// Why not on which rung.
    refused: BTreeMap<&'static str, Vec<(Rung, String)>>,
}

impl Ladder {
    /// All stand as high as they may.
    pub fn new(attach: Attach) -> Self {
        Self { attach, gone: None, refused: BTreeMap::new() }
    }

    /// Takes those off that cannot be on any rung, which `look` names and says why; whether there are some. It is asked
    /// once: later ones hear that there are no others.
    pub fn take_off(&mut self, look: impl FnOnce() -> BTreeMap<&'static str, String>) -> bool {
        if self.gone.is_some() {
            return false;
        }
        !self.gone.insert(look()).is_empty()
    }

    fn gone(&self, plan: &Plan) -> Option<&String> {
        self.gone.as_ref()?.get(plan.name)
    }

    /// Where it stands; none: it cannot be attached.
    pub fn rung(&self, plan: &Plan) -> Option<Rung> {
        if self.gone(plan).is_some() {
            return None;
        }
        Rung::ALL.into_iter().find(|rung| self.why_not(plan, *rung).is_none())
    }

    /// The kernel refused it on this rung.
    pub fn fall(&mut self, plan: &Plan, rung: Rung, why: String) {
        let refused = self.refused.entry(plan.name).or_default();
        if !refused.iter().any(|(of, _)| *of == rung) {
            refused.push((rung, why));
        }
    }

    fn why_not(&self, plan: &Plan, rung: Rung) -> Option<&str> {
        match (self.attach, rung) {
            // A probe in a program of user space is attached in one way.
            (_, Rung::Kprobe) if plan.wanted == Wanted::Usdt => Some("there is no other way"),
            (Attach::Kprobe, Rung::Fentry) if plan.wanted != Wanted::Usdt => Some("as asked (--attach kprobe)"),
            (Attach::Fentry, Rung::Kprobe) => Some("kprobes are not tried (--attach fentry)"),
            _ => {
                let refused = self.refused.get(plan.name)?;
                refused.iter().find(|(of, _)| *of == rung).map(|(_, why)| why.as_str())
            }
        }
    }

    /// How it stands.
    pub fn capability(&self, plan: &Plan) -> Capability {
        if let Some(why) = self.gone(plan) {
            return plan.state(CapabilityState::Missing, Rung::Fentry, why.clone());
        }
        let better = self.why_not(plan, Rung::Fentry).unwrap_or_default();
        match self.rung(plan) {
            Some(Rung::Fentry) => plan.state(CapabilityState::Attached, Rung::Fentry, String::new()),
            Some(Rung::Kprobe) => {
                let on_tracepoint = plan.probe_on(Rung::Kprobe).starts_with("raw_tp");
                let worse = if on_tracepoint { RAW_TRACEPOINT } else { KPROBES };
                plan.state(CapabilityState::Degraded, Rung::Kprobe, format!("{better}; {worse}"))
            }
            None => {
                let mut reasons: Vec<&str> =
                    Rung::ALL.into_iter().filter_map(|rung| self.why_not(plan, rung)).collect();
                // The same on both is said once.
                reasons.dedup();
                let why = format!("{}: {}", reasons.join("; "), plan.without);
                plan.state(CapabilityState::Missing, Rung::Fentry, why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::capability::PLANS;

    fn upcall_return() -> &'static Plan {
        PLANS.iter().find(|p| p.name == "upcall_return").expect("it is planned")
    }

    #[test]
    fn what_is_refused_falls_alone_and_says_why() {
        let mut ladder = Ladder::new(Attach::Auto);
        ladder.fall(upcall_return(), Rung::Fentry, "no trampoline".to_owned());
        for plan in PLANS {
            let stands = ladder.capability(plan);
            if plan.name == "upcall_return" {
                assert_eq!((ladder.rung(plan), stands.state), (Some(Rung::Kprobe), CapabilityState::Degraded));
                assert_eq!(stands.probe, "kprobe+kretprobe ovs_dp_upcall");
                assert!(stands.why.starts_with("no trampoline; a kprobe costs more"), "{}", stands.why);
            } else {
                assert_eq!((ladder.rung(plan), stands.state), (Some(Rung::Fentry), CapabilityState::Attached));
                assert_eq!((stands.probe.as_str(), stands.why.as_str()), (plan.probe, ""));
            }
        }
    }

    #[test]
    fn below_the_last_rung_it_is_missing_with_every_reason() {
        let mut ladder = Ladder::new(Attach::Auto);
        ladder.fall(upcall_return(), Rung::Fentry, "no trampoline".to_owned());
        ladder.fall(upcall_return(), Rung::Kprobe, "no kprobes".to_owned());
        let stands = ladder.capability(upcall_return());
        assert_eq!((ladder.rung(upcall_return()), stands.state), (None, CapabilityState::Missing));
        assert_eq!(stands.why, format!("no trampoline; no kprobes: {}", upcall_return().without));
        let mut ladder = Ladder::new(Attach::Auto);
        for rung in Rung::ALL {
            ladder.fall(upcall_return(), rung, "no such helper".to_owned());
        }
        assert_eq!(ladder.capability(upcall_return()).why, format!("no such helper: {}", upcall_return().without));
    }

    #[test]
    fn what_is_asked_for_is_kept_to() {
        let ladder = Ladder::new(Attach::Kprobe);
        for plan in PLANS {
            let asked = if plan.wanted == Wanted::Usdt { Rung::Fentry } else { Rung::Kprobe };
            assert_eq!(ladder.rung(plan), Some(asked), "{}", plan.name);
        }
        let mut ladder = Ladder::new(Attach::Fentry);
        ladder.fall(upcall_return(), Rung::Fentry, "no trampoline".to_owned());
        assert_eq!(ladder.rung(upcall_return()), None);
        assert!(ladder.capability(upcall_return()).why.contains("--attach fentry"));
    }

    #[test]
    fn what_is_not_there_is_on_no_rung() {
        let mut ladder = Ladder::new(Attach::Auto);
        assert!(ladder.take_off(|| BTreeMap::from([("upcall_return", "inlined".to_owned())])));
        assert!(!ladder.take_off(|| panic!("nobody looks twice")));
        assert_eq!(ladder.rung(upcall_return()), None);
        assert_eq!(ladder.capability(upcall_return()).why, "inlined");
    }
}
