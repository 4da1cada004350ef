//! The service's part about traces.

use tokio::time::Instant;

use crate::event::{Body, DaemonTrace, Event, Nanos};

use super::super::{AskTrace, CallError, Command, Word};
use super::{Gone, Link, Service, Teller};

impl<C: Fn() -> Nanos> Teller<C> {
    pub(super) async fn trace(&self, ask: &AskTrace, answer: Result<String, String>, took_ns: u64) -> Result<(), Gone> {
        let AskTrace { dp, ufid, key, sample_of, packet, .. } = ask;
        let trace = DaemonTrace { dp: *dp, ufid: *ufid, key: key.to_string(), sample_of: *sample_of, answer, took_ns };
        let event = Event { packet: *packet, ..Event::host((self.clock)(), Body::DaemonTrace(Box::new(trace))) };
        self.out.send(vec![event]).await.map_err(|_| Gone)
    }
}

impl<C: Fn() -> Nanos> Service<C> {
    /// A new one to ask for. While the daemon does not answer, that is told at once.
    pub(super) async fn want_trace(&mut self, ask: AskTrace) -> Result<(), Gone> {
        if let Some(gone) = self.traces.add(ask, Instant::now()) {
            let why = "not traced: too many traces wait for ovs-vswitchd, and later ones were asked for".to_owned();
            self.teller.trace(&gone, Err(why), 0).await?;
        }
        self.tell_traces_wait().await?;
        self.tell_if_it_cannot_trace().await
    }

    /// Says to those who were not told yet that they have to wait, where they have to.
    pub(super) async fn tell_traces_wait(&mut self) -> Result<(), Gone> {
        let Some(why) = self.down.clone() else { return Ok(()) };
        for ask in self.traces.untold(&why) {
            self.teller.trace(&ask, Err(why.clone()), 0).await?;
        }
        Ok(())
    }

    /// A daemon that has no such command is not asked.
    pub(super) async fn tell_if_it_cannot_trace(&mut self) -> Result<(), Gone> {
        let Link::Up(link) = &self.link else { return Ok(()) };
        if !link.daemon.lacks("ofproto/trace") {
            return Ok(());
        }
        for ask in self.traces.take() {
            self.teller.trace(&ask, Err("ovs-vswitchd has no ofproto/trace".to_owned()), 0).await?;
        }
        Ok(())
    }

    pub(super) async fn ask_trace(&mut self) -> Result<(), Gone> {
        let Some(ask) = self.traces.next().map(|waiting| waiting.ask.clone()) else { return Ok(()) };
        let command = Command::Trace { datapath: Word::new(&ask.datapath).ok(), key: ask.key.clone() };
        let (result, took_ns) = self.request(&command).await?;
        let answer = match result {
            Ok(text) => Ok(text),
            Err(CallError::Refused { text, .. }) => Err(format!("ovs-vswitchd traces no such packet: {}", text.trim())),
            Err(error) => {
                if !self.traces.again(&ask, Instant::now()) {
                    self.teller.trace(&ask, Err(error.to_string()), took_ns).await?;
                }
                return self.failed(&error).await;
            }
        };
        self.traces.done(&ask);
        self.teller.trace(&ask, answer, took_ns).await
    }
}
