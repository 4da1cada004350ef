//! The service's part about flows: what is asked, in which form, how long an answer holds, and what is asked again.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::{Nanos, Query};

use super::super::{
    Ask, CallError, Command, FlowPlace, Word,
    daemon::{explain_refusal, judge, wants_datapath, wrong_datapath},
    wanted::{Kept, QUERIES, Wanted},
};
use super::{Gone, Link, Service};

/// How long get-flow's text holds: it has the flow's counts in it, which age.
const FLOW_HOLDS: Duration = Duration::from_secs(5);
/// How long the rules of one generation hold: the flow's own generation says most of it, their counts the rest.
const RULES_HOLD: Duration = Duration::from_secs(60);
/// How long a refusal holds.
const REFUSAL_HOLDS: Duration = Duration::from_secs(2);

impl<C: Fn() -> Nanos> Service<C> {
    pub(super) async fn ask_about_flow(&mut self, query: Query) -> Result<(), Gone> {
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
    pub(super) async fn want(&mut self, ask: Ask) -> Result<(), Gone> {
        let now = Instant::now();
        let mut wanted = match self.wanted.take() {
            Some(same) if same.ask == ask => same,
            _ => Wanted::new(ask.clone(), now),
        };
        for query in QUERIES {
            let question = wanted.question(query);
            // What an open question waits for, if that was said before or the daemon does not answer at all.
            let waits =
                if question.due.is_some() { question.told.take().or(self.down.clone()) } else { self.down.clone() };
            if let Some(kept) = self.answers.get(&ask, query, now) {
                question.due = kept.again.then_some(kept.until);
                question.told = kept.answer.as_ref().err().cloned();
                self.teller.answer(&ask, query, kept.answer, kept.took_ns).await?;
            } else if let Some(why) = waits {
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
    pub(super) async fn tell_if_it_cannot(&mut self, query: Query) -> Result<(), Gone> {
        let (Link::Up(link), Some(wanted)) = (&self.link, &mut self.wanted) else { return Ok(()) };
        let Some(why) = link.daemon.cannot(query) else { return Ok(()) };
        wanted.question(query).due = None;
        self.teller.answer(&wanted.ask, query, Err(why), 0).await
    }
}
