//! Loads the kernel side and attaches it, each capability on the best rung of the ladder that the kernel allows.

use std::{collections::BTreeMap, ffi::OsStr, fs, mem::MaybeUninit, os::fd::AsFd as _, path::Path, sync::Mutex};

use libbpf_rs::{
    Link, MapCore as _, Object, OpenObject, PrintLevel, ProgramMut,
    skel::{OpenSkel, Skel, SkelBuilder},
};

use super::{
    Config, Error, Usdt,
    capability::{HANDLER_SCHED, PACKET_END, PLANS, Plan, Wanted, missing_functions},
    cost::read_costs,
    filter,
    ladder::{Ladder, Rung},
    skeleton::{
        OpenOvscopeSkel, OvscopeSkel, OvscopeSkelBuilder,
        kprobes::{OpenOvscopeKprobesSkel, OvscopeKprobesSkel, OvscopeKprobesSkelBuilder},
    },
    usdt,
};
use crate::event::{Capability, CapabilityState};

/// The program that user space runs, and that is attached to nothing.
const SWEEP: &str = "sweep";

/// What libbpf says while it loads: it names the program that the kernel refused, and why.
static LIBBPF_SAID: Mutex<String> = Mutex::new(String::new());

#[expect(clippy::needless_pass_by_value, reason = "as libbpf calls it")]
fn remember(_level: PrintLevel, message: String) {
    if let Ok(mut said) = LIBBPF_SAID.lock() {
        said.push_str(&message);
    }
}

/// The kernel side at work. Dropping it detaches everything.
pub struct Attached {
    /// How each of [`PLANS`] stands, in their order.
    pub capabilities: Vec<Capability>,
    links: Vec<Link>,
    /// The upper rung; its maps are everybody's.
    pub skel: OvscopeSkel<'static>,
    /// The lower rung, where something stands on it.
    kprobes: Option<OvscopeKprobesSkel<'static>>,
}

impl Attached {
    /// Reads what each capability has cost. Returns how many runs of programs the kernel left out.
    pub fn read_costs(&mut self) -> u64 {
        let objects = std::iter::once(self.skel.object()).chain(self.kprobes.as_ref().map(Skel::object));
        read_costs(objects, &self.links, &mut self.capabilities)
    }
}

