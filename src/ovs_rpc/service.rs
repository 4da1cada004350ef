//! The service: keeps a connection, and turns what is asked into events, one request after another.

mod figures;
mod flows;
mod traces;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use tokio::{
    select,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::event::{Body, DaemonAnswer, DaemonState, Event, Nanos, Query, UdpifFigures};

use super::{
    Ask, AskTrace, CallError, Client, Command, Config, Question,
    daemon::Daemon,
    pace::{Backoff, Throttle},
    traces::Traces,
    wanted::{Answers, QUERIES, Wanted},
};

/// Answers that are kept: some screens full of flows.
const ANSWERS_KEPT: NonZeroUsize = NonZeroUsize::new(512).expect("not 0");
/// The socket is looked for again after this, twice this, …
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// … up to this.
const RETRY_MOST: Duration = Duration::from_secs(5);

/// A reply that is owed for so long is not waited for any more: a new connection is made. Should the daemon have
/// forgotten it, this one would be waiting for ever; should it be stalled, it has one request more to work off.
const OWED_MOST: Duration = Duration::from_secs(30);

/// Starts the service on the present tokio runtime. It ends when `out` is closed; when `asks` is, it goes on telling
/// how the daemon is.
///
/// Of the questions about flows only the newest counts: one that is not finished when the next comes is given up, so the
/// channel can be small. It makes two requests, so a caller that wants each of many to be answered sends at most half of `rate` a second.
/// Each [`Query`] of it gets a [`Body::DaemonAnswer`], be it a failure; while the daemon cannot answer, one that says
/// so, and another when it can. An answer that still holds is told again without asking (get-flow's is at most 5 s
/// old, detrace's 60 s). Each trace gets a [`Body::DaemonTrace`], in the same way. `clock` is the traced host's monotonic one.
pub fn spawn<C>(
    config: Config,
    asks: mpsc::Receiver<Question>,
    out: mpsc::Sender<Vec<Event>>,
    clock: C,
) -> JoinHandle<()>
where
    C: Fn() -> Nanos + Send + Sync + 'static,
{
    tokio::spawn(async move {
        let now = Instant::now();
        // Both end with `Gone`, which is how the service ends.
        let _ = match NonZeroU32::new(config.rate) {
            None => decline(asks, &Teller { out, clock }).await,
            Some(rate) => {
                let service = Service {
                    throttle: Throttle::new(rate, now),
                    link: Link::Down { retry: now },
                    backoff: Backoff::new(RETRY_FIRST, RETRY_MOST),
                    down: None,
                    wanted: None,
                    newest: None,
                    dispatch: (None, BTreeMap::new()),
                    traces: Traces::default(),
                    new_traces: Vec::new(),
                    answers: Answers::new(ANSWERS_KEPT),
                    teller: Teller { out, clock },
                    config,
                    asks,
                };
                service.run().await
            }
        };
    })
}

/// Nobody wants the events any more.
struct Gone;

/// The one who tells.
struct Teller<C> {
    out: mpsc::Sender<Vec<Event>>,
    clock: C,
}

impl<C: Fn() -> Nanos> Teller<C> {
    async fn tell(&self, body: Body) -> Result<(), Gone> {
        self.out.send(vec![Event::host((self.clock)(), body)]).await.map_err(|_| Gone)
    }

