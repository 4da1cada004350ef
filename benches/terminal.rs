//! What the screen asks of a terminal and of a processor: bytes a second, CPU, and how soon a key is answered; on a
//! pseudo-terminal, with a made-up host in a storm, when it is quiet, and when nothing happens at all:
//! `cargo bench --bench terminal`; `cargo bench --bench terminal -- keys` is of the keys alone.

use std::{
    path::Path,
    time::{Duration, Instant},
};

#[path = "../tests/pty/mod.rs"]
mod pty;
#[path = "../examples/screen.rs"]
mod screen;

/// How long is measured.
const SPAN: Duration = Duration::from_secs(20);
/// Keys that are pressed, one after the other.
const KEYS: usize = 100;

fn main() -> anyhow::Result<()> {
    if std::env::args().any(|arg| arg == "shown") {
        return screen::main();
    }
    if !std::env::args().any(|arg| arg == "keys") {
        costs();
    }
    let mut waits = answers();
    waits.sort_unstable();
    let at = |part: usize| waits[(KEYS - 1) * part / 100].as_secs_f64() * 1e3;
    println!(
        "a key in a storm, 200×60: answered in {:.1} ms (median), {:.1} ms (p99), {:.1} ms (most)",
        at(50),
        at(99),
        at(100)
    );
    Ok(())
}

fn costs() {
    println!("{:<26} {:>10} {:>10} {:>10}", "", "kB/s", "updates/s", "CPU %");
    for (name, size, args) in [
        ("storm, 80×24", (80, 24), &["shown"][..]),
        ("storm, 200×60", (200, 60), &["shown"]),
        ("quiet, 80×24", (80, 24), &["shown", "quiet"]),
        ("nothing happens, 80×24", (80, 24), &["shown", "empty"]),
    ] {
        for view in ["1", "2", "3", "4"] {
            let (bytes, updates, cpu) = cost(size, args, view);
            let seconds = SPAN.as_secs_f64();
            let (rate, updates) = (bytes as f64 / 1000.0 / seconds, updates as f64 / seconds);
            println!("{name:<20} view {view} {rate:>10.1} {updates:>10.1} {cpu:>10.2}");
        }
    }
}

fn start(size: (u16, u16), args: &[&str]) -> pty::Screen {
    let own = std::env::current_exe().expect("a program is a file");
    let mut screen = pty::Screen::start(Path::new(&own), args, size);
    screen.wait_for("7 Probes");
    screen
}

/// Bytes, updates and percent of a processor.
fn cost(size: (u16, u16), args: &[&str], view: &str) -> (usize, usize, f64) {
    let mut screen = start(size, args);
    screen.press(view);
    listen(&mut screen, Duration::from_secs(3));
    let (seen, busy) = (screen.shown.len(), cpu(&screen));
    listen(&mut screen, SPAN);
    let used = cpu(&screen).saturating_sub(busy);
    let new = &screen.shown[seen..];
    let updates = new.windows(8).filter(|window| window == b"\x1b[?2026h").count();
    let bytes = new.len();
    screen.press("q");
    screen.ended();
    (bytes, updates, used.as_secs_f64() / SPAN.as_secs_f64() * 100.0)
}

/// What the process has used, of `/proc/PID/stat`, in steps of 10 ms (`USER_HZ` is 100 on every Linux).
fn cpu(screen: &pty::Screen) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", screen.pid())).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

fn listen(screen: &mut pty::Screen, span: Duration) {
    let end = Instant::now() + span;
    while let Ok(bytes) = screen.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
        screen.take(&bytes);
    }
}

/// How long each key takes until the terminal shows what it does: the selected row moves.
fn answers() -> Vec<Duration> {
    let mut screen = start((200, 60), &["shown"]);
    screen.press("2");
    screen.wait_for("hits/s");
    let chosen = |screen: &vt100::Screen| screen.rows(0, 1).position(|row| row == "▸");
    (0..KEYS)
        .map(|n| {
            // At every point of the time between two frames.
            listen(&mut screen, Duration::from_millis(150 + n as u64 * 7 % 100));
            let before = chosen(screen.terminal.screen());
            let pressed = Instant::now();
            screen.press(if n % 20 < 10 { "j" } else { "k" });
            screen.wait_until("another row", |screen| chosen(screen) != before);
            pressed.elapsed()
        })
        .collect()
}
