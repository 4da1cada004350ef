//! Totals, rates and metrics: what the kernel side's exact counters sum up to.

use crate::event::{Capability, CapabilityState, Counters, DpIfindex, DpStats, ErrnoCounter, Nanos};

/// What happened since the probes were attached, exactly: the kernel side's counters, summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Lookups in the flow table: hits and misses.
    pub lookups: u64,
    /// Those that found a flow.
    pub hits: u64,
    /// Those that found none.
    pub misses: u64,
    /// Masks tried in all of them.
    pub masks_tried: u64,
    /// Those whose mask came from the mask cache.
    pub cache_hits: u64,
    /// Upcalls, whatever became of them.
    pub upcalls: u64,
    /// Upcalls that `ovs_dp_upcall` failed with: their packets are lost.
    pub upcalls_lost: u64,
    /// Flows put, new or changed, whatever came of it.
    pub puts: u64,
    /// Those that failed.
    pub puts_failed: u64,
    /// Packets given back with actions, whatever came of it.
    pub execs: u64,
    /// Those that failed.
    pub execs_failed: u64,
    /// Flows deleted, or tried to.
    pub dels: u64,
    /// Messages received by handlers.
    pub received: u64,
}

/// The same as [`Totals`], each per second, over the last two seconds of counters or as many as there are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(missing_docs, reason = "each is its namesake in Totals, per second")]
pub struct Rates {
    pub lookups: f64,
    pub hits: f64,
    pub misses: f64,
    pub masks_tried: f64,
    pub cache_hits: f64,
    pub upcalls: f64,
    pub upcalls_lost: f64,
    pub puts: f64,
    pub puts_failed: f64,
    pub execs: f64,
    pub execs_failed: f64,
    pub dels: f64,
    pub received: f64,
    /// Nanoseconds that these are the rates of.
    pub span: Nanos,
}

/// What has a value in every second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is its namesake in Totals")]
pub enum Metric {
    Lookups,
    Hits,
    Misses,
    MasksTried,
    CacheHits,
    Upcalls,
    UpcallsLost,
    Puts,
    PutsFailed,
    Execs,
    ExecsFailed,
    Dels,
    Received,
    /// Flows in all datapaths by the kernel's own count: at the second's end, not per second.
    Flows,
    /// Masks in all datapaths by the kernel's own count: at the second's end, not per second.
    Masks,
}

impl Metric {
    /// The capabilities that count it: without one of them its figure is too low. None where the kernel itself tells.
    pub fn counted_by(self) -> &'static [&'static str] {
        match self {
            Self::Lookups => &["flow_hit", "upcall_return"],
            // What the kernel says of masks is taken with the table that hits were counted in.
            Self::Hits | Self::MasksTried | Self::CacheHits => &["flow_hit"],
            // A miss is counted with its upcall.
            Self::Misses | Self::Upcalls | Self::UpcallsLost => &["upcall_return"],
            Self::Puts | Self::PutsFailed => &["flow_put"],
            Self::Execs | Self::ExecsFailed => &["flow_exec"],
            Self::Dels => &["flow_del"],
            Self::Received => &["upcall_recv"],
            Self::Flows | Self::Masks => &[],
        }
    }

    /// Which of these capabilities keeps it from being counted: the first that counts it and is missing or off.
    pub(super) fn uncounted(self, capabilities: &[Capability]) -> Option<&Capability> {
        let is_off = |c: &Capability| matches!(c.state, CapabilityState::Missing | CapabilityState::Off);
        capabilities.iter().find(|c| is_off(c) && self.counted_by().contains(&c.name.as_str()))
    }
}

/// One datapath's figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DatapathRow {
    /// The datapath; 0 for lookups in tables whose datapath is not known.
    pub dp: DpIfindex,
    /// Lookups that hit since the probes were attached.
    pub hits: u64,
    /// Lookups that missed.
    pub misses: u64,
    /// Masks tried.
    pub masks_tried: u64,
    /// Lookups whose mask came from the cache.
    pub cache_hits: u64,
    /// Hits per second, over the last second or two.
    pub hit_rate: f64,
    /// Misses per second, over the last second or two.
    pub miss_rate: f64,
    /// The kernel's own counts since the datapath was made, as last read (once a second).
    pub kernel: Option<DpStats>,
    /// The kernel's own counts since the session began: `n_hit`, `n_missed` and `n_lost` as what was added;
    /// `n_flows` and `n_masks` as they are.
    pub kernel_delta: Option<DpStats>,
}

/// Seconds that a series goes back.
pub const SERIES_SECONDS: usize = 600;
/// How many of the [`Metric`]s are counted; the two that are not come after them.
pub const COUNTED: usize = Metric::Flows as usize;
/// One value for each counted metric.
pub type Values = [u64; COUNTED];

/// The values of a reading.
pub fn values_of(counters: &Counters) -> Values {
    let sum = |of: &[ErrnoCounter], failed: bool| {
        of.iter().filter(|c| !failed || c.ret != 0).fold(0u64, |sum, c| sum.saturating_add(c.count))
    };
    let mut values = Values::default();
    let mut add = |metric: Metric, n: u64| {
        let value = &mut values[metric as usize];
        *value = value.saturating_add(n);
    };
    for dp in &counters.datapaths {
        add(Metric::Lookups, dp.hits.saturating_add(dp.misses));
        add(Metric::Hits, dp.hits);
        add(Metric::Misses, dp.misses);
        add(Metric::MasksTried, dp.mask_hits);
        add(Metric::CacheHits, dp.cache_hits);
    }
    for upcall in &counters.upcalls {
        add(Metric::Upcalls, upcall.count);
        add(Metric::UpcallsLost, if upcall.ret == 0 { 0 } else { upcall.count });
    }
    add(Metric::Puts, sum(&counters.puts, false));
    add(Metric::PutsFailed, sum(&counters.puts, true));
    add(Metric::Execs, sum(&counters.execs, false));
    add(Metric::ExecsFailed, sum(&counters.execs, true));
    add(Metric::Dels, sum(&counters.dels, false));
    add(Metric::Received, counters.received);
    values
}

impl From<Values> for Totals {
    fn from(values: Values) -> Self {
        let of = |metric: Metric| values[metric as usize];
        Self {
            lookups: of(Metric::Lookups),
            hits: of(Metric::Hits),
            misses: of(Metric::Misses),
            masks_tried: of(Metric::MasksTried),
            cache_hits: of(Metric::CacheHits),
            upcalls: of(Metric::Upcalls),
            upcalls_lost: of(Metric::UpcallsLost),
            puts: of(Metric::Puts),
            puts_failed: of(Metric::PutsFailed),
            execs: of(Metric::Execs),
            execs_failed: of(Metric::ExecsFailed),
            dels: of(Metric::Dels),
            received: of(Metric::Received),
        }
    }
}
