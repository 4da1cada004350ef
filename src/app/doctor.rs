//! `ovscope doctor`: what works on this host and what does not, why, and what to do.

use std::{
    io::{self, IsTerminal as _, Write},
    time::Duration,
};

use anyhow::Context as _;
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};

use super::{cli::DoctorArgs, session::ask_daemon, source::FromSource};
use crate::{
    event::{Body, Capability, CapabilityState, DaemonState, Datapath},
    probes::{self, Config, Missing, Prepared, Prerequisite},
    ui::clean,
};

/// How long to wait for the state of the daemon and of the probes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Findings {
    host: String,
    kernel: String,
    machine: String,
    /// Whether the live screen can start.
    can_trace: bool,
    prerequisites: Vec<Checked>,
    /// Why the probes could not start although nothing is missing.
    probes_failed: Option<String>,
    /// The state of the probes while they were attached for a moment; else what it would be, as far as that can be seen.
    capabilities: Vec<Capability>,
    /// Whether they were attached.
    attached: bool,
    datapaths: Vec<Datapath>,
    daemon: Option<DaemonState>,
}

/// A prerequisite, and what is wrong with it.
#[derive(Debug, Serialize)]
struct Checked {
    name: &'static str,
    missing: Option<String>,
}

/// Looks at everything and prints it. `Ok(false)` when the probes cannot start.
pub async fn run(args: &DoctorArgs) -> anyhow::Result<bool> {
    if io::stderr().is_terminal() {
        eprintln!("looking: the probes are attached for a moment …");
    }
    let findings = examine(args).await?;
    let mut out = io::stdout().lock();
    let printed = if args.json {
        serde_json::to_writer_pretty(&mut out, &findings).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        print(&mut out, &findings)
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("writing the findings"),
        _ => Ok(findings.can_trace),
    }
}

async fn examine(args: &DoctorArgs) -> anyhow::Result<Findings> {
    let session = probes::session("");
    let missing = probes::look_all();
    let mut findings = Findings {
        host: session.host,
        kernel: session.kernel,
        machine: session.machine,
        can_trace: missing.is_empty(),
        prerequisites: Prerequisite::ALL.iter().map(|p| check(*p, &missing)).collect(),
        datapaths: probes::read_datapaths().unwrap_or_default(),
        ..Findings::default()
    };
    if findings.can_trace {
        let attaching = tokio::task::spawn_blocking(|| {
            let prepared = Prepared::new()?;
            prepared.start(Config::default(), Box::new(|_| true)).map(|running| running.capabilities().to_vec())
        });
        match attaching.await.context("attaching the probes")? {
            Ok(capabilities) => (findings.capabilities, findings.attached) = (capabilities, true),
            Err(error) => {
                findings.can_trace = false;
                findings.probes_failed = Some(error.to_string());
            }
        }
    }
    // Without the module nothing can be said about what is in it.
    if !findings.attached && !missing.iter().any(|m| m.what == Prerequisite::Module) {
        findings.capabilities = probes::survey();
    }
    findings.daemon = daemon(args).await;
    Ok(findings)
}

fn check(prerequisite: Prerequisite, missing: &[Missing]) -> Checked {
    let missing = missing.iter().find(|m| m.what == prerequisite);
    Checked { name: prerequisite.name(), missing: missing.map(ToString::to_string) }
}

/// The daemon's first state.
async fn daemon(args: &DoctorArgs) -> Option<DaemonState> {
    let (out, mut events) = mpsc::channel::<FromSource>(16);
    let (asks, asked) = mpsc::channel(1);
    let service = ask_daemon(args.ovs_rundir.clone(), None, asked, &out);
    let first = timeout(PATIENCE, async {
        while let Some(from) = events.recv().await {
            let FromSource::Events(batch) = from else { continue };
            for event in batch {
                if let Body::Daemon(state) = event.body {
                    return Some(state);
                }
            }
        }
        None
    });
    let state = first.await.ok().flatten();
    drop(asks);
    service.abort();
    state
}

