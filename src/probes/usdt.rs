//! Listens to daemons that were built with USDT probes: finds them, attaches to the files they run, and finds them
//! again when they are started late, restarted or upgraded.
//!
//! A probe is attached to a file, so that every process that runs it is seen, from its first instruction on: a daemon
//! that is restarted is not looked for. To attach while running takes `CAP_BPF`, `CAP_PERFMON` and `CAP_SYS_ADMIN`, and
//! `CAP_SYS_PTRACE` to open the files of processes by /proc.

use std::{
    collections::VecDeque,
    path::PathBuf,
    time::{Duration, Instant},
};

use libbpf_rs::{ErrorKind, Link};

use super::{
    Usdt,
    capability::{PLANS, Plan, Wanted},
    load::Upper,
};
use crate::{
    event::{Capability, CapabilityState},
    processes::{self, Daemon, FileId, file_id},
};

/// How a USDT capability stands until a daemon is found.
pub const WAITING: &str = "no ovs-vswitchd runs here: attached as soon as one does";
const STOCK: &str = "this ovs-vswitchd was built without USDT probes: not needed, upcalls are followed in the kernel";

/// Between two searches of /proc while a daemon is known, and while none is.
const PERIOD_FOUND: Duration = Duration::from_secs(5);
const PERIOD_NONE: Duration = Duration::from_secs(1);
/// Files that stay attached, whether a daemon still runs them or not.
const FILES: usize = 4;
/// So many results of revalidators a second are listened to where that was not asked for: each costs its revalidator a
/// trap of one or two microseconds.
const RESULTS: f64 = 20_000.0;
/// Then they are not listened to for so long.
const REST: Duration = Duration::from_secs(60);
/// The capability of the probes that run for each flow in each round.
const RESTING: &str = "usdt_flow_result";

/// A probe in the daemon, by the program that is attached to it.
struct Probe {
    program: &'static str,
    provider: &'static str,
    name: &'static str,
}

const fn probe(program: &'static str, provider: &'static str, name: &'static str) -> Probe {
    Probe { program, provider, name }
}

const PROBES: [Probe; 8] = [
    probe("usdt_recv_upcall", "dpif_recv", "recv_upcall"),
    probe("usdt_flow_put", "dpif_netlink_operate__", "op_flow_put"),
    probe("usdt_flow_execute", "dpif_netlink_operate__", "op_flow_execute"),
    probe("usdt_flow_del", "dpif_netlink_operate__", "op_flow_del"),
    probe("usdt_flow_result", "revalidate", "flow_result"),
    probe("usdt_sweep_result", "revalidator_sweep__", "flow_sweep_result"),
    probe("usdt_start_dump", "udpif_revalidator", "start_dump"),
    probe("usdt_sweep_done", "udpif_revalidator", "sweep_done"),
];

/// How one probe of a daemon's program stands.
enum Attached {
    Yes(#[expect(dead_code, reason = "attached while it is kept")] Link),
    /// Its program was not loaded, or is at rest.
    No,
    /// The daemon was built without it.
    Absent,
    /// The kernel refused.
    Failed(String),
}

/// A daemon's program, with the probes in it and in its libraries.
struct File {
    id: FileId,
    probes: [Attached; PROBES.len()],
}

/// The daemons, and what is attached to them.
pub struct Listener {
    usdt: Usdt,
    /// The capabilities whose programs are loaded.
    wanted: Vec<&'static Plan>,
    daemons: Vec<Daemon>,
    files: VecDeque<File>,
    next: Instant,
    results: Rate,
}

/// How often results come, and whether they are too many.
#[derive(Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    per_second: f64,
    rests_until: Option<Instant>,
}