    async fn answer(&self, ask: &Ask, query: Query, answer: Result<String, String>, took_ns: u64) -> Result<(), Gone> {
        let answer = DaemonAnswer { dp: Some(ask.dp), ufid: ask.ufid, sf_acts: ask.sf_acts, query, answer, took_ns };
        self.tell(Body::DaemonAnswer(Box::new(answer))).await
    }
}

/// The service at a rate of 0: says so, and nothing else.
async fn decline<C: Fn() -> Nanos>(mut asks: mpsc::Receiver<Question>, teller: &Teller<C>) -> Result<Infallible, Gone> {
    let why = DaemonState::NOT_ASKED;
    teller.tell(Body::Daemon(DaemonState::Down { why: why.to_owned() })).await?;
    loop {
        select! {
            () = teller.out.closed() => return Err(Gone),
            Some(question) = asks.recv() => match question {
                Question::Flow(ask) => {
                    for query in QUERIES {
                        teller.answer(&ask, query, Err(why.to_owned()), 0).await?;
                    }
                }
                Question::Trace(ask) => teller.trace(&ask, Err(why.to_owned()), 0).await?,
            },
        }
    }
}

struct Service<C> {
    config: Config,
    asks: mpsc::Receiver<Question>,
    teller: Teller<C>,
    throttle: Throttle,
    link: Link,
    backoff: Backoff,
    /// Why the daemon does not answer, as it was told; none while it does or when nothing is known yet.
    down: Option<String>,
    wanted: Option<Wanted>,
    /// An ask that came during a request.
    newest: Option<Ask>,
    /// What the daemon with this process id said of how upcalls find a handler.
    dispatch: (Option<u32>, BTreeMap<String, String>),
    traces: Traces,
    /// Those that came during a request.
    new_traces: Vec<AskTrace>,
    answers: Answers,
}

/// The connection.
enum Link {
    /// There is none; it is looked for then.
    Down { retry: Instant },
    /// There is one.
    Up(Box<Connected>),
}

struct Connected {
    client: Client,
    daemon: Daemon,
    /// What the last `version` took, in nanoseconds.
    round_trip_ns: u64,
    /// When `version` is to be asked next.
    version_due: Instant,
    /// When it is to be asked for its figures next.
    figures_due: Instant,
    /// What `upcall/show` said, while `coverage/show` is still to be asked.
    udpifs: Option<Vec<UdpifFigures>>,
    /// Whether the last request was answered in time, and the daemon is known: only then it is asked about flows.
    well: bool,
    /// Since when a reply is owed, as far as a deadline has passed over it.
    owed_since: Option<Instant>,
    /// Whether get-flow must name the datapath.
    several_datapaths: bool,
}

/// What is to be done next. Each is one request at most, so nothing gets past the throttle.
#[derive(Debug, Clone, Copy)]
enum Step {
    Connect,
    Version,
    Commands,
    Ask(Query),
    Trace,
    Figures,
}

enum Woken {
    Time,
    Asked,
    Link(Result<(), CallError>),
}

impl<C: Fn() -> Nanos> Service<C> {
    async fn run(mut self) -> Result<Infallible, Gone> {
        loop {
            let (when, step) = self.next_step();
            match self.wait(when).await? {
                Woken::Time => match step {
                    Step::Connect => self.connect().await?,
                    Step::Version => self.ask_version().await?,
                    Step::Commands => self.ask_commands().await?,
                    Step::Ask(query) => self.ask_about_flow(query).await?,
                    Step::Trace => self.ask_trace().await?,
                    Step::Figures => self.ask_figures().await?,
                },
                Woken::Asked => {}
                Woken::Link(Ok(())) => {
                    if let Link::Up(link) = &mut self.link {
                        link.version_due = Instant::now();
                    }
                }
                Woken::Link(Err(error)) => self.failed(&error).await?,
            }
            if let Some(ask) = self.newest.take() {
                self.want(ask).await?;
            }
            for ask in std::mem::take(&mut self.new_traces) {
                self.want_trace(ask).await?;
            }
        }
    }

    fn next_step(&self) -> (Instant, Step) {
        let link = match &self.link {
            Link::Down { retry } => return (*retry, Step::Connect),
            Link::Up(link) => link,
        };
        let ready = self.throttle.ready();
        let greet = if link.daemon.version.is_empty() || link.daemon.is_known() {
            (link.version_due.max(ready), Step::Version)
        } else {
            (ready, Step::Commands)
        };
        if !link.well {
            return greet;
        }
        let ask = self.wanted.as_ref().and_then(Wanted::next_due);
        let ask = ask.map(|(due, query)| (due.max(ready), Step::Ask(query)));
        // Of those due at one time the first: what somebody waits for goes before what is only counted.
        let trace = self.traces.next_due().map(|due| (due.max(ready), Step::Trace));
        let steps = [Some(greet), ask, trace, Some((link.figures_due.max(ready), Step::Figures))];
        steps.into_iter().flatten().min_by_key(|(due, _)| *due).unwrap_or(greet)
    }

    async fn wait(&mut self, when: Instant) -> Result<Woken, Gone> {
        let Self { link, asks, teller, newest, new_traces, .. } = self;
        let watch = async {
            match link {
                Link::Up(link) => link.client.watch().await,
                Link::Down { .. } => std::future::pending().await,
            }
        };
        select! {
            biased;
            () = teller.out.closed() => Err(Gone),
            Some(question) = asks.recv() => {
                take(question, newest, new_traces);
                while let Ok(newer) = asks.try_recv() {
                    take(newer, newest, new_traces);
                }
                Ok(Woken::Asked)
            }
            happened = watch => Ok(Woken::Link(happened)),
            () = sleep_until(when) => Ok(Woken::Time),
        }
    }