/// Loads and attaches all that is wanted and can be. What the kernel refuses falls a rung, or is left out with its
/// reason, and everything is begun anew with what is left: mostly nothing is refused, and this is done once.
pub fn load_and_attach(config: &Config) -> Result<Attached, Error> {
    libbpf_rs::set_print(Some((PrintLevel::Info, remember)));
    let mut ladder = Ladder::new(config.attach);
    loop {
        let (skel, settings) = load(config, &mut ladder)?;
        let (kprobes, lost_end) = load_kprobes(config, &mut ladder, &skel, &settings);
        if lost_end {
            continue;
        }
        if let Some(programs) = &config.filter {
            filter::write(&skel.maps, programs)
                .map_err(|source| Error::Kernel { what: "writing the filter", source })?;
        }
        let mut attached = Attached { capabilities: Vec::new(), links: Vec::new(), skel, kprobes };
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

/// Loads the upper rung's programs and all maps. A program that the kernel refuses falls, and the rest is loaded without
/// it. Gives the settings, too, as bytes: the lower rung has the same.
fn load(config: &Config, ladder: &mut Ladder) -> Result<(OvscopeSkel<'static>, Vec<u8>), Error> {
    loop {
        // A load that failed cannot be tried again: each try has an object of its own. Its storage, a pointer, stays.
        let storage = Box::leak(Box::new(MaybeUninit::uninit()));
        let open = open(config, ladder, storage)?;
        let settings = settings_of(open.open_object());
        let error = match open.load() {
            Ok(skel) => return Ok((skel, settings)),
            Err(error) => error,
        };
        if look(ladder) {
            continue;
        }
        match blame() {
            Some((plan, why)) if ladder.rung(plan) == Some(Rung::Fentry) => ladder.fall(plan, Rung::Fentry, why),
            _ => return Err(Error::Kernel { what: "loading the probes", source: error }),
        }
    }
}

/// Loads the lower rung's programs, where something stands there, over the maps of the upper one. Whether that cost
/// [`PACKET_END`] its place, or others every place, so that all must be begun anew.
fn load_kprobes(
    config: &Config,
    ladder: &mut Ladder,
    upper: &OvscopeSkel<'_>,
    settings: &[u8],
) -> (Option<OvscopeKprobesSkel<'static>>, bool) {
    let with_end = generic(config, ladder);
    loop {
        let standing: Vec<&Plan> = wanted(config, ladder).filter(|p| ladder.rung(p) == Some(Rung::Kprobe)).collect();
        if standing.is_empty() {
            return (None, false);
        }
        let storage = Box::leak(Box::new(MaybeUninit::uninit()));
        let loaded = open_kprobes(&standing, upper, settings, storage).and_then(OpenSkel::load);
        let error = match loaded {
            Ok(skel) => return (Some(skel), false),
            Err(error) => error,
        };
        if look(ladder) {
            return (None, true);
        }
        match blame().filter(|(plan, _)| standing.iter().any(|s| s.name == plan.name)) {
            Some((plan, why)) => ladder.fall(plan, Rung::Kprobe, why),
            None => standing.iter().for_each(|plan| ladder.fall(plan, Rung::Kprobe, format!("no kprobes: {error}"))),
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

/// Whose program the kernel refused, and its reason.
fn blame() -> Option<(&'static Plan, String)> {
    let said = LIBBPF_SAID.lock().map(|s| s.clone()).unwrap_or_default();
    let refused = |name: &&str| refused(&said, name) || refused(&said, &format!("{name}_args"));
    let plan = PLANS.iter().find(|plan| plan.programs.iter().any(&refused))?;
    Some((plan, format!("the kernel refused it ({})", last_words(&said))))
}

fn refused(said: &str, program: &str) -> bool {
    said.contains(&format!("prog '{program}': failed to load"))
        || said.contains(&format!("prog '{program}': BPF program load failed"))
}

/// What libbpf says after the reason.
const AFTERWARDS: [&str; 2] = ["failed to load", "failed to prepare load attributes"];

/// The verifier's last words, which mostly are the reason; else libbpf's.
fn last_words(said: &str) -> String {
    let lines = || said.lines().rev().map(str::trim).filter(|l| !l.is_empty());
    lines()
        .find(|l| !l.starts_with("libbpf:") && !l.starts_with("processed ") && !l.starts_with("--"))
        .or_else(|| {
            lines().filter_map(|l| l.strip_prefix("libbpf: ")).find(|l| !AFTERWARDS.iter().any(|said| l.contains(said)))
        })
        .unwrap_or("it gave no reason")
        .to_owned()
}

fn forget_what_was_said() {
    if let Ok(mut said) = LIBBPF_SAID.lock() {
        said.clear();
    }
}

fn open<'obj>(
    config: &Config,
    ladder: &Ladder,
    storage: &'obj mut MaybeUninit<OpenObject>,
) -> Result<OpenOvscopeSkel<'obj>, Error> {
    forget_what_was_said();
    let mut open = OvscopeSkelBuilder::default()
        .open(storage)
        .map_err(|source| Error::Kernel { what: "opening the BPF object", source })?;
    if let Some(settings) = open.maps.rodata_data.as_deref_mut() {
        settings.cfg_snaplen = config.snaplen.min(super::SNAPLEN_MAX);
        settings.cfg_sample = config.sample;
        settings.cfg_budget = config.event_budget;
        settings.cfg_follow = config.follow;
        settings.cfg_filter = config.filter.is_some();
        settings.cfg_generic = generic(config, ladder);
        let sched = PLANS.iter().find(|plan| plan.name == HANDLER_SCHED);
        settings.cfg_sched = config.follow && sched.is_some_and(|plan| ladder.rung(plan).is_some());
    }
    open.maps
        .ring
        .set_max_entries(config.buffer)
        .map_err(|source| Error::Kernel { what: "sizing the ring buffer", source })?;
    let standing: Vec<&Plan> = wanted(config, ladder).filter(|p| ladder.rung(p) == Some(Rung::Fentry)).collect();
    for mut program in open.open_object_mut().progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        let stands = standing.iter().any(|plan| plan.programs.contains(&name.as_str()));
        program.set_autoload(stands || (name == SWEEP && config.follow));
        if stands && let Some(target) = in_module(program.section()) {
            // What is not there is refused when it is loaded.
            let _ = program.set_attach_target(0, Some(target));
        }
    }
    Ok(open)
}

/// Where openvswitch is a module: a section's function or tracepoint in it, as libbpf names it then. Without the
/// module's name, it would go through the types of the whole kernel again for each module and each program, which takes
/// as long as all the rest of loading.
fn in_module(section: &OsStr) -> Option<String> {
    let (_, function) = section.to_str()?.split_once('/')?;
    let of_ovs = function.starts_with("ovs_") || ["queue_userspace_packet", "destroy_dp_rcu"].contains(&function);
    (of_ovs && Path::new("/sys/kernel/btf/openvswitch").exists()).then(|| format!("openvswitch:{function}"))
}

fn open_kprobes<'obj>(
    standing: &[&Plan],
    upper: &OvscopeSkel<'_>,
    settings: &[u8],
    storage: &'obj mut MaybeUninit<OpenObject>,
) -> libbpf_rs::Result<OpenOvscopeKprobesSkel<'obj>> {
    forget_what_was_said();
    let mut open = OvscopeKprobesSkelBuilder::default().open(storage)?;
    for mut map in open.open_object_mut().maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        // Sections are named after their object.
        let same = |other: &str| match (name.split_once('.'), other.split_once('.')) {
            (Some((_, section)), Some((_, other))) => section == other,
            _ => name == other,
        };
        if name.ends_with(".rodata") {
            map.set_initial_value(settings)?;
        } else if let Some(shared) = upper.object().maps().find(|m| same(&m.name().to_string_lossy())) {
            map.reuse_fd(shared.as_fd())?;
        }
    }
    let programs: Vec<String> = standing.iter().flat_map(|plan| kprobe_programs(plan)).collect();
    for mut program in open.open_object_mut().progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        program.set_autoload(programs.contains(&name));
    }
    Ok(open)
}

