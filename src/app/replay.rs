//! A recording as a source: its events in real time or at any other speed, paused, stepped, forwards and back.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::mpsc::{Receiver, Sender},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};

use super::{
    playback::{PlaybackCommand, SPEEDS, Until},
    source::FromSource,
};
use crate::{
    event::{Event, Nanos},
    record::{Batch, Recorded},
};

/// Events that are due within this time are sent together; the screen is not drawn more often.
const TICK: Duration = Duration::from_millis(10);
/// The most events sent at once.
const MOST: usize = 8192;
/// The longest sleep: the times of a damaged recording can be anywhere.
const SLEEP: Duration = Duration::from_secs(3600);

/// How a recording is replayed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The speed, as a factor of real time.
    pub speed: f64,
    /// At the end, begin again after this pause.
    pub looped: Option<Duration>,
    /// Begin at this moment, and paused.
    pub paused_at: Option<Nanos>,
}

impl Default for Options {
    fn default() -> Self {
        Self { speed: 1.0, looped: None, paused_at: None }
    }
}

/// Replays a recording into `out` until its end, and after that as `commands` say, until the other ends of both are gone. At
/// each end comes one [`FromSource::Ended`], which says what is missing where the recording is cut off or damaged.
///
/// Going back, or far on, sends [`FromSource::Restart`], then the state and the events up to the moment as fast as they are
/// taken. A recording that is a stream cannot go back (see [`Recorded::can_seek`]): such a command is ignored.
pub fn spawn(
    reader: Box<dyn Recorded>,
    out: Sender<FromSource>,
    commands: Receiver<PlaybackCommand>,
    options: Options,
) -> JoinHandle<()> {
    let player = Player {
        can_go_back: reader.can_seek(),
        reader: Some(reader),
        out,
        commands,
        asked: VecDeque::new(),
        options,
        clock: Clock { position: None, anchor: Instant::now(), speed: 1.0, paused: false },
        begin: None,
        last: 0,
        restarted: false,
        amid: false,
        waiting: VecDeque::new(),
    };
    tokio::spawn(async move {
        // An error only means that nobody takes the events any more.
        let _ = player.run().await;
    })
}

/// Nobody is at the other end.
struct Gone;

/// The recording's time.
struct Clock {
    /// The recording's time at `anchor`; none until its first event is known.
    position: Option<Nanos>,
    anchor: Instant,
    speed: f64,
    paused: bool,
}

impl Clock {
    fn now(&self) -> Option<Nanos> {
        let still = self.paused || self.is_unbound();
        let passed = if still { 0.0 } else { self.anchor.elapsed().as_nanos() as f64 * self.speed };
        self.position.map(|position| position.saturating_add(passed as u64))
    }

    /// As fast as events are taken: the time is that of the last event.
    fn is_unbound(&self) -> bool {
        self.speed.is_infinite()
    }

    /// Sets the time.
    fn set(&mut self, now: Option<Nanos>) {
        self.position = now;
        self.anchor = Instant::now();
    }

    /// When it will be `ts`; at most [`SLEEP`] away.
    fn when(&self, ts: Nanos) -> Instant {
        let ahead = ts.saturating_sub(self.position.unwrap_or(ts)) as f64 / self.speed;
        let ahead = Duration::from_nanos(ahead as u64);
        self.anchor + ahead.min(self.anchor.elapsed() + SLEEP)
    }
}

/// What comes next from the recording.
enum Next {
    Batch(Batch),
    End(Result<(), String>),
}

struct Player {
    /// None while a thread reads with it.
    reader: Option<Box<dyn Recorded>>,
    can_go_back: bool,
    out: Sender<FromSource>,
    commands: Receiver<PlaybackCommand>,
    /// Commands that came while something else was waited for.
    asked: VecDeque<PlaybackCommand>,
    options: Options,
    clock: Clock,
    /// The time of the recording's first event.
    begin: Option<Nanos>,
    /// The latest time of an event that was sent.
    last: Nanos,
    /// Whether it went back since this was last asked.
    restarted: bool,
    /// Whether it stands right after an event that was stepped to: what else happened at that moment is not sent yet.
    amid: bool,
    waiting: VecDeque<Event>,
}

