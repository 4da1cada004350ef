//! Replays, on tokio's paused clock.

use std::time::Duration;

use ovscope::{
    app::{
        playback::{PlaybackCommand, Until},
        replay::{self, Options},
        source::FromSource,
    },
    event::{Body, DaemonState, DpIfindex, Drop, Event, PacketId, PortNo, Upcall, UpcallCmd},
    record::{FLIGHT_MIN, Flight, Header, Reader},
};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, sleep, timeout},
};

use crate::{marked, reader, recording, told};

const SECOND: u64 = 1_000_000_000;
const BEGIN: u64 = 100 * SECOND;

/// An event each second, at 100 s to 109 s.
fn all() -> Vec<Event> {
    (0..10).map(|n| marked(BEGIN + n * SECOND)).collect()
}

struct Replay {
    events: Receiver<FromSource>,
    commands: Sender<PlaybackCommand>,
    begun: Instant,
}

fn replay(reader: Reader, options: Options) -> Replay {
    let (out, events) = channel(4);
    let (commands, asked) = channel(4);
    replay::spawn(Box::new(reader), out, asked, options);
    Replay { events, commands, begun: Instant::now() }
}

fn start(options: Options) -> Replay {
    replay(reader(&recording(&[all()])), options)
}

/// What happened, with the seconds since the begin.
#[derive(Debug, PartialEq)]
enum Seen {
    /// The event's second after the recording's begin.
    Event(f64, u64),
    Restart(f64),
    Ended(f64, Result<(), String>),
}

impl Replay {
    async fn ask(&self, command: PlaybackCommand) {
        self.commands.send(command).await.expect("it runs");
    }

    /// All that comes until nothing has come for so long.
    async fn see(&mut self, quiet: Duration) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Ok(Some(message)) = timeout(quiet, self.events.recv()).await {
            // In tenths: events that are due together come together.
            let at = (self.begun.elapsed().as_secs_f64() * 10.0).floor() / 10.0;
            match message {
                FromSource::Events(events) => {
                    seen.extend(events.iter().map(|e| Seen::Event(at, (e.ts - BEGIN) / SECOND)));
                }
                FromSource::Restart => seen.push(Seen::Restart(at)),
                FromSource::Ended(how) => seen.push(Seen::Ended(at, how)),
                FromSource::Overview(_) | FromSource::Note(_) => panic!("a replay tells neither"),
            }
        }
        seen
    }
}

