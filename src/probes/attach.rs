//! Attaches the kernel side, each capability on the best rung of the ladder that the kernel allows.

use std::{collections::BTreeMap, fs};

use libbpf_rs::{Link, Object, ProgramMut};

use super::{
    Config, Error, Usdt,
    capability::{HANDLER_SCHED, PACKET_END, PLANS, Plan, Wanted, missing_functions},
    cost::read_costs,
    filter,
    ladder::{Ladder, Rung},
    load::{Upper, With},
    usdt,
};
use crate::event::{Capability, CapabilityState};

/// The kernel side at work. Dropping it detaches everything.
pub struct Attached {
    /// How each of [`PLANS`] stands, in their order.
    pub capabilities: Vec<Capability>,
    links: Vec<Link>,
    /// The upper rung; its maps are everybody's.
    pub upper: Upper,
    /// The lower rung, where something stands on it.
    lower: Option<Object>,
}

impl Attached {
    /// Reads what each capability has cost. Returns how many runs of programs the kernel left out.
    pub fn read_costs(&mut self) -> u64 {
        let objects = self.upper.objects().chain(&self.lower);
        read_costs(objects, &self.links, &mut self.capabilities)
    }
}

/// Loads and attaches all that is wanted and can be. What the kernel refuses falls a rung, or is left out with its
/// reason, and everything is begun anew with what is left: mostly nothing is refused, and this is done once.
pub fn load_and_attach(config: &Config) -> Result<Attached, Error> {
    let mut ladder = Ladder::new(config.attach);
    loop {
        let upper = load_upper(config, &mut ladder)?;
        let (lower, lost_end) = load_lower(config, &mut ladder, &upper);
        if lost_end {
            continue;
        }
        if let Some(programs) = &config.filter {
            filter::write(&upper.skel.maps, programs)
                .map_err(|answer| Error::Kernel { what: "writing the filter", answer })?;
        }
        let mut attached = Attached { capabilities: Vec::new(), links: Vec::new(), upper, lower };
        if !attach(config, &mut ladder, &mut attached) {
            continue;
        }
        attached.capabilities = PLANS.iter().map(|plan| capability(plan, config, &ladder)).collect();
        let stands = |c: &Capability| matches!(c.state, CapabilityState::Attached | CapabilityState::Degraded);
        if attached.capabilities.iter().any(stands) {
            return Ok(attached);
        }
        let first = attached.capabilities.iter().find(|c| c.state == CapabilityState::Missing);
        return Err(Error::Nothing { why: first.map(|c| format!("{}: {}", c.name, c.why)).unwrap_or_default() });
    }
}

/// Loads all maps and the upper rung's programs. One that the kernel refuses falls, and the rest is loaded without it.
fn load_upper(config: &Config, ladder: &mut Ladder) -> Result<Upper, Error> {
    loop {
        let with = With { generic: generic(config, ladder), sched: sched(config, ladder) };
        let standing = standing(config, ladder, Rung::Fentry);
        let programs = standing.iter().flat_map(|plan| plan.programs).copied().collect();
        let refused = match Upper::load(config, with, &programs) {
            Ok(upper) => return Ok(upper),
            Err(refused) => refused,
        };
        if look(ladder) {
            continue;
        }
        match refused.blame() {
            Some((plan, why)) if ladder.rung(plan) == Some(Rung::Fentry) => ladder.fall(plan, Rung::Fentry, why),
            _ => return Err(Error::Refused(refused.words())),
        }
    }
}

/// Loads the lower rung's programs, where something stands there, over the maps of the upper one. Whether that cost
/// [`PACKET_END`] its place, or others every place, so that all must be begun anew.
fn load_lower(config: &Config, ladder: &mut Ladder, upper: &Upper) -> (Option<Object>, bool) {
    let with_end = generic(config, ladder);
    loop {
        let standing = standing(config, ladder, Rung::Kprobe);
        if standing.is_empty() {
            return (None, false);
        }
        let refused = match upper.load_kprobes(&standing.iter().flat_map(|plan| kprobe_programs(plan)).collect()) {
            Ok(lower) => return (Some(lower), false),
            Err(refused) => refused,
        };
        if look(ladder) {
            return (None, true);
        }
        match refused.blame().filter(|(plan, _)| standing.iter().any(|s| s.name == plan.name)) {
            Some((plan, why)) => ladder.fall(plan, Rung::Kprobe, why),
            None => standing
                .iter()
                .for_each(|plan| ladder.fall(plan, Rung::Kprobe, format!("no kprobes: {}", refused.error))),
        }
        if generic(config, ladder) != with_end {
            return (None, true);
        }
    }
}

