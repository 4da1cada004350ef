//! What the system asks of a program on a terminal: to end, to stop, to go on; and noticing that the terminal is gone.

use std::{io, os::fd::AsFd as _, thread, time::Duration};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{self, Signal::SIGSTOP},
        termios::{FlowArg, FlushArg, tcflow, tcflush},
    },
    unistd::{Pid, getpgid, getpgrp, getppid, getsid},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use super::{session::asked_to_end, terminal::is_stuck};

/// How long a terminal may accept no output when the program has to end.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often that is checked.
const LOOK: Duration = Duration::from_millis(20);

/// What the system asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// To end: SIGTERM, SIGINT, SIGHUP, or the terminal is gone.
    End,
    /// To stop, and to leave the terminal to others: SIGTSTP.
    Stop,
    /// To go on after it was stopped: SIGCONT.
    GoOn,
}

/// Waits for what the system asks for.
pub struct Signals {
    ending: [Signal; 3],
    stop: Signal,
    go_on: Signal,
    /// Notified when the terminal is gone; none where that cannot be known.
    gone: Option<oneshot::Receiver<()>>,
}

impl Signals {
    /// Listens from now on. Needs a runtime.
    pub fn listen() -> anyhow::Result<Self> {
        let on = |kind, name| signal(kind).with_context(|| format!("cannot listen for {name}"));
        let ending = [
            on(SignalKind::terminate(), "SIGTERM")?,
            on(SignalKind::interrupt(), "SIGINT")?,
            on(SignalKind::hangup(), "SIGHUP")?,
        ];
        let stop = on(SignalKind::from_raw(libc::SIGTSTP), "SIGTSTP")?;
        let go_on = on(SignalKind::from_raw(libc::SIGCONT), "SIGCONT")?;
        Ok(Self { ending, stop, go_on, gone: Some(when_gone().context("starting a thread")?) })
    }

    /// The next request. Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Wanted {
        let [terminated, interrupted, hung_up] = &mut self.ending;
        tokio::select! {
            biased;
            _ = terminated.recv() => Wanted::End,
            _ = interrupted.recv() => Wanted::End,
            _ = hung_up.recv() => Wanted::End,
            () = told(&mut self.gone) => Wanted::End,
            _ = self.stop.recv() => Wanted::Stop,
            _ = self.go_on.recv() => Wanted::GoOn,
        }
    }
}

/// Stops this program and all of its job, as Ctrl-Z does to others; returns when the shell says `fg`, and then
/// [`Wanted::GoOn`] follows. Whether it was stopped: where nobody could wake it, it is not.
pub fn stop_job() -> io::Result<bool> {
    if !has_shell() {
        return Ok(false);
    }
    // The whole job has to stop, also the other side of a pipe, or the shell goes on waiting. Not by SIGTSTP: this program
    // listens for that, might see it only after the SIGCONT that follows, and would then stop a second time.
    signal::kill(Pid::from_raw(0), SIGSTOP)?;
    Ok(true)
}

/// Whether a process of the same session, outside this job, would see it stop and could wake it (in POSIX terms: whether the
/// process group is not orphaned). That is the first ancestor that is not in this job.
fn has_shell() -> bool {
    let (group, session) = (getpgrp(), getsid(None));
    let mut parent = getppid();
    // The job's own processes, such as sudo; they are few.
    for _ in 0..16 {
        match getpgid(Some(parent)) {
            Ok(of) if of == group => match parent_of(parent) {
                Some(next) => parent = next,
                None => return false,
            },
            Ok(_) => return session.is_ok() && getsid(Some(parent)) == session,
            Err(_) => return false,
        }
    }
    false
}

/// From `/proc/PID/stat`, after the name, which may contain anything.
fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}

/// Notifies when the terminal is hung up. SIGHUP may not come with that: it may be ignored (nohup), or go to another process.
/// Reading keys does not notice it either: crossterm's thread just goes on reading.
fn when_gone() -> io::Result<oneshot::Receiver<()>> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new().name("ovscope-gone".to_owned()).spawn(move || {
        let out = io::stdout();
        loop {
            // With no events to wait for, poll reports the hang-up alone.
            let mut terminal = [PollFd::new(out.as_fd(), PollFlags::empty())];
            match poll(&mut terminal, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
        let _ = tell.send(());
    })?;
    Ok(told)
}

/// Waits until notified; for ever where nobody will notify.
async fn told(gone: &mut Option<oneshot::Receiver<()>>) {
    if let Some(receiver) = gone {
        if receiver.await.is_ok() {
            return;
        }
        *gone = None;
    }
    std::future::pending::<()>().await;
}

/// Lets the program end although its terminal accepts no more output, as on a dead line or after Ctrl-S: the loop is then
/// blocked in a write, and sees no signal. A thread of its own throws away what the terminal has not taken.
pub fn end_although_stuck() -> io::Result<()> {
    thread::Builder::new().name("ovscope-end".to_owned()).spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async { asked_to_end().await });
        loop {
            thread::sleep(LOOK);
            if is_stuck(PATIENCE) {
                // If that fails there is nothing left to try. Stopping and restarting the output wakes whoever waits to write.
                let _ = tcflush(io::stdout(), FlushArg::TCOFLUSH);
                let _ = tcflow(io::stdout(), FlowArg::TCOOFF);
                let _ = tcflow(io::stdout(), FlowArg::TCOON);
            }
        }
    })?;
    Ok(())
}