const QUIET: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn events_come_in_the_time_they_took() {
    let mut replay = start(Options::default());
    let mut expected: Vec<Seen> = (0..10).map(|n| Seen::Event(n as f64, n)).collect();
    expected.push(Seen::Ended(9.0, Ok(())));
    assert_eq!(replay.see(QUIET).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_known_long_before_the_first_event_comes_at_once() {
    let daemon = |ts| Event::host(ts, Body::Daemon(DaemonState::Down { why: "starting".to_owned() }));
    let parts = [vec![daemon(1)], vec![daemon(BEGIN - 9 * SECOND), marked(BEGIN), marked(BEGIN + SECOND)]];
    let mut replay = replay(reader(&recording(&parts)), Options::default());
    let mut times = Vec::new();
    while times.len() < 4 {
        let Some(FromSource::Events(events)) = replay.events.recv().await else { panic!("more events") };
        times.extend(events.iter().map(|event| (replay.begun.elapsed().as_secs(), event.ts)));
    }
    assert_eq!(times, [(0, 1), (0, BEGIN - 9 * SECOND), (0, BEGIN), (1, BEGIN + SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn at_twice_the_speed_in_half_the_time() {
    let mut replay = start(Options { speed: 2.0, ..Options::default() });
    let mut expected: Vec<Seen> = (0..10).map(|n| Seen::Event(n as f64 / 2.0, n)).collect();
    expected.push(Seen::Ended(4.5, Ok(())));
    assert_eq!(replay.see(QUIET).await, expected);
}

#[tokio::test(start_paused = true)]
async fn paused_nothing_comes_but_a_step_does() {
    let mut replay = start(Options::default());
    let seen = replay.see(Duration::from_millis(1)).await;
    assert_eq!(seen, [Seen::Event(0.0, 0)]);
    replay.ask(PlaybackCommand::Pause(true)).await;
    assert_eq!(replay.see(QUIET).await, []);
    replay.ask(PlaybackCommand::Step { ns: 2_500_000_000 }).await;
    let seen: Vec<u64> = seconds(&replay.see(QUIET).await);
    assert_eq!(seen, [1, 2]);
    replay.ask(PlaybackCommand::Pause(false)).await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(seconds(&replay.see(Duration::from_millis(500)).await), [3]);
}

fn seconds(seen: &[Seen]) -> Vec<u64> {
    seen.iter().filter_map(|seen| if let Seen::Event(_, second) = seen { Some(*second) } else { None }).collect()
}

#[tokio::test(start_paused = true)]
async fn a_step_back_starts_again_up_to_the_moment() {
    let mut replay = start(Options::default());
    replay.ask(PlaybackCommand::Pause(true)).await;
    assert_eq!(seconds(&replay.see(QUIET).await), [0]);
    replay.ask(PlaybackCommand::Seek { ts: BEGIN + 6 * SECOND }).await;
    assert_eq!(seconds(&replay.see(QUIET).await), [1, 2, 3, 4, 5, 6]);
    replay.ask(PlaybackCommand::Step { ns: -3_500_000_000 }).await;
    let seen = replay.see(QUIET).await;
    assert!(matches!(seen[0], Seen::Restart(_)), "{seen:?}");
    assert_eq!(seconds(&seen), [0, 1, 2]);
    replay.ask(PlaybackCommand::Step { ns: i64::MIN }).await;
    let seen = replay.see(QUIET).await;
    assert!(matches!(seen[0], Seen::Restart(_)), "{seen:?}");
    assert_eq!(seconds(&seen), [0], "before its begin is its begin");
}

#[tokio::test(start_paused = true)]
async fn from_the_end_one_can_go_back_and_reach_it_again() {
    let mut replay = start(Options { speed: 100.0, ..Options::default() });
    assert!(matches!(replay.see(QUIET).await.last(), Some(Seen::Ended(_, Ok(())))));
    replay.ask(PlaybackCommand::Step { ns: 5_000_000_000 }).await;
    assert_eq!(replay.see(QUIET).await, [], "behind the end is nothing");
    replay.ask(PlaybackCommand::Step { ns: -1_500_000_000 }).await;
    let seen = replay.see(QUIET).await;
    assert!(matches!(seen[0], Seen::Restart(_)), "{seen:?}");
    assert_eq!(seconds(&seen), (0..10).collect::<Vec<_>>());
    assert!(matches!(seen.last(), Some(Seen::Ended(_, Ok(())))));
}

#[tokio::test(start_paused = true)]
async fn looped_it_begins_again_after_the_pause() {
    let mut replay = start(Options { looped: Some(Duration::from_secs(5)), ..Options::default() });
    let mut seen = Vec::new();
    while seen.len() < 13 {
        let message = replay.events.recv().await.expect("no end");
        let at = replay.begun.elapsed().as_secs();
        match message {
            FromSource::Events(events) => seen.extend(events.iter().map(|e| (at, Some((e.ts - BEGIN) / SECOND)))),
            FromSource::Restart => seen.push((at, None)),
            other => panic!("it never ends, and tells nothing else: {other:?}"),
        }
    }
    assert_eq!(seen[9..], [(9, Some(9)), (14, None), (14, Some(0)), (15, Some(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_cut_off_recording_says_so_at_its_end() {
    let bytes = recording(&[all()]);
    let mut replay = replay(reader(&bytes[..bytes.len() - 100]), Options::default());
    let seen = replay.see(QUIET).await;
    assert_eq!(seconds(&seen).len(), 10);
    let Some(Seen::Ended(_, Err(why))) = seen.last() else { panic!("it is cut off: {seen:?}") };
    assert!(why.contains("cut off") && why.contains("10 events were read"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_replayed_and_goes_on_when_asked_back() {
    let stream = Reader::from_stream("pipe", std::io::Cursor::new(recording(&[all()]))).expect("a recording");
    let mut replay = replay(stream, Options::default());
    replay.ask(PlaybackCommand::Step { ns: -1 }).await;
    replay.ask(PlaybackCommand::Step { ns: 3_000_000_000 }).await;
    let seen = replay.see(QUIET).await;
    assert_eq!(seconds(&seen), (0..10).collect::<Vec<_>>());
    assert!(!seen.iter().any(|seen| matches!(seen, Seen::Restart(_))));
}

#[tokio::test(start_paused = true)]
async fn who_takes_no_events_can_still_send_commands() {
    let mut replay = start(Options { speed: 1000.0, ..Options::default() });
    // More than both channels hold.
    for _ in 0..50 {
        replay.ask(PlaybackCommand::Speed(500.0)).await;
    }
    assert_eq!(seconds(&replay.see(QUIET).await), (0..10).collect::<Vec<_>>());
}

/// A drop, an upcall and a drop of one packet at the same moment, then the same a second later.
fn packets() -> Vec<Event> {
    let upcall = Upcall {
        dp: DpIfindex(1),
        in_port: PortNo(1),
        recirc_id: 0,
        cmd: UpcallCmd::Miss,
        port: 7,
        mru: 0,
        len: 60,
        skb_hash: 0,
        cookie: None,
    };
    let drop = Body::Drop(Drop { reason: 2, name: String::new(), location: String::new() });
    let events = |ts, id| {
        [drop.clone(), Body::Upcall(upcall.clone()), drop.clone()]
            .map(|body| Event { packet: Some(PacketId(id)), ..Event::host(ts, body) })
    };
    [events(BEGIN, 1), events(BEGIN + SECOND, 2)].concat()
}

#[tokio::test(start_paused = true)]
async fn a_step_to_the_next_gives_up_to_it_and_no_more() {
    let options = Options { paused_at: Some(BEGIN - 1), ..Options::default() };
    let mut replay = replay(reader(&recording(&[vec![marked(BEGIN)], packets()])), options);
    assert_eq!(seconds(&replay.see(QUIET).await), [0; 0]);
    replay.ask(PlaybackCommand::Next(Until::Event)).await;
    // The counter before it comes with it, as it is before it.
    assert_eq!(seconds(&replay.see(QUIET).await), [0, 0]);
    replay.ask(PlaybackCommand::Next(Until::Event)).await;
    assert_eq!(seconds(&replay.see(QUIET).await), [0]);
    replay.ask(PlaybackCommand::Next(Until::Upcall)).await;
    assert_eq!(seconds(&replay.see(QUIET).await), [0, 1, 1]);
    replay.ask(PlaybackCommand::Next(Until::Upcall)).await;
    let seen = replay.see(QUIET).await;
    assert_eq!(seconds(&seen), [1]);
    assert!(matches!(seen.last(), Some(Seen::Ended(_, Ok(())))), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn as_fast_as_can_be_is_at_once() {
    let mut replay = start(Options { speed: f64::INFINITY, ..Options::default() });
    let mut expected: Vec<Seen> = (0..10).map(|n| Seen::Event(0.0, n)).collect();
    expected.push(Seen::Ended(0.0, Ok(())));
    assert_eq!(replay.see(QUIET).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_flight_recorder_kept_is_replayed_from_a_moment() {
    let mut flight = Flight::new(FLIGHT_MIN, &Header::default()).expect("memory");
    for part in all().chunks(3) {
        flight.push(&told(part)).expect("memory");
        // Seals the part, so that the past is of several.
        flight.kept().expect("memory");
    }
    let past = flight.kept().and_then(|kept| kept.read().map_err(std::io::Error::other)).expect("memory");
    let (out, events) = channel(4);
    let (commands, asked) = channel(4);
    let at = BEGIN + 7 * SECOND;
    replay::spawn(Box::new(past), out, asked, Options { paused_at: Some(at), ..Options::default() });
    let mut replay = Replay { events, commands, begun: Instant::now() };
    let seen = replay.see(QUIET).await;
    assert!(matches!(seen[0], Seen::Restart(_)), "{seen:?}");
    assert_eq!(seconds(&seen).last(), Some(&7));
    replay.ask(PlaybackCommand::Step { ns: -4_000_000_000 }).await;
    assert_eq!(seconds(&replay.see(QUIET).await).last(), Some(&3));
    replay.ask(PlaybackCommand::Pause(false)).await;
    let seen = replay.see(QUIET).await;
    assert_eq!(seconds(&seen), [4, 5, 6, 7, 8, 9]);
}
