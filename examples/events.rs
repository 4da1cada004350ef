//! Prints every event of this host's datapath as a line of JSON: `events SECONDS [SAMPLE [BUDGET]]`. With `-n` before
//! them the events are only counted, to see what the probes cost by themselves.

use std::{io::Write, time::Duration};

use ovscope::{
    event::Told,
    probes::{Config, Prepared},
};

fn main() -> anyhow::Result<()> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let count_only = args.first().is_some_and(|a| a == "-n");
    if count_only {
        args.remove(0);
    }
    let seconds = args.first().map_or(Ok(10), |s| s.parse())?;
    let sample = args.get(1).map_or(Ok(1), |s| s.parse())?;
    let event_budget = args.get(2).map_or(Ok(Config::default().event_budget), |s| s.parse())?;
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let sink = Box::new(move |told: Vec<Told>| {
        count_only
            || Told::expanded(told).iter().all(|e| serde_json::to_writer(&mut out, e).is_ok() && writeln!(out).is_ok())
    });
    let running = Prepared::new()?.start(Config { sample, event_budget, ..Config::default() }, sink)?;
    eprintln!("attached");
    std::thread::sleep(Duration::from_secs(seconds));
    running.stop();
    Ok(())
}
