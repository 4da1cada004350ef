//! Loads the kernel side: the maps, then the programs over them, side by side where there are processors for it. Most of
//! the time that ovscope takes to start is the kernel's, going through every way that a program may take.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    ffi::OsStr,
    mem::MaybeUninit,
    num::NonZero,
    os::fd::AsFd as _,
    path::Path,
    thread::{self, ScopedJoinHandle},
};

use libbpf_rs::{
    MapCore as _, Object, ObjectBuilder, OpenObject, PrintLevel, ProgramMut,
    skel::{OpenSkel as _, Skel as _, SkelBuilder as _},
};

use super::{
    Config, SNAPLEN_MAX,
    capability::{PLANS, Plan},
    skeleton::{KPROBES_OBJECT, OBJECT, OvscopeSkel, OvscopeSkelBuilder},
};

/// The program that user space runs, and that is attached to nothing.
const SWEEP: &str = "sweep";
/// What the programs for daemons begin with: they share what libbpf knows of the places that they are attached to, and so
/// are in one part.
const USDT: &str = "usdt_";
/// At most so many threads load. Each goes through the descriptions of the kernel's types for itself, which takes a
/// tenth of all.
const PARTS: usize = 4;

thread_local! {
    /// What libbpf says while this thread loads: it names the program that the kernel refused, and why.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

#[expect(clippy::needless_pass_by_value, reason = "as libbpf calls it")]
fn remember(_level: PrintLevel, message: String) {
    SAID.with_borrow_mut(|said| said.push_str(&message));
}

/// What the kernel did not load.
#[derive(Debug)]
pub struct Refused {
    /// libbpf's error.
    pub error: libbpf_rs::Error,
    said: String,
}

impl From<libbpf_rs::Error> for Refused {
    /// With what was said in this thread.
    fn from(error: libbpf_rs::Error) -> Self {
        Self { error, said: SAID.take() }
    }
}

impl Refused {
    /// What happened, where it is no capability's program.
    pub fn words(&self) -> String {
        match first_refused(&self.said) {
            Some(program) => format!(
                "the kernel refused {program} ({}), which is needed to follow packets: --track off does without",
                last_words(&self.said)
            ),
            None => self.error.to_string(),
        }
    }

    /// Whose program it is, and the reason.
    pub fn blame(&self) -> Option<(&'static Plan, String)> {
        let said = &self.said;
        let refused = |name: &&str| refused(said, name) || refused(said, &format!("{name}_args"));
        let plan = PLANS.iter().find(|plan| plan.programs.iter().any(&refused))?;
        Some((plan, format!("the kernel refused it ({})", last_words(said))))
    }
}

/// What libbpf says of a program that the kernel refused.
const REFUSED: [&str; 2] = ["failed to load", "BPF program load failed"];

fn refused(said: &str, program: &str) -> bool {
    REFUSED.iter().any(|how| said.contains(&format!("prog '{program}': {how}")))
}

/// The first program that was refused.
fn first_refused(said: &str) -> Option<&str> {
    said.lines().find_map(|line| {
        let (program, how) = line.strip_prefix("libbpf: prog '")?.split_once("': ")?;
        REFUSED.iter().any(|refused| how.starts_with(refused)).then_some(program)
    })
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

/// Settings of the kernel side that depend on what stands.
#[derive(Debug, Clone, Copy)]
pub struct With {
    /// Packets are followed around OVS.
    pub generic: bool,
    /// Handlers are looked at as they are scheduled.
    pub sched: bool,
}

/// The maps, and the upper rung's programs.
pub struct Upper {
    /// All maps, and what user space runs itself.
    pub skel: OvscopeSkel<'static>,
    /// The programs that are attached, each in one of these.
    parts: Vec<Object>,
    /// The settings, as bytes: every object has the same.
    settings: Vec<u8>,
}

impl Upper {
    /// Loads all maps and these programs.
    pub fn load(config: &Config, with: With, programs: &BTreeSet<&str>) -> Result<Self, Refused> {
        libbpf_rs::set_print(Some((PrintLevel::Info, remember)));
        SAID.take();
        // What is loaded refers to it: its storage, a pointer, stays.
        let storage = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open = OvscopeSkelBuilder::default().open(storage)?;
        if let Some(settings) = open.maps.rodata_data.as_deref_mut() {
            settings.cfg_snaplen = config.snaplen.min(SNAPLEN_MAX);
            settings.cfg_sample = config.sample;
            settings.cfg_budget = config.event_budget;
            settings.cfg_follow = config.follow;
            settings.cfg_filter = config.filter.is_some();
            settings.cfg_generic = with.generic;
            settings.cfg_sched = with.sched;
        }
        open.maps.ring.set_max_entries(config.buffer)?;
        let mut sizes = Vec::new();
        for mut program in open.open_object_mut().progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            program.set_autoload(name == SWEEP && config.follow);
            if programs.contains(name.as_str()) {
                sizes.push((program.insn_cnt(), name));
            }
        }
        let settings = settings_of(open.open_object());
        let skel = open.load()?;
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let parts = load_parts(&divided(sizes, threads.min(PARTS)), skel.object(), &settings)?;
        Ok(Self { skel, parts, settings })
    }

    /// Loads these programs of the lower rung.
    pub fn load_kprobes(&self, programs: &BTreeSet<String>) -> Result<Object, Refused> {
        load_over(KPROBES_OBJECT, programs, self.skel.object(), &self.settings)
    }

    /// What was loaded.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        std::iter::once(self.skel.object()).chain(&self.parts)
    }

    /// A program that was loaded.
    pub fn program(&self, name: &str) -> Option<ProgramMut<'_>> {
        self.objects().flat_map(Object::progs_mut).find(|program| program.autoload() && program.name() == name)
    }
}