impl Player {
    async fn run(mut self) -> Result<(), Gone> {
        self.speed(self.options.speed);
        if let Some(at) = self.options.paused_at {
            self.clock.paused = true;
            self.jump(at).await?;
        }
        loop {
            while let Some(command) = self.asked.pop_front() {
                self.obey(command).await?;
            }
            if self.waiting.is_empty() {
                match self.read().await? {
                    Next::Batch(Batch { events, keyframe: true }) => self.send(FromSource::Events(events)).await?,
                    Next::Batch(batch) => self.take(batch).await?,
                    Next::End(how) => self.end(how).await?,
                }
                continue;
            }
            self.send_due().await?;
            self.wait().await?;
        }
    }

    /// Takes events that have been read. Time begins with the first that happened in the datapath: what became known before it,
    /// while the program started, is state.
    async fn take(&mut self, batch: Batch) -> Result<(), Gone> {
        if self.clock.position.is_none() {
            let Some(first) = batch.events.iter().find(|event| !event.body.is_state()) else {
                return self.send(FromSource::Events(batch.events)).await;
            };
            self.begin.get_or_insert(first.ts);
            self.clock.set(Some(first.ts));
        }
        self.waiting.extend(batch.events);
        Ok(())
    }

    /// Reads the next batch in another thread: a stream may keep it waiting for any length of time.
    async fn read(&mut self) -> Result<Next, Gone> {
        let Some(mut reader) = self.reader.take() else { return Err(Gone) };
        let mut reading = spawn_blocking(move || {
            let next = next(&mut reader);
            (reader, next)
        });
        loop {
            tokio::select! {
                read = &mut reading => {
                    let (reader, next) = read.map_err(|_| Gone)?;
                    self.reader = Some(reader);
                    return Ok(next);
                }
                Some(command) = self.commands.recv() => self.asked.push_back(command),
                () = self.out.closed() => return Err(Gone),
            }
        }
    }

    /// Sends the waiting events whose time has come.
    async fn send_due(&mut self) -> Result<(), Gone> {
        let Some(now) = self.clock.now().filter(|_| !self.amid) else { return Ok(()) };
        let unbound = self.clock.is_unbound() && !self.clock.paused;
        let due = self.waiting.iter().take(MOST).take_while(|event| unbound || event.ts <= now).count();
        if due == 0 {
            return Ok(());
        }
        self.send_first(due).await?;
        if unbound {
            self.clock.set(Some(now.max(self.last)));
        }
        Ok(())
    }

    /// Sends the first `count` of the waiting events.
    async fn send_first(&mut self, count: usize) -> Result<(), Gone> {
        let events: Vec<Event> = self.waiting.drain(..count).collect();
        self.last = events.iter().fold(self.last, |last, event| last.max(event.ts));
        self.send(FromSource::Events(events)).await
    }

    async fn send(&mut self, message: FromSource) -> Result<(), Gone> {
        loop {
            tokio::select! {
                biased;
                place = self.out.reserve() => {
                    place.map_err(|_| Gone)?.send(message);
                    return Ok(());
                }
                // The one who sends a command may be the one who has no room for events now.
                Some(command) = self.commands.recv() => self.asked.push_back(command),
            }
        }
    }

    /// Waits until the next event is due, or a command comes.
    async fn wait(&mut self) -> Result<(), Gone> {
        let Some(next) = self.waiting.front().map(|event| event.ts) else { return Ok(()) };
        let paused = self.clock.paused;
        let unbound = self.clock.is_unbound() && !paused;
        let is_due = !self.amid && self.clock.now().is_some_and(|now| next <= now);
        if !self.asked.is_empty() || unbound || is_due {
            return Ok(());
        }
        let due = self.clock.when(next).max(Instant::now() + TICK);
        tokio::select! {
            () = sleep_until(due), if !paused => {}
            Some(command) = self.commands.recv() => self.asked.push_back(command),
            () = self.out.closed() => return Err(Gone),
        }
        Ok(())
    }

