//! Prints every event of this host's datapath as a line of JSON, for so many seconds: `events 10`.

use std::{io::Write, time::Duration};

use ovscope::probes::{Config, start};

fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(10), |s| s.parse())?;
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let sink = Box::new(move |events: Vec<ovscope::event::Event>| {
        events.iter().all(|e| serde_json::to_writer(&mut out, e).is_ok() && writeln!(out).is_ok())
    });
    let running = start(Config::default(), sink)?;
    eprintln!("attached");
    std::thread::sleep(Duration::from_secs(seconds));
    running.stop();
    Ok(())
}
