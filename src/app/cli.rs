//! The command line: what can be asked of the program. Help and the manual are made from it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    export::ExportArgs,
    filters::{self, Buffer, Bytes, FILTER_HELP, WHERE_HELP, parse_buffer, parse_filter, parse_where},
    flight::FlightArgs,
    playback::SPEEDS,
    report::ReportArgs,
};
pub use super::{
    look::{ConfigArgs, LookArgs},
    record_args::RecordArgs,
};
use crate::{
    filter::Where,
    probes::{Attach, Config, SNAPLEN_MAX, Usdt},
};

/// See who makes upcalls in a live Open vSwitch kernel datapath, where their time goes, and follow each packet.
#[derive(Debug, Parser)]
#[command(
    name = "ovscope",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        sudo ovscope                     the live screen\n  \
        ovscope demo                     a recording of a real storm: no root needed\n  \
        sudo ovscope record -o f.mcap    record until Ctrl-C\n  \
        ovscope replay f.mcap            the same screen, anywhere, without root\n  \
        sudo ovscope stat -i 1s          one line per second, for a log\n  \
        sudo ovscope doctor              what works on this host, and what to do\n\n\
        On the screen ? shows the keys. The manual: ovscope man | man -l -"
)]
pub struct Cli {
    /// What to do; without one: live.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Live without naming it.
    #[command(flatten)]
    pub live: LiveArgs,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The screen, on this host's datapath (the default)
    Live(LiveArgs),
    /// The screen, on a bundled recording of a real storm: needs neither root nor Open vSwitch
    Demo(DemoArgs),
    /// The screen, on a recording, or on an event file of retis
    #[command(after_help = "Examples:\n  ovscope replay storm.mcap\n  ovscope replay retis.data\n  \
        ssh root@hypervisor ovscope record -o - | ovscope replay -")]
    Replay(ReplayArgs),
    /// Record without a screen, until Ctrl-C or --duration
    #[command(after_help = "Examples:\n  sudo ovscope record -o storm.mcap --duration 30s\n  \
        sudo ovscope record -o day.mcap --max-size 100M --max-total 2G --max-age 1h\n  \
        ssh root@hypervisor ovscope record -o - > storm.mcap\n  \
        sudo ovscope record -o vx.mcap -f 'udp port 4789' --where 'in_port = vxlan_sys_4789'")]
    Record(RecordArgs),
    /// One line per interval, without a screen
    #[command(after_help = "Examples:\n  sudo ovscope stat\n  sudo ovscope stat -i 10s --count 6 --json")]
    Stat(StatArgs),
    /// Write a recording's events in another format
    #[command(after_help = "Examples:\n  ovscope export storm.mcap | jq 'select(.type == \"upcall\")'\n  \
        ovscope export storm.mcap --format pcapng -o storm.pcapng")]
    Export(ExportArgs),
    /// A summary of a recording, fit for a ticket
    #[command(after_help = "Examples:\n  ovscope report storm.mcap\n  \
        ovscope report storm.mcap --format markdown > ticket.md")]
    Report(ReportArgs),
    /// What works on this host, what does not, why, and what to do
    Doctor(DoctorArgs),
    /// Print a configuration file with every setting and its default
    #[command(after_help = "Example:\n  ovscope config > ~/.config/ovscope/config.toml")]
    Config,
    /// Print completions for a shell
    #[command(after_help = "Example:\n  ovscope completions bash > /etc/bash_completion.d/ovscope")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  ovscope man | man -l -")]
    Man,
}

/// The options of the probes.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// Record one in N of the packets that are not upcalled (1/10 or 10); 0: upcalled packets only, which costs less
    #[arg(long, value_name = "1/N", default_value = "1", value_parser = parse_sample)]
    pub sample: u32,
    /// Record only packets that match, in the syntax of pcap-filter(7): 'udp port 4789', 'vlan 5 and arp'
    #[arg(short, long, value_name = "EXPR", value_parser = parse_filter, long_help = FILTER_HELP)]
    pub filter: Option<Bytes>,
    /// Record only packets with these fields: 'cmd = miss and len > 1000' (--help lists the fields)
    #[arg(long = "where", value_name = "EXPR", value_parser = parse_where, long_help = WHERE_HELP)]
    pub fields: Option<Where>,
    /// Record only this datapath's packets and upcalls, by its name or number
    #[arg(long, value_name = "NAME")]
    pub datapath: Option<String>,
    /// Keep this many bytes of each recorded packet
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(0..=i64::from(SNAPLEN_MAX)))]
    pub snaplen: u32,
    /// At most this many events a second; what is left out is counted, and all counters stay exact
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub event_budget: u64,
    /// Size of the buffer between kernel and program, with k, M or G; a power of two
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = parse_buffer)]
    pub ring: Buffer,
    /// Follow upcalls to the daemon's threads and back
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub track: Track,
    /// How to attach the probes: each with the best that works, or all with fentry, or all with kprobes
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub attach: AttachName,
}

/// The options of questions to the daemon.
#[derive(Debug, Clone, Args)]
pub struct DaemonArgs {
    /// Where the control socket of ovs-vswitchd is: its directory, or the socket itself
    #[arg(long, value_name = "PATH")]
    pub ovs_rundir: Option<PathBuf>,
    /// At most this many requests a second to ovs-vswitchd; 0: never ask it
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub rpc_rate: u32,
}