/// Programs with how many instructions each has, in so many parts at most, which have about as many of them.
fn divided(mut sizes: Vec<(usize, String)>, parts: usize) -> Vec<BTreeSet<String>> {
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut parts = vec![(0, BTreeSet::new()); parts.clamp(1, sizes.len().max(1))];
    let (daemons, rest) = sizes.into_iter().partition::<Vec<_>, _>(|(_, name)| name.starts_with(USDT));
    for (size, name) in daemons {
        parts[0].0 += size;
        parts[0].1.insert(name);
    }
    for (size, name) in rest {
        if let Some(least) = parts.iter_mut().min_by_key(|part| part.0) {
            least.0 += size;
            least.1.insert(name);
        }
    }
    parts.into_iter().map(|part| part.1).filter(|part| !part.is_empty()).collect()
}

/// Loads each part in a thread of its own.
fn load_parts(parts: &[BTreeSet<String>], maps: &Object, settings: &[u8]) -> Result<Vec<Object>, Refused> {
    thread::scope(|scope| {
        let load = |part| move || load_over(OBJECT, part, maps, settings);
        let threads: Vec<_> = parts.iter().map(|part| scope.spawn(load(part))).collect();
        threads.into_iter().map(ended).collect()
    })
}

/// What a thread came to; its panic is this one's.
fn ended<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Loads these programs of an object, over the maps that are there, with the same settings.
fn load_over(object: &[u8], programs: &BTreeSet<String>, maps: &Object, settings: &[u8]) -> Result<Object, Refused> {
    SAID.take();
    let mut open = ObjectBuilder::default().open_memory(object)?;
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        // Sections are named after their object.
        let same = |other: &str| match (name.split_once('.'), other.split_once('.')) {
            (Some((_, section)), Some((_, other))) => section == other,
            _ => name == other,
        };
        if name.ends_with(".rodata") {
            map.set_initial_value(settings)?;
        } else if let Some(shared) = maps.maps().find(|m| same(&m.name().to_string_lossy())) {
            map.reuse_fd(shared.as_fd())?;
        }
    }
    for mut program in open.progs_mut() {
        let loads = programs.contains(&*program.name().to_string_lossy());
        program.set_autoload(loads);
        if loads && let Some(target) = in_module(program.section()) {
            // What is not there is refused when it is loaded.
            let _ = program.set_attach_target(0, Some(target));
        }
    }
    Ok(open.load()?)
}

/// Where openvswitch is a module: a section's function or tracepoint in it, as libbpf names it then. Without the
/// module's name, it would go through the types of the whole kernel again for each module and each program, which takes
/// as long as all the rest of loading.
fn in_module(section: &OsStr) -> Option<String> {
    let (kind, function) = section.to_str()?.split_once('/')?;
    let of_ovs = function.starts_with("ovs_") || ["queue_userspace_packet", "destroy_dp_rcu"].contains(&function);
    let typed = ["tp_btf", "fentry", "fexit"].contains(&kind);
    (typed && of_ovs && Path::new("/sys/kernel/btf/openvswitch").exists()).then(|| format!("openvswitch:{function}"))
}

fn settings_of(object: &OpenObject) -> Vec<u8> {
    let map = object.maps().find(|map| map.name().to_string_lossy().ends_with(".rodata"));
    map.and_then(|map| map.initial_value().map(<[u8]>::to_vec)).unwrap_or_default()
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
        assert_eq!(first_refused(said), Some("upcall"));
        let unknown = "libbpf: prog 'flow_hit': failed to find kernel BTF type ID of 'x': -3\n\
                       libbpf: prog 'flow_hit': failed to prepare load attributes: -3\n\
                       libbpf: prog 'flow_hit': failed to load: -3\nlibbpf: failed to load object 'ovscope'\n";
        assert!(refused(unknown, "flow_hit"));
        assert!(last_words(unknown).contains("kernel BTF type ID"), "{}", last_words(unknown));
    }
}
