//! What rules look at: the figures of the last ten seconds, taken once.

use super::super::{
    Dimension, HandlerRow, Model, Rates, SECOND, Spreads, Stage, Talker, TalkerKey, Window,
    windows::{Matter, Operation},
};
use super::{Culprit, words::part};
use crate::event::{Capability, CapabilityState, DaemonState, DpIfindex, Loss, Nanos, PortNo, UdpifFigures};

/// The figures of the last ten seconds, as of a reading of the counters.
#[derive(Debug)]
pub struct Evidence<'a> {
    pub(super) model: &'a Model,
    pub(super) second: u64,
    /// Per second, over the last two.
    pub(super) rates: Rates,
    /// How the new flows differ.
    pub(super) spreads: Spreads,
    /// Upcalls of the last ten seconds, exact.
    pub(super) upcalls: u64,
    /// Seconds that the counts are of: less than ten at the beginning.
    pub(super) seconds: f64,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(model: &'a Model, second: u64) -> Self {
        let began = model.counted_from.map_or(second, |from| from / SECOND);
        let by_port = model.talkers(Dimension::InPort, 0);
        Self {
            model,
            second,
            rates: model.rates().unwrap_or_default(),
            // Of whole seconds that all that belongs to them has been told of.
            spreads: model.spreads_at(second.saturating_sub(1) * SECOND),
            upcalls: by_port.total,
            seconds: (second.saturating_sub(began) as f64).clamp(1.0, 10.0),
        }
    }

    /// Whether nothing but counters is known of this second: no packet was seen before it is over.
    pub(super) fn by_counters(&self) -> bool {
        self.model.detailed_from.is_none_or(|from| from / SECOND > self.second)
    }

    /// Whether upcalls are followed one by one, as far as is known: then there will be more than counters.
    pub(super) fn follows(&self) -> bool {
        let stands = |c: &Capability| matches!(c.state, CapabilityState::Attached | CapabilityState::Degraded);
        let capabilities = self.model.capabilities();
        capabilities.is_empty() || capabilities.iter().any(|c| c.name == "upcall" && stands(c))
    }

    pub(super) fn now(&self) -> Nanos {
        self.second.saturating_mul(SECOND)
    }

    /// Upcalls per second that were seen in detail and are about this, over ten seconds; scaled up to all upcalls where
    /// not all were seen.
    pub(super) fn matter(&self, matter: Matter) -> f64 {
        self.share(matter) * self.per_second(self.upcalls)
    }

    /// The part that this is of the upcalls seen in detail.
    pub(super) fn share(&self, matter: Matter) -> f64 {
        let all = self.model.matters.count(Matter::Any, self.second);
        part(self.model.matters.count(matter, self.second), all)
    }

    pub(super) fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds
    }

    /// Operations that came to this errno, over ten seconds.
    pub(super) fn outcomes(&self, operation: Operation) -> Vec<(i32, u64)> {
        self.model.outcomes.of(operation, self.second).collect()
    }

    /// Upcalls of ten seconds that failed with this errno.
    pub(super) fn failed(&self, errno: i32) -> u64 {
        let all = self.model.talkers(Dimension::Errno, usize::MAX).top;
        all.iter().find(|talker| talker.key == TalkerKey::Errno(-errno)).map_or(0, |talker| talker.count)
    }

    /// The biggest talker of a dimension.
    pub(super) fn top(&self, dimension: Dimension) -> Option<Talker> {
        self.model.talkers(dimension, 1).top.first().copied().filter(|talker| talker.count > 0)
    }

    /// The port that makes most upcalls: as a culprit, its name, and its part of them.
    pub(super) fn top_port(&self) -> Option<(Culprit, String, f64)> {
        let talker = self.top(Dimension::InPort)?;
        let TalkerKey::Port(dp, port) = talker.key else { return None };
        Some((Culprit::Port(dp, port), self.port(dp, port), talker.share))
    }

    pub(super) fn port(&self, dp: DpIfindex, port: PortNo) -> String {
        self.model.port_name(dp, port).map_or_else(|| format!("port {}", port.0), str::to_owned)
    }

    /// What one of the daemon's counters grows by per second; 0 where nothing is known.
    pub(super) fn coverage(&self, counter: &str) -> f64 {
        self.model.told.grown(counter, self.now().saturating_add(SECOND)).map_or(0.0, |(_, rate)| rate)
    }

    pub(super) fn udpifs(&self) -> &'a [UdpifFigures] {
        self.model.told.udpifs(self.now().saturating_add(SECOND))
    }

    /// How the upcalls of the port that makes most find a handler, and what that means; none where the daemon did not
    /// tell.
    pub(super) fn dispatch(&self) -> Option<String> {
        let (Culprit::Port(dp, _), ..) = self.top_port()? else { return None };
        let name = &self.model.datapath(dp)?.name;
        let mode = self.model.told.dispatch(name)?;
        let means = match mode {
            "per-cpu" => ": all upcalls of a CPU go to one handler",
            "per-vport" => ": all upcalls of a port go to one socket, which handlers take from in turn",
            _ => "",
        };
        Some(format!("{name} is in {mode} dispatch mode{means}"))
    }

    pub(super) fn handlers(&self) -> Vec<HandlerRow> {
        self.model.handlers()
    }

    /// 99 % of a stage of the last ten seconds took at most this.
    pub(super) fn p99(&self, stage: Stage) -> Option<Nanos> {
        self.model.latency(stage, Window::Last10).map(|of| of.p99)
    }

    /// Whether the daemon was asked and does not answer.
    pub(super) fn is_daemon_down(&self) -> bool {
        matches!(self.model.daemon(), Some(DaemonState::Down { why }) if why != DaemonState::NOT_ASKED)
    }

    /// The datapath of the port that makes most upcalls, where the daemon answers and does not have it.
    pub(super) fn without_daemon(&self) -> Option<&'a str> {
        let (Some(DaemonState::Up { .. }), [_, ..]) = (self.model.daemon(), self.udpifs()) else { return None };
        let (Culprit::Port(dp, _), ..) = self.top_port()? else { return None };
        let name = self.model.datapath(dp)?.name.as_str();
        let is_its = |udpif: &UdpifFigures| udpif.name.split_once('@').is_some_and(|(_, of)| of == name);
        (!self.udpifs().iter().any(is_its)).then_some(name)
    }

    pub(super) fn loss(&self) -> &Loss {
        self.model.loss()
    }

    /// What makes figures of the upcalls seen in detail less than sure.
    pub(super) fn sampled(&self) -> Option<String> {
        let are = self.loss().upcalls_are()?;
        Some(format!("upcalls seen in detail are {are}: what is said of packets is of a part of them"))
    }
}