/// How upcalls are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Track {
    /// In the kernel, on any build of Open vSwitch; with what the daemon tells where it has USDT probes.
    Auto,
    /// In the kernel alone.
    Kernel,
    /// In the kernel, and by the daemon's USDT probes whatever they cost.
    Usdt,
    /// Not at all: counters only, at the least cost.
    Off,
}

/// What the probes are attached with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AttachName {
    /// The best that this kernel allows, for each probe by itself.
    Auto,
    /// fentry, fexit and typed tracepoints only.
    Fentry,
    /// kprobes and raw tracepoints only: they cost more and may leave runs out.
    Kprobe,
}

impl ProbeArgs {
    /// The session's command line, for the record.
    pub fn command(&self) -> String {
        std::env::args().collect::<Vec<_>>().join(" ")
    }

    /// The probes' part of it. Names are looked up among the host's datapaths, where there are any to look up.
    pub fn config(&self) -> anyhow::Result<Config> {
        if self.ring.rounded {
            eprintln!("ovscope: --ring is rounded up to {}: the kernel wants a power of two", self.ring);
        }
        Ok(Config {
            follow: self.track != Track::Off,
            usdt: match self.track {
                Track::Auto => Usdt::WhereThereIs,
                Track::Usdt => Usdt::Wanted,
                Track::Kernel | Track::Off => Usdt::Off,
            },
            sample: if self.track == Track::Off { 0 } else { self.sample },
            snaplen: self.snaplen,
            attach: match self.attach {
                AttachName::Auto => Attach::Auto,
                AttachName::Fentry => Attach::Fentry,
                AttachName::Kprobe => Attach::Kprobe,
            },
            event_budget: self.event_budget,
            filter: filters::programs(self)?,
            buffer: self.ring.bytes,
            command: self.command(),
        })
    }
}

/// `live`.
#[derive(Debug, Clone, Args)]
pub struct LiveArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub probes: ProbeArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub daemon: DaemonArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub look: LookArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub flight: FlightArgs,
}

/// `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub look: LookArgs,
}

/// `replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// The recording; - reads a stream from standard input
    pub file: PathBuf,
    /// How many times as fast as it happened
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = parse_speed)]
    pub speed: f64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub look: LookArgs,
}

/// `stat`.
#[derive(Debug, Clone, Args)]
pub struct StatArgs {
    /// Time between lines
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    pub interval: Duration,
    /// Stop after this many lines
    #[arg(short, long, value_name = "N")]
    pub count: Option<u64>,
    /// Print JSON, one object per line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub probes: ProbeArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub config: ConfigArgs,
}

/// `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where the control socket of ovs-vswitchd is: its directory, or the socket itself
    #[arg(long, value_name = "PATH")]
    pub ovs_rundir: Option<PathBuf>,
}

fn parse_sample(text: &str) -> Result<u32, String> {
    text.strip_prefix("1/")
        .unwrap_or(text)
        .parse()
        .map_err(|_| format!("'{text}' is neither 1/N nor a number: try 1/10, or 0 for upcalled packets only"))
}

/// A number and a unit: 500ms, 30s, 5m, 1h; seconds without a unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is no length of time: try 500ms, 30s, 5m or 1h");
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..at].parse().map_err(|_| bad())?;
    let unit = match &text[at..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    Duration::try_from_secs_f64(number * unit).ok().filter(|d| !d.is_zero()).ok_or_else(bad)
}

/// As [`parse_duration`], and no shorter than the time between two readings of the counters.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < Duration::from_millis(250) {
        return Err(format!("'{text}' is less than 250ms, and the counters are read every 250ms"));
    }
    Ok(interval)
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
    let speed = speed.filter(|speed| SPEEDS.contains(speed));
    speed.ok_or_else(|| format!("'{text}' is no speed from {} to {}: try 0.5, 2 or 10", SPEEDS.start(), SPEEDS.end()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_live_with_its_options() {
        let cli = Cli::try_parse_from(["ovscope", "--sample", "1/10"]).expect("good usage");
        assert!(cli.command.is_none());
        assert_eq!(cli.live.probes.sample, 10);
        let cli = Cli::try_parse_from(["ovscope", "live", "--sample", "0"]).expect("good usage");
        assert!(matches!(cli.command, Some(Command::Live(live)) if live.probes.sample == 0));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        for bad in ["", "s", "0s", "-1s", "1 day", "1e999h", "nan"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert!(parse_interval("100ms").is_err());
    }

    #[test]
    fn a_speed_is_one_that_a_replay_can_go_at() {
        assert_eq!([parse_speed("0.5"), parse_speed("2x"), parse_speed("1000")], [Ok(0.5), Ok(2.0), Ok(1000.0)]);
        for bad in ["", "x", "0", "0.01", "1001", "-1", "inf", "nan"] {
            assert!(parse_speed(bad).is_err_and(|why| why.contains("try 0.5")), "{bad}");
        }
    }

    #[test]
    fn every_command_shows_an_example_or_needs_none() {
        let plain = ["live", "demo", "doctor", "help"];
        for command in Cli::command().get_subcommands() {
            assert!(
                plain.contains(&command.get_name()) || command.get_after_help().is_some(),
                "{} has no example",
                command.get_name()
            );
        }
    }
}
