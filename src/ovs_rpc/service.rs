//! The service: keeps a connection, and turns what is asked into events, one request after another.

use std::{
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

use crate::event::{Body, DaemonAnswer, DaemonState, Event, Nanos, Query};

use super::{
    Ask, CallError, Client, Command, Config, FlowPlace, Word,
    daemon::{Daemon, explain_refusal, judge, wants_datapath, wrong_datapath},
    pace::{Backoff, Throttle},
    wanted::{Answers, Kept, QUERIES, Wanted},
};

/// Answers that are kept: some screens full of flows.
const ANSWERS_KEPT: NonZeroUsize = NonZeroUsize::new(512).expect("not 0");
/// How long get-flow's text holds: it has the flow's counts in it, which age.
const FLOW_HOLDS: Duration = Duration::from_secs(5);
/// How long the rules of one generation hold: the flow's own generation says most of it, their counts the rest.
const RULES_HOLD: Duration = Duration::from_secs(60);
/// How long a refusal holds.
const REFUSAL_HOLDS: Duration = Duration::from_secs(2);
/// The socket is looked for again after this, twice this, …
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// … up to this.
const RETRY_MOST: Duration = Duration::from_secs(5);

/// Starts the service on the present tokio runtime. It ends when `out` is closed; when `asks` is, it goes on telling
/// how the daemon is. Only the newest ask counts: an older one that is not finished is given up, so a small channel
/// will do. Every ask gets a [`Body::DaemonAnswer`] for each [`Query`], a failure too; an answer that still holds is
/// told again without asking (get-flow's at most 5 s old, detrace's 60 s). `clock` is the traced host's monotonic one.
pub fn spawn<C>(config: Config, asks: mpsc::Receiver<Ask>, out: mpsc::Sender<Vec<Event>>, clock: C) -> JoinHandle<()>
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
        let answer = DaemonAnswer { ufid: ask.ufid, sf_acts: ask.sf_acts, query, answer, took_ns };
        self.tell(Body::DaemonAnswer(Box::new(answer))).await
    }
}

/// The service at a rate of 0: says so, and nothing else.
async fn decline<C: Fn() -> Nanos>(mut asks: mpsc::Receiver<Ask>, teller: &Teller<C>) -> Result<Infallible, Gone> {
    let why = "ovs-vswitchd is not asked anything: the rate is 0. What to do: give --rpc-rate another number";
    teller.tell(Body::Daemon(DaemonState::Down { why: why.to_owned() })).await?;
    loop {
        select! {
            () = teller.out.closed() => return Err(Gone),
            Some(ask) = asks.recv() => for query in QUERIES {
                teller.answer(&ask, query, Err(why.to_owned()), 0).await?;
            },
            else => return Err(Gone),
        }
    }
}

struct Service<C> {
    config: Config,
    asks: mpsc::Receiver<Ask>,
    teller: Teller<C>,
    throttle: Throttle,
    link: Link,
    backoff: Backoff,
    /// Why the daemon does not answer, as it was told; none while it does or when nothing is known yet.
    down: Option<String>,
    wanted: Option<Wanted>,
    /// An ask that came during a request.
    newest: Option<Ask>,
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
    /// Whether the last request was answered in time, and the daemon is known: only then it is asked about flows.
    well: bool,
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
}