impl Listener {
    /// For the capabilities that wait for a daemon.
    pub fn new(usdt: Usdt, capabilities: &[Capability]) -> Self {
        let waits = |plan: &&'static Plan| {
            capabilities.iter().any(|c| c.name == plan.name && c.state == CapabilityState::Off && c.why == WAITING)
        };
        Self {
            usdt,
            wanted: PLANS.iter().filter(|plan| plan.wanted == Wanted::Usdt).filter(waits).collect(),
            daemons: Vec::new(),
            files: VecDeque::new(),
            next: Instant::now(),
            results: Rate::default(),
        }
    }

    /// Looks for daemons when it is time to, attaches to those that are new, and says how it stands.
    pub fn look(&mut self, upper: &Upper, capabilities: &mut [Capability]) {
        if self.wanted.is_empty() {
            return;
        }
        let now = Instant::now();
        let changed = self.rest(upper, now);
        let lost = self.daemons.iter().any(|daemon| !daemon.is_alive());
        if now >= self.next || lost {
            self.daemons = processes::daemons();
            self.next = now + if self.daemons.is_empty() { PERIOD_NONE } else { PERIOD_FOUND };
        } else if !changed {
            return;
        }
        for daemon in &self.daemons {
            let Some(id) = file_id(&daemon.program()) else { continue };
            let known = self.files.iter().position(|file| file.id == id).and_then(|at| self.files.remove(at));
            let mut file = known.unwrap_or_else(|| File { id, probes: [const { Attached::No }; PROBES.len()] });
            for (probe, attached) in PROBES.iter().zip(&mut file.probes) {
                let plan = self.wanted.iter().find(|plan| plan.programs.contains(&probe.program));
                let rests = self.results.rests_until.is_some() && plan.is_some_and(|plan| plan.name == RESTING);
                if plan.is_some() && !rests && matches!(attached, Attached::No) {
                    *attached = attach(upper, probe, daemon);
                }
            }
            // Of one that ended meanwhile nothing is known.
            if !daemon.is_alive() {
                for attached in file.probes.iter_mut().filter(|attached| !matches!(attached, Attached::Yes(_))) {
                    *attached = Attached::No;
                }
            }
            // The newest last: the oldest make room.
            self.files.push_back(file);
        }
        while self.files.len() > FILES.max(self.daemons.len()) {
            self.files.pop_front();
        }
        for capability in capabilities {
            if let Some(plan) = self.wanted.iter().find(|plan| plan.name == capability.name) {
                (capability.state, capability.why) = self.state(plan);
            }
        }
    }

    /// Takes the probes of each flow's result off while they come too often, and puts them back after a rest. Says
    /// whether there is something to do.
    fn rest(&mut self, upper: &Upper, now: Instant) -> bool {
        let count = upper.skel.maps.bss_data.as_deref().map_or(0, |bss| bss.usdt_results);
        if let Some((then, before)) = self.results.last {
            let seconds = now.duration_since(then).as_secs_f64().max(0.001);
            self.results.per_second = count.saturating_sub(before) as f64 / seconds;
        }
        self.results.last = Some((now, count));
        if self.results.rests_until.is_some_and(|until| now >= until) {
            self.results.rests_until = None;
            return true;
        }
        if self.usdt == Usdt::Wanted || self.results.rests_until.is_some() || self.results.per_second <= RESULTS {
            return false;
        }
        self.results.rests_until = Some(now + REST);
        for file in &mut self.files {
            for (probe, attached) in PROBES.iter().zip(&mut file.probes) {
                let rests = PLANS.iter().any(|p| p.name == RESTING && p.programs.contains(&probe.program));
                if rests && matches!(attached, Attached::Yes(_)) {
                    *attached = Attached::No;
                }
            }
        }
        true
    }

    /// How a capability stands with the daemons that run; without one, with those that ran.
    fn state(&self, plan: &Plan) -> (CapabilityState, String) {
        let not_there = if self.usdt == Usdt::Wanted { CapabilityState::Missing } else { CapabilityState::Off };
        if self.results.rests_until.is_some() && plan.name == RESTING {
            let why = format!(
                "revalidators look at more than {RESULTS} flows a second, and each would cost them: tried again within \
                 a minute; --track usdt listens all the same. Until then {}",
                plan.without
            );
            return (CapabilityState::Off, why);
        }
        let running: Vec<FileId> = self.daemons.iter().filter_map(|daemon| file_id(&daemon.program())).collect();
        let files: Vec<&File> =
            self.files.iter().filter(|file| running.is_empty() || running.contains(&file.id)).collect();
        if files.is_empty() {
            return (not_there, WAITING.to_owned());
        }
        let (mut attached, mut absent, mut failed) = (0, Vec::new(), None);
        for file in &files {
            for (probe, state) in PROBES.iter().zip(&file.probes).filter(|(p, _)| plan.programs.contains(&p.program)) {
                match state {
                    Attached::Yes(_) => attached += 1,
                    Attached::Absent => absent.push(format!("{}:{}", probe.provider, probe.name)),
                    Attached::Failed(why) => failed = Some(why.clone()),
                    Attached::No => {}
                }
            }
        }
        absent.sort_unstable();
        absent.dedup();
        match (attached, failed) {
            (0, Some(why)) => (CapabilityState::Missing, format!("{why}: {}", plan.without)),
            (_, Some(why)) => (CapabilityState::Degraded, why),
            (0, None) => (not_there, format!("{STOCK}; {}", plan.without)),
            (_, None) if absent.is_empty() => (CapabilityState::Attached, String::new()),
            (_, None) => {
                let whose = if files.len() > 1 { "one of the daemons" } else { "this ovs-vswitchd" };
                (CapabilityState::Degraded, format!("{whose} has no {}: {}", absent.join(", "), plan.without))
            }
        }
    }
}