fn print(out: &mut impl Write, findings: &Findings) -> io::Result<()> {
    writeln!(out, "{} · Linux {} {}\n", findings.host, findings.kernel, findings.machine)?;
    writeln!(out, "To trace at all")?;
    for Checked { name, missing } in &findings.prerequisites {
        match missing {
            None => line(out, "ok", name, "")?,
            Some(why) => line(out, "MISSING", name, why)?,
        }
    }
    if let Some(why) = &findings.probes_failed {
        line(out, "FAILED", "the probes attach", why)?;
    }

    writeln!(out, "\nDatapaths")?;
    for datapath in &findings.datapaths {
        let stats = datapath.stats.unwrap_or_default();
        let what = format!("{} ports, {} flows, {} masks", datapath.ports.len(), stats.n_flows, stats.n_masks);
        line(out, "ok", &clean(&datapath.name), &what)?;
    }
    if findings.datapaths.is_empty() {
        line(out, "none", "no datapath is there", "ovs-vswitchd makes one for the first bridge: ovs-vsctl add-br br0")?;
    }

    writeln!(out, "\nThe daemon")?;
    print_daemon(out, findings.daemon.as_ref())?;
    print_probes(out, findings)?;

    let is_bad = |c: &&Capability| matches!(c.state, CapabilityState::Missing | CapabilityState::Degraded);
    let verdict = match (findings.can_trace, findings.capabilities.iter().filter(is_bad).count()) {
        (false, _) => "ovscope cannot trace here yet: see what is MISSING above. ovscope demo and replay work.",
        (true, 0) => "Everything that ovscope traces can be traced here: sudo ovscope",
        (true, _) => {
            "ovscope works here with the probes that are attached: sudo ovscope. To have the others looked into, \
                      send this page to the project."
        }
    };
    writeln!(out, "\n{verdict}")
}

fn print_daemon(out: &mut impl Write, daemon: Option<&DaemonState>) -> io::Result<()> {
    match daemon {
        Some(DaemonState::Up { pid, version, round_trip_ns, missing }) => {
            let what = format!("pid {pid}, answers in {:.1} ms", *round_trip_ns as f64 / 1e6);
            let version = clean(version);
            let name = if version.contains("ovs-vswitchd") { version } else { format!("ovs-vswitchd {version}") };
            line(out, "ok", &name, &what)?;
            for command in missing {
                let why = match command.as_str() {
                    "ofproto/detrace" => "it came with Open vSwitch 3.4: without it no OpenFlow rules are shown",
                    _ => "this build does not have it",
                };
                line(out, "MISSING", command, why)?;
            }
        }
        Some(DaemonState::Down { why }) => line(out, "MISSING", "ovs-vswitchd", &clean_lines(why))?,
        None => line(out, "MISSING", "ovs-vswitchd", "its control socket did not answer in time")?,
    }
    Ok(())
}

fn print_probes(out: &mut impl Write, findings: &Findings) -> io::Result<()> {
    if !findings.capabilities.is_empty() {
        let how = if findings.attached { "" } else { ", as far as it shows without attaching any" };
        writeln!(out, "\nProbes{how}")?;
    }
    for capability in &findings.capabilities {
        let state = match capability.state {
            CapabilityState::Attached if findings.attached => "attached",
            CapabilityState::Attached => "possible",
            CapabilityState::Degraded => "DEGRADED",
            CapabilityState::Missing => "MISSING",
            CapabilityState::Off => "off",
        };
        let Capability { probe, why, .. } = capability;
        let how = match capability.state {
            CapabilityState::Attached => probe.clone(),
            CapabilityState::Degraded => format!("{probe}; {why}"),
            CapabilityState::Missing | CapabilityState::Off => why.clone(),
        };
        line(out, state, &capability.name, &how)?;
    }
    Ok(())
}

/// The width of a line, and the columns of its parts.
const WIDTH: usize = 96;
const NAME_AT: usize = 12;
const REST_AT: usize = NAME_AT + 20;

/// A state, a name, and the rest beside it where both fit; else below it.
fn line(out: &mut impl Write, state: &str, name: &str, rest: &str) -> io::Result<()> {
    let beside = name.chars().count() < REST_AT - NAME_AT && rest.chars().count() <= WIDTH - REST_AT;
    if beside {
        return writeln!(out, "{}", format!("  {state:8}  {name:20}{rest}").trim_end());
    }
    writeln!(out, "  {state:8}  {name}")?;
    for paragraph in rest.lines() {
        let mut row = String::new();
        for word in paragraph.split_whitespace() {
            if !row.is_empty() && NAME_AT + row.chars().count() + word.chars().count() >= WIDTH {
                writeln!(out, "{:NAME_AT$}{row}", "")?;
                row.clear();
            }
            if !row.is_empty() {
                row.push(' ');
            }
            row.push_str(word);
        }
        writeln!(out, "{:NAME_AT$}{row}", "")?;
    }
    Ok(())
}

/// Lines of text from outside, without anything that could control the terminal.
fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_controls_no_terminal() {
        assert_eq!(clean_lines("one\x1b[2J\ntwo\u{202e}owt"), "one?[2J\ntwo?owt");
    }
}
