//! The service's part about the daemon itself: what it counts, every few seconds, in two requests; and, once, how upcalls
//! find a handler.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::event::{Body, DaemonFigures, Nanos};

use super::super::{
    CallError, Command,
    figures::{coverage, dispatch, udpifs},
};
use super::{Gone, Link, Service};

impl<C: Fn() -> Nanos> Service<C> {
    /// The next of them, with the telling behind the last. What the daemon has no command for is left empty.
    pub(super) async fn ask_figures(&mut self) -> Result<(), Gone> {
        let Link::Up(link) = &self.link else { return Ok(()) };
        let pid = link.client.pid();
        let command = match &link.udpifs {
            None => Command::UpcallShow,
            // The mode is of the daemon's start. Asked for once, whatever comes of it.
            Some(udpifs) if self.dispatch.0 != Some(pid) && udpifs.iter().any(|of| of.name.starts_with("system@")) => {
                self.dispatch = (Some(pid), BTreeMap::new());
                Command::DispatchMode
            }
            Some(_) => Command::CoverageShow,
        };
        let text = if link.daemon.lacks(command.name()) {
            String::new()
        } else {
            match self.request(&command).await?.0 {
                Ok(text) => text,
                Err(CallError::Refused { .. }) => String::new(),
                Err(error) => return self.failed(&error).await,
            }
        };
        let Link::Up(link) = &mut self.link else { return Ok(()) };
        match command {
            Command::UpcallShow => link.udpifs = Some(udpifs(&text)),
            Command::DispatchMode => self.dispatch.1 = dispatch(&text),
            _ => return self.tell_figures(pid, &text).await,
        }
        Ok(())
    }

    async fn tell_figures(&mut self, pid: u32, coverage_show: &str) -> Result<(), Gone> {
        let Link::Up(link) = &mut self.link else { return Ok(()) };
        link.figures_due = Instant::now() + self.config.figures;
        let udpifs = link.udpifs.take().unwrap_or_default();
        let (coverage, dispatch) = (coverage(coverage_show), self.dispatch.1.clone());
        let figures = DaemonFigures { pid, udpifs, coverage, dispatch };
        self.teller.tell(Body::DaemonFigures(Box::new(figures))).await
    }
}