    /// The recording is at its end: begin again, or wait until somebody goes back.
    async fn end(&mut self, how: Result<(), String>) -> Result<(), Gone> {
        if let Some(pause) = self.options.looped.filter(|_| self.can_go_back) {
            // Time does not go on after the end, neither here nor while waiting for a command.
            self.clock.set(self.clock.now().map(|now| now.min(self.last)));
            tokio::select! {
                () = sleep(pause), if !self.clock.paused => return self.jump(self.begin.unwrap_or(0)).await,
                Some(command) = self.commands.recv() => self.asked.push_back(command),
                () = self.out.closed() => return Err(Gone),
            }
            self.clock.set(self.clock.now().map(|now| now.min(self.last)));
            return Ok(());
        }
        self.send(FromSource::Ended(how)).await?;
        self.restarted = false;
        while !self.restarted {
            // Time does not go on after the end.
            self.clock.set(self.clock.now().map(|now| now.min(self.last)));
            let command = if let Some(command) = self.asked.pop_front() {
                command
            } else {
                tokio::select! {
                    command = self.commands.recv() => command.ok_or(Gone)?,
                    () = self.out.closed() => return Err(Gone),
                }
            };
            self.clock.set(self.clock.now().map(|now| now.min(self.last)));
            self.obey(command).await?;
        }
        Ok(())
    }

    async fn obey(&mut self, command: PlaybackCommand) -> Result<(), Gone> {
        let now = self.clock.now();
        self.amid &= matches!(command, PlaybackCommand::Speed(_));
        match command {
            PlaybackCommand::Pause(paused) => {
                self.clock.set(now);
                self.clock.paused = paused;
            }
            PlaybackCommand::Speed(speed) => self.speed(speed),
            PlaybackCommand::Step { ns } => {
                if let Some(now) = now {
                    self.go(now, now.saturating_add_signed(ns)).await?;
                }
            }
            PlaybackCommand::Seek { ts } => {
                if let Some(now) = now {
                    self.go(now, ts).await?;
                }
            }
            PlaybackCommand::Next(until) => self.next_of(until).await?,
        }
        Ok(())
    }

    fn speed(&mut self, speed: f64) {
        self.clock.set(self.clock.now());
        if !speed.is_nan() {
            self.clock.speed = if speed.is_infinite() { speed } else { speed.clamp(*SPEEDS.start(), *SPEEDS.end()) };
        }
    }

    /// Goes on to the next event of a kind and stops there; at the end where there is none.
    async fn next_of(&mut self, until: Until) -> Result<(), Gone> {
        self.clock.set(self.clock.now());
        self.clock.paused = true;
        loop {
            let found = self.waiting.iter().position(|event| until.is_met_by(event));
            let count = found.map_or(self.waiting.len(), |at| at + 1);
            for from in (0..count).step_by(MOST) {
                self.send_first(MOST.min(count - from)).await?;
            }
            self.clock.set(self.clock.now().map(|now| now.max(self.last)));
            self.amid = found.is_some();
            if found.is_some() || !self.asked.is_empty() {
                return Ok(());
            }
            match self.read().await? {
                Next::Batch(Batch { events, keyframe: true }) => self.send(FromSource::Events(events)).await?,
                Next::Batch(batch) => self.take(batch).await?,
                // The next read finds it again, and reports it.
                Next::End(_) => return Ok(()),
            }
        }
    }

    async fn go(&mut self, now: Nanos, to: Nanos) -> Result<(), Gone> {
        if self.can_go_back {
            let keyframe = self.reader.as_ref().and_then(|reader| reader.keyframe_before(reader.warm(to)));
            if to < now || keyframe.is_some_and(|keyframe| keyframe > now) {
                return self.jump(to.max(self.begin.unwrap_or(0))).await;
            }
        }
        if to >= now {
            self.clock.set(Some(to));
        }
        Ok(())
    }

    /// Goes to a moment, from the keyframe before it on.
    async fn jump(&mut self, to: Nanos) -> Result<(), Gone> {
        let Some(mut reader) = self.reader.take() else { return Err(Gone) };
        let (reader, sought) = spawn_blocking(move || {
            let sought = reader.seek(reader.warm(to));
            (reader, sought)
        })
        .await
        .map_err(|_| Gone)?;
        self.reader = Some(reader);
        if let Err(error) = sought {
            return self.send(FromSource::Ended(Err(error.to_string()))).await;
        }
        self.waiting.clear();
        self.last = 0;
        self.restarted = true;
        self.clock.set(Some(to));
        self.send(FromSource::Restart).await
    }
}

/// The next events, or how the recording ended.
fn next(reader: &mut Box<dyn Recorded>) -> Next {
    match reader.next_batch() {
        Some(Ok(batch)) => Next::Batch(batch),
        Some(Err(error)) => Next::End(Err(error.to_string())),
        None => Next::End(reader.remarks().map_or(Ok(()), Err)),
    }
}