enum Woken {
    Time,
    Ask(Ask),
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
                },
                Woken::Ask(ask) => self.newest = Some(ask),
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
        match self.wanted.as_ref().filter(|_| link.well).and_then(Wanted::next_due) {
            Some((due, query)) if due.max(ready) < greet.0 => (due.max(ready), Step::Ask(query)),
            _ => greet,
        }
    }

    async fn wait(&mut self, when: Instant) -> Result<Woken, Gone> {
        let Self { link, asks, teller, .. } = self;
        let watch = async {
            match link {
                Link::Up(link) => link.client.watch().await,
                Link::Down { .. } => std::future::pending().await,
            }
        };
        select! {
            biased;
            () = teller.out.closed() => Err(Gone),
            Some(mut ask) = asks.recv() => {
                while let Ok(newer) = asks.try_recv() {
                    ask = newer;
                }
                Ok(Woken::Ask(ask))
            }
            happened = watch => Ok(Woken::Link(happened)),
            () = sleep_until(when) => Ok(Woken::Time),
        }
    }

    /// Sends one request and takes asks meanwhile. Gives the answer and the nanoseconds it took.
    async fn request(&mut self, command: &Command) -> Result<(Result<String, CallError>, u64), Gone> {
        let Self { link: Link::Up(link), asks, teller, throttle, newest, config, .. } = self else {
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
                Some(ask) = asks.recv() => *newest = Some(ask),
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
                    well: false,
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
        Ok(())
    }

    async fn ask_about_flow(&mut self, query: Query) -> Result<(), Gone> {
        let (Link::Up(link), Some(wanted)) = (&self.link, &self.wanted) else { return Ok(()) };
        let (ask, ufid) = (wanted.ask.clone(), wanted.ask.ufid);
        let name = Word::new(&ask.datapath).ok();
        let command = match (query, name.clone().filter(|_| link.several_datapaths)) {
            (Query::GetFlow, Some(name)) => Command::GetFlow { place: FlowPlace::Datapath(name), ufid },
            (Query::GetFlow, None) => Command::GetFlow { place: FlowPlace::OnlyDatapath, ufid },
            (Query::Detrace, _) => Command::Detrace { ufid, pmd: link.daemon.detrace_pmd() },
        };
        let (result, took_ns) = self.request(&command).await?;
        match result {
            Ok(text) => self.finish(&ask, query, judge(query, text), took_ns).await,
            Err(CallError::Refused { text, .. }) => {
                if self.try_the_other_form(&command, &text, name.is_some()) {
                    return Ok(());
                }
                let why = if wants_datapath(&text) {
                    "ovs-vswitchd has several datapaths, and the name of this flow's is not known".to_owned()
                } else {
                    explain_refusal(query, &text)
                };
                self.refused(&ask, query, why, took_ns).await
            }
            Err(error) => {
                if let Some(wanted) = &mut self.wanted {
                    wanted.question(query).ask_again(Instant::now());
                }
                self.failed(&error).await
            }
        }
    }

    /// Whether get-flow, so refused, is worth asking in the other of its two forms, once for each flow.
    fn try_the_other_form(&mut self, command: &Command, refusal: &str, named: bool) -> bool {
        let (Link::Up(link), Some(wanted), Command::GetFlow { place, .. }) =
            (&mut self.link, &mut self.wanted, command)
        else {
            return false;
        };
        let other = match place {
            FlowPlace::OnlyDatapath => wants_datapath(refusal),
            FlowPlace::Datapath(_) => wrong_datapath(refusal),
        };
        if other {
            link.several_datapaths = *place == FlowPlace::OnlyDatapath;
        }
        other && named && !std::mem::replace(&mut wanted.fell_back, true)
    }

    /// The daemon answered: tells it, and asks again later what it could not say yet.
    async fn finish(
        &mut self,
        ask: &Ask,
        query: Query,
        answer: Result<String, String>,
        took_ns: u64,
    ) -> Result<(), Gone> {
        let now = Instant::now();
        let Some(wanted) = &mut self.wanted else { return Ok(()) };
        let question = wanted.question(query);
        let holds = match query {
            Query::GetFlow => FLOW_HOLDS,
            Query::Detrace => RULES_HOLD,
        };
        let until = if answer.is_ok() {
            question.due = None;
            now + holds
        } else {
            question.ask_again(now);
            question.due.unwrap_or(now)
        };
        let told = answer.as_ref().err().cloned();
        let news = told.is_none() || question.told != told;
        question.told = told;
        self.answers.put(ask, query, Kept { answer: answer.clone(), took_ns, until, again: answer.is_err() });
        if news { self.teller.answer(ask, query, answer, took_ns).await } else { Ok(()) }
    }

    /// The daemon refused: tells why, and asks no more unless the flow is asked for again.
    async fn refused(&mut self, ask: &Ask, query: Query, why: String, took_ns: u64) -> Result<(), Gone> {
        if let Some(wanted) = &mut self.wanted {
            wanted.question(query).due = None;
        }
        let until = Instant::now() + REFUSAL_HOLDS;
        self.answers.put(ask, query, Kept { answer: Err(why.clone()), took_ns, until, again: false });
        self.teller.answer(ask, query, Err(why), took_ns).await
    }

    /// A new ask: what is known is told at once, the rest is due.
    async fn want(&mut self, ask: Ask) -> Result<(), Gone> {
        let now = Instant::now();
        let mut wanted = match self.wanted.take() {
            Some(same) if same.ask == ask => same,
            _ => Wanted::new(ask.clone(), now),
        };
        for query in QUERIES {
            let question = wanted.question(query);
            let down = self.down.as_ref().filter(|_| question.told.is_none());
            if let Some(kept) = self.answers.get(&ask, query, now) {
                question.due = kept.again.then_some(kept.until);
                question.told = kept.answer.as_ref().err().cloned();
                self.teller.answer(&ask, query, kept.answer, kept.took_ns).await?;
            } else if let Some(why) = question.told.as_ref().or(down).cloned() {
                question.told = Some(why.clone());
                question.due = question.due.or(Some(now));
                self.teller.answer(&ask, query, Err(why), 0).await?;
            } else {
                question.due = question.due.or(Some(now));
            }
        }
        self.wanted = Some(wanted);
        for query in QUERIES {
            self.tell_if_it_cannot(query).await?;
        }
        Ok(())
    }

    /// A question that this daemon has no command for is answered without asking.
    async fn tell_if_it_cannot(&mut self, query: Query) -> Result<(), Gone> {
        let (Link::Up(link), Some(wanted)) = (&self.link, &mut self.wanted) else { return Ok(()) };
        let Some(why) = link.daemon.cannot(query) else { return Ok(()) };
        wanted.question(query).due = None;
        self.teller.answer(&wanted.ask, query, Err(why), 0).await
    }

    /// A request failed, or the connection did.
    async fn failed(&mut self, error: &CallError) -> Result<(), Gone> {
        let later = Instant::now() + self.backoff.next_wait();
        match &mut self.link {
            // It may answer yet, and then `watch` says so at once.
            Link::Up(link) if !error.ends_connection() => {
                link.well = false;
                link.version_due = later;
            }
            link => *link = Link::Down { retry: later },
        }
        self.tell_down(error.to_string()).await
    }

    async fn tell_up(&mut self) -> Result<(), Gone> {
        let Link::Up(link) = &mut self.link else { return Ok(()) };
        link.well = true;
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
        Ok(())
    }
}