    /// Sends one request and takes asks meanwhile. Gives the answer and the nanoseconds it took.
    async fn request(&mut self, command: &Command) -> Result<(Result<String, CallError>, u64), Gone> {
        let Self { link: Link::Up(link), asks, teller, throttle, newest, new_traces, config, .. } = self else {
            unreachable!("a request is a step of a connection");
        };
        throttle.spend(Instant::now());
        let begin = (teller.clock)();
        let call = link.client.call(command, config.deadline);
        tokio::pin!(call);
        let result = loop {
            select! {
                biased;
                () = teller.out.closed() => return Err(Gone),
                result = &mut call => break result,
                Some(question) = asks.recv() => take(question, newest, new_traces),
            }
        };
        Ok((result, (teller.clock)().saturating_sub(begin)))
    }

    async fn connect(&mut self) -> Result<(), Gone> {
        match self.config.search.find().await {
            Ok(found) => {
                self.link = Link::Up(Box::new(Connected {
                    client: Client::new(found),
                    daemon: Daemon::default(),
                    round_trip_ns: 0,
                    version_due: Instant::now(),
                    figures_due: Instant::now(),
                    udpifs: None,
                    well: false,
                    owed_since: None,
                    several_datapaths: false,
                }));
                Ok(())
            }
            Err(error) => {
                self.link = Link::Down { retry: Instant::now() + self.backoff.next_wait() };
                self.tell_down(error.to_string()).await
            }
        }
    }

    async fn ask_version(&mut self) -> Result<(), Gone> {
        let (result, took_ns) = self.request(&Command::Version).await?;
        let text = match result {
            Ok(text) => text,
            Err(error) => return self.failed(&error).await,
        };
        let Link::Up(link) = &mut self.link else { return Ok(()) };
        link.round_trip_ns = took_ns;
        link.version_due = Instant::now() + self.config.health;
        if link.daemon.is_known() {
            return self.tell_up().await;
        }
        link.daemon = Daemon::new(&text);
        if link.daemon.version.is_empty() {
            let (path, why) = (link.client.path().to_owned(), "an empty version".to_owned());
            return self.failed(&CallError::Strange { path, why }).await;
        }
        Ok(())
    }

    async fn ask_commands(&mut self) -> Result<(), Gone> {
        let (result, _) = self.request(&Command::ListCommands).await?;
        let listed = match &result {
            Ok(text) => Some(text.as_str()),
            Err(CallError::Refused { .. }) => None,
            Err(error) => return self.failed(error).await,
        };
        if let Link::Up(link) = &mut self.link {
            link.daemon.learn_commands(listed);
        }
        // Another daemon perhaps, with other rules: what the last one said does not hold.
        self.answers.clear();
        self.wanted = self.wanted.take().map(|wanted| Wanted::new(wanted.ask, Instant::now()));
        self.tell_up().await?;
        for query in QUERIES {
            self.tell_if_it_cannot(query).await?;
        }
        self.tell_if_it_cannot_trace().await
    }

    /// A request failed, or the connection did.
    async fn failed(&mut self, error: &CallError) -> Result<(), Gone> {
        let now = Instant::now();
        let later = now + self.backoff.next_wait();
        match &mut self.link {
            // It may answer yet, and then `watch` says so at once.
            Link::Up(link) if !error.ends_connection() && now - link.owed_since.unwrap_or(now) < OWED_MOST => {
                link.well = false;
                link.owed_since.get_or_insert(now);
                link.version_due = later;
            }
            link => *link = Link::Down { retry: later },
        }
        self.tell_down(error.to_string()).await
    }

    async fn tell_up(&mut self) -> Result<(), Gone> {
        let Link::Up(link) = &mut self.link else { return Ok(()) };
        link.well = true;
        link.owed_since = None;
        self.down = None;
        self.backoff.reset();
        let state = DaemonState::Up {
            pid: link.client.pid(),
            version: link.daemon.version.clone(),
            round_trip_ns: link.round_trip_ns,
            missing: link.daemon.missing(),
        };
        self.teller.tell(Body::Daemon(state)).await
    }

    /// Says that the daemon does not answer, and to each open question that it has to wait. Each only once.
    async fn tell_down(&mut self, why: String) -> Result<(), Gone> {
        if self.down.as_ref() != Some(&why) {
            self.teller.tell(Body::Daemon(DaemonState::Down { why: why.clone() })).await?;
        }
        if let Some(wanted) = &mut self.wanted {
            for query in QUERIES {
                let question = wanted.question(query);
                if question.due.is_some() && question.told.as_ref() != Some(&why) {
                    question.told = Some(why.clone());
                    self.teller.answer(&wanted.ask, query, Err(why.clone()), 0).await?;
                }
            }
        }
        self.down = Some(why);
        self.tell_traces_wait().await
    }
}

/// Keeps a question until there is time for it: about flows the newest, and each trace.
fn take(question: Question, newest: &mut Option<Ask>, traces: &mut Vec<AskTrace>) {
    match question {
        Question::Flow(ask) => *newest = Some(ask),
        Question::Trace(ask) => traces.push(*ask),
    }
}