/// To the daemon's program, else to a library of its that has the probe.
fn attach(upper: &Upper, probe: &Probe, daemon: &Daemon) -> Attached {
    let Some(program) = upper.program(probe.program) else { return Attached::No };
    let places: Vec<PathBuf> = [daemon.program()].into_iter().chain(daemon.libraries()).collect();
    for place in places {
        match program.attach_usdt(-1, &place, probe.provider, probe.name) {
            Ok(link) => return Attached::Yes(link),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let why = format!("{}:{} could not be attached ({error})", probe.provider, probe.name);
                return Attached::Failed(why);
            }
        }
    }
    Attached::Absent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::ladder::Rung;

    fn listener(usdt: Usdt, files: Vec<[Attached; PROBES.len()]>) -> Listener {
        let waiting: Vec<Capability> =
            PLANS.iter().map(|plan| plan.state(CapabilityState::Off, Rung::Fentry, WAITING.to_owned())).collect();
        let mut listener = Listener::new(usdt, &waiting);
        listener.files = files.into_iter().map(|probes| File { id: (1, 1), probes }).collect();
        listener
    }

    fn state(listener: &Listener, name: &str) -> (CapabilityState, String) {
        let plan = listener.wanted.iter().find(|plan| plan.name == name).expect("a capability of these");
        listener.state(plan)
    }

    #[test]
    fn every_program_has_its_probe_and_only_one() {
        let mut wanted: Vec<&str> =
            PLANS.iter().filter(|plan| plan.wanted == Wanted::Usdt).flat_map(|p| p.programs.iter().copied()).collect();
        let mut probes: Vec<&str> = PROBES.iter().map(|probe| probe.program).collect();
        wanted.sort_unstable();
        probes.sort_unstable();
        assert_eq!(wanted, probes);
    }

    #[test]
    fn without_a_daemon_or_its_probes_nothing_is_wrong_unless_they_were_asked_for() {
        let stock = || vec![[const { Attached::Absent }; PROBES.len()]];
        for (usdt, expected) in [(Usdt::WhereThereIs, CapabilityState::Off), (Usdt::Wanted, CapabilityState::Missing)] {
            assert_eq!(state(&listener(usdt, vec![]), "usdt_recv"), (expected, WAITING.to_owned()));
            let (state, why) = state(&listener(usdt, stock()), "usdt_flow_result");
            assert_eq!(state, expected);
            assert!(why.contains("not needed") && why.contains("why flows are deleted is not seen"), "{why}");
        }
    }

    #[test]
    fn a_refusal_is_told() {
        let mut probes = [const { Attached::Absent }; PROBES.len()];
        probes[0] = Attached::Failed("dpif_recv:recv_upcall could not be attached (EPERM)".to_owned());
        let listener = listener(Usdt::WhereThereIs, vec![probes]);
        let (found, why) = state(&listener, "usdt_recv");
        assert_eq!(found, CapabilityState::Missing);
        assert!(why.starts_with("dpif_recv:recv_upcall could not be attached (EPERM): "), "{why}");
        assert_eq!(state(&listener, "usdt_ops").0, CapabilityState::Off, "the others stand by themselves");
    }

    #[test]
    fn what_costs_too_much_says_that_it_rests() {
        let mut listener = listener(Usdt::WhereThereIs, vec![]);
        listener.results.rests_until = Some(Instant::now() + REST);
        let (found, why) = state(&listener, RESTING);
        assert_eq!(found, CapabilityState::Off);
        assert!(why.contains("more than 20000 flows a second") && why.contains("--track usdt"), "{why}");
        assert_eq!(state(&listener, "usdt_recv").1, WAITING);
    }
}