fn settings_of(object: &OpenObject) -> Vec<u8> {
    let map = object.maps().find(|map| map.name().to_string_lossy().ends_with(".rodata"));
    map.and_then(|map| map.initial_value().map(<[u8]>::to_vec)).unwrap_or_default()
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
    let upper: BTreeMap<String, ProgramMut<'_>> = programs(attached.skel.object_mut());
    let lower = attached.kprobes.as_mut().map(|skel| programs(skel.object_mut())).unwrap_or_default();
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

fn programs(object: &mut Object) -> BTreeMap<String, ProgramMut<'_>> {
    object.progs_mut().map(|p| (p.name().to_string_lossy().into_owned(), p)).collect()
}

#[cfg(test)]
mod tests {
    use libbpf_rs::btf::{
        Btf,
        types::{DataSec, Var, VarSecInfo},
    };

    use super::*;

    /// The variables of an object's section: names, offsets and sizes.
    fn section(object: &str, name: &str) -> Vec<(String, u32, usize)> {
        let btf = Btf::from_path(object).expect("build.rs leaves the object");
        let section: DataSec<'_> = btf.type_by_name(name).expect("the section is described");
        let variable = |at: VarSecInfo| {
            let of: Var<'_> = btf.type_by_id(at.ty).expect("a variable");
            (of.name().unwrap_or_default().to_string_lossy().into_owned(), at.offset, at.size)
        };
        section.iter().map(variable).collect()
    }

    #[test]
    fn both_objects_have_the_same_variables_in_the_same_places() {
        for name in [".bss", ".rodata"] {
            let upper = section(concat!(env!("OUT_DIR"), "/ovscope.bpf.o"), name);
            let lower = section(concat!(env!("OUT_DIR"), "/ovscope_kprobes.bpf.o"), name);
            assert_eq!(upper, lower);
            assert!(
                upper.iter().any(|(variable, ..)| variable.starts_with("cfg_") == (name == ".rodata")),
                "{upper:?}"
            );
        }
    }

    #[test]
    fn the_kernels_reason_is_found_in_what_libbpf_says() {
        let said = "libbpf: prog 'upcall': BPF program load failed: Permission denied\n\
                    libbpf: prog 'upcall': -- BEGIN PROG LOAD LOG --\n0: R1=ctx()\n\
                    R1 min value is outside of the allowed memory range\n\
                    processed 12 insns (limit 1000000) max_states_per_insn 0\n-- END PROG LOAD LOG --\n\
                    libbpf: prog 'upcall': failed to load: -13\n";
        assert_eq!(last_words(said), "R1 min value is outside of the allowed memory range");
        assert!(refused(said, "upcall") && !refused(said, "upcall_recv"));
        let unknown = "libbpf: prog 'flow_hit': failed to find kernel BTF type ID of 'x': -3\n\
                       libbpf: prog 'flow_hit': failed to prepare load attributes: -3\n\
                       libbpf: prog 'flow_hit': failed to load: -3\nlibbpf: failed to load object 'ovscope'\n";
        assert!(refused(unknown, "flow_hit"));
        assert!(last_words(unknown).contains("kernel BTF type ID"), "{}", last_words(unknown));
    }
}