/// Looks, once something was refused, which functions are not there at all; whether there are such. Not before: to
/// read the kernel's symbols takes a good part of a second, and mostly all are there.
fn look(ladder: &mut Ladder) -> bool {
    ladder.take_off(|| missing_functions(&fs::read_to_string("/proc/kallsyms").unwrap_or_default()))
}

/// A capability's programs on the lower rung. A kprobe has no twin; a kretprobe may have one that keeps arguments for
/// it, which comes after it, so that no call is kept whose return is not seen.
fn kprobe_programs(plan: &Plan) -> Vec<String> {
    let own = plan.programs.iter().filter(|name| !name.ends_with("_twin"));
    own.flat_map(|name| [(*name).to_owned(), format!("{name}_args")]).collect()
}

/// Packets are followed around OVS only where it is seen when they end: else a buffer's next owner would be taken for
/// the last.
fn generic(config: &Config, ladder: &Ladder) -> bool {
    let end = PLANS.iter().find(|plan| plan.name == PACKET_END);
    config.sample > 0 && end.is_some_and(|plan| ladder.rung(plan).is_some())
}

fn is_wanted(plan: &Plan, config: &Config, ladder: &Ladder) -> bool {
    match plan.wanted {
        Wanted::Always => true,
        Wanted::Follow => config.follow,
        Wanted::Usdt => config.follow && config.usdt != Usdt::Off,
        Wanted::Generic => generic(config, ladder),
    }
}

/// Whether threads are looked at as they are scheduled.
fn sched(config: &Config, ladder: &Ladder) -> bool {
    let sched = PLANS.iter().find(|plan| plan.name == HANDLER_SCHED);
    config.follow && sched.is_some_and(|plan| ladder.rung(plan).is_some())
}

/// What is wanted and stands on this rung.
fn standing(config: &Config, ladder: &Ladder, rung: Rung) -> Vec<&'static Plan> {
    wanted(config, ladder).filter(|plan| ladder.rung(plan) == Some(rung)).collect()
}

fn wanted(config: &Config, ladder: &Ladder) -> impl Iterator<Item = &'static Plan> {
    PLANS.iter().filter(|plan| is_wanted(plan, config, ladder))
}

/// How it stands once all is attached.
fn capability(plan: &Plan, config: &Config, ladder: &Ladder) -> Capability {
    if plan.wanted == Wanted::Usdt && is_wanted(plan, config, ladder) && ladder.rung(plan).is_some() {
        return plan.state(CapabilityState::Off, Rung::Fentry, usdt::WAITING.to_owned());
    }
    if is_wanted(plan, config, ladder) || ladder.rung(plan).is_none() {
        return ladder.capability(plan);
    }
    let why = match plan.wanted {
        Wanted::Generic if config.sample > 0 => "needs packet_end",
        Wanted::Generic if config.follow => "--sample 0",
        Wanted::Usdt if config.follow => "--track kernel",
        _ => "--track off",
    };
    plan.state(CapabilityState::Off, Rung::Fentry, why.to_owned())
}

/// Attaches what stands, in the order of [`PLANS`]. False when something fell, and all must be begun anew: a
/// capability's programs only make sense together.
fn attach(config: &Config, ladder: &mut Ladder, attached: &mut Attached) -> bool {
    let upper = programs(attached.upper.objects());
    let lower = programs(&attached.lower);
    let mut all = true;
    // USDT programs are attached to daemons, as they are found.
    let standing: Vec<&Plan> = wanted(config, ladder).filter(|plan| plan.wanted != Wanted::Usdt).collect();
    for plan in standing {
        let Some(rung) = ladder.rung(plan) else { continue };
        let (from, names) = match rung {
            Rung::Fentry => (&upper, plan.programs.iter().map(|name| (*name).to_owned()).collect()),
            Rung::Kprobe => (&lower, kprobe_programs(plan)),
        };
        for program in names.iter().filter_map(|name| from.get(name)) {
            match program.attach() {
                Ok(link) => attached.links.push(link),
                Err(_) if look(ladder) => return false,
                Err(error) => {
                    ladder.fall(plan, rung, format!("could not be attached ({error})"));
                    all = false;
                }
            }
        }
    }
    all
}

/// All that was loaded, by name.
fn programs<'a>(objects: impl IntoIterator<Item = &'a Object>) -> BTreeMap<String, ProgramMut<'a>> {
    let loaded = objects.into_iter().flat_map(Object::progs_mut).filter(|program| program.autoload());
    loaded.map(|p| (p.name().to_string_lossy().into_owned(), p)).collect()
}
