//! The service's part about the daemon itself: what it counts, every few seconds, in two requests.

use tokio::time::Instant;

use crate::event::{Body, DaemonFigures, Nanos};

use super::super::{
    CallError, Command,
    figures::{coverage, udpifs},
};
use super::{Gone, Link, Service};

impl<C: Fn() -> Nanos> Service<C> {
    /// The first of the two, or the second and the telling. What the daemon has no
    /// command for is left empty.
    pub(super) async fn ask_figures(&mut self) -> Result<(), Gone> {
        let Link::Up(link) = &self.link else { return Ok(()) };
        let command = if link.udpifs.is_none() { Command::UpcallShow } else { Command::CoverageShow };
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
        let Some(udpifs) = link.udpifs.take() else {
            link.udpifs = Some(udpifs(&text));
            return Ok(());
        };
        link.figures_due = Instant::now() + self.config.figures;
        let figures = DaemonFigures { pid: link.client.pid(), udpifs, coverage: coverage(&text) };
        self.teller.tell(Body::DaemonFigures(Box::new(figures))).await
    }
}
