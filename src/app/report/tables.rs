//! What a report takes from the model as it is when the recording ends.

use super::facts::{
    Datapath, DropCount, Flow, Handler, InPort, Lives, Missing, Returned, Revalidators, StageTimes, Stages,
};
use crate::{
    event::{DpIfindex, Query},
    model::{self, FlowSort, Model, Stage, Window},
    ui::{label, losses},
};

/// Rows of each table.
pub const ROWS: usize = 10;

fn datapath_name(model: &Model, dp: DpIfindex) -> String {
    model.datapath(dp).map_or_else(|| format!("datapath {}", dp.0), |datapath| datapath.name.clone())
}

/// The datapaths.
pub fn datapaths(model: &Model) -> Vec<Datapath> {
    let row = |row: model::DatapathRow| Datapath {
        dp: row.dp.0,
        name: datapath_name(model, row.dp),
        ports: model.datapath(row.dp).map_or(0, |datapath| datapath.ports.len()),
        flows: row.kernel.map(|kernel| kernel.n_flows),
        masks: row.kernel.map(|kernel| kernel.n_masks),
        hits: row.hits,
        misses: row.misses,
        masks_tried: row.masks_tried,
        cache_hits: row.cache_hits,
    };
    model.datapath_rows().into_iter().map(row).collect()
}

/// How long the stages of upcalls took.
pub fn stages(model: &Model) -> Stages {
    let of = if model.counts_stages() { "all" } else { model.loss().upcalls_are().unwrap_or("seen") };
    let times = |stage: Stage| {
        let p = model.latency(stage, Window::Session)?;
        Some(StageTimes { stage: stage.name(), upcalls: p.count, p50: p.p50, p90: p.p90, p99: p.p99, max: p.max })
    };
    Stages { of, stages: Stage::ALL.into_iter().filter_map(times).collect() }
}

/// The ports by their upcalls.
pub fn in_ports(model: &Model) -> Vec<InPort> {
    let mut rows = model.ports();
    let all = |row: &model::PortRow| row.misses.saturating_add(row.actions).saturating_add(row.others);
    rows.retain(|row| all(row) > 0);
    rows.sort_by_key(|row| (std::cmp::Reverse(all(row)), row.dp, row.port));
    rows.truncate(ROWS);
    rows.into_iter()
        .map(|row| InPort {
            port: label::port(model, Some(row.dp), row.port),
            datapath: datapath_name(model, row.dp),
            misses: row.misses,
            actions: row.actions,
            others: row.others,
            lost: row.lost,
        })
        .collect()
}

/// The first flows in an order, of those that `keep` holds on to.
pub fn flows(model: &Model, sort: FlowSort, keep: impl Fn(&model::Flow) -> bool) -> Vec<Flow> {
    let keys = model.flow_order(keep, sort, true).keys(0, ROWS);
    keys.into_iter().filter_map(|key| model.flow(key)).map(|flow| flow_of(model, flow)).collect()
}

fn flow_of(model: &Model, flow: &model::Flow) -> Flow {
    let answers = [Query::GetFlow, Query::Detrace].map(|query| model.answer(flow, query).map(|a| &a.answer));
    let said = |answer: Option<&Result<String, String>>| {
        answer.and_then(|answer| answer.as_ref().ok()).map(|text| text.trim().to_owned()).filter(|t| !t.is_empty())
    };
    let no_answer = answers.iter().find_map(|answer| answer.and_then(|answer| answer.as_ref().err()).cloned());
    Flow {
        ufid: flow.ufid.map(|ufid| ufid.to_string()),
        datapath: datapath_name(model, flow.dp),
        hits: flow.hits(),
        bytes: flow.bytes(),
        upcalls: flow.upcalls,
        puts_failed: flow.puts_failed,
        in_port: flow.in_port.map(|port| label::port(model, Some(flow.dp), port)),
        packet: flow.summary.map(|summary| summary.to_string()),
        unused: model.is_unused(flow),
        returned: flow.returned().map(|returned| Returned {
            times: returned.times,
            period: returned.period(),
            gone: returned.gone_each(),
            because: returned.because.map(|reason| reason.to_string()),
        }),
        deleted: flow.deleted.is_some(),
        deleted_because: flow.deleted_because.map(|reason| reason.to_string()),
        dpctl: said(answers[0]),
        openflow: said(answers[1]),
        no_answer,
    }
}

/// How flows came and went.
pub fn lives(model: &Model) -> Lives {
    let model::Lives { returned, returns, gone, put, unused } = model.lives();
    Lives {
        put,
        unused: model.counts_flow_hits().then_some(unused),
        hits_uncounted: model.flow_hits_uncounted(),
        returned,
        returns,
        gone: gone.checked_div(returns),
        at_least: model.loss().upcalls_are().is_some() || model.loss().any(),
    }
}

/// What the datapath dropped.
pub fn drops(model: &Model) -> Vec<DropCount> {
    let row =
        |row: model::DropRow<'_>| DropCount { reason: label::drop_reason(row.reason, row.name), packets: row.count };
    model.drops().into_iter().filter(|drop| drop.count > 0).map(row).collect()
}

/// The handlers.
pub fn handlers(model: &Model) -> Vec<Handler> {
    let row = |row: model::HandlerRow| Handler {
        tid: row.tid,
        comm: row.comm,
        upcalls: row.upcalls,
        lost: row.lost,
        received: row.received,
        batch_mean: row.batch_mean,
        batch_max: row.batch_max,
        runnable_max: row.scheduled.map(|scheduled| scheduled.runnable_max_ns),
    };
    model.handlers().into_iter().map(row).collect()
}

/// What the revalidators did, as far as the daemon told.
pub fn revalidators(model: &Model) -> Option<Revalidators> {
    let known = model.revalidators();
    let (_, last) = known.last.as_ref()?;
    let (rounds, longest) = (known.rounds, known.longest);
    Some(Revalidators { rounds, longest, flows: last.n_flows, deleted: known.deleted() })
}

/// What is missing.
pub fn missing(model: &Model) -> Vec<Missing> {
    let row = |lost| move |(count, what): (u64, &'static str)| Missing { count, what: what.to_owned(), lost };
    let unwanted = losses::unwanted(model.loss()).into_iter().map(row(true));
    let left_out = losses::left_out(model.loss(), &model.evicted()).into_iter().map(row(false));
    unwanted.chain(left_out).filter(|missing| missing.count > 0).collect()
}
