//! A flow whose UFID comes back with new actions is another generation of it, and one of another datapath another flow.

use ovscope::{
    event::{
        Body, Counters, Datapath, DpCounters, DpIfindex, Event, FlowCounter, FlowLookup, FlowOp, FlowPtr, FlowPut,
        Nanos, PortNo, PutKind, Ufid,
    },
    model::{Flow, FlowKey, Generation, Model, SECOND},
};

const DP: DpIfindex = DpIfindex(2);
const UFID: Ufid = Ufid([1, 2, 3, 4]);

fn op(dp: DpIfindex) -> FlowOp {
    FlowOp { dp, ret: 0, ufid: Some(UFID), took_ns: 5, batch_ts: 0, batch_idx: 0, queue_id: 0 }
}

fn put(ts: Nanos, kind: PutKind) -> Event {
    Event::host(ts, Body::FlowPut(FlowPut { kind, op: op(DP) }))
}

fn del(ts: Nanos) -> Event {
    Event::host(ts, Body::FlowDel(op(DP)))
}

fn hit_in(dp: DpIfindex, ts: Nanos, flow: u64, sf_acts: u64) -> Event {
    let (flow, sf_acts) = (Some(FlowPtr(flow)), Some(FlowPtr(sf_acts)));
    let (in_port, ufid) = (Some(PortNo(1)), Some(UFID));
    let lookup = FlowLookup { dp, in_port, recirc_id: 0, flow, sf_acts, ufid, n_mask_hit: 1, n_cache_hit: 0 };
    Event::host(ts, Body::FlowLookup(lookup))
}

fn hit(ts: Nanos, sf_acts: u64) -> Event {
    hit_in(DP, ts, 64, sf_acts)
}

fn counted(ts: Nanos, table: u64, dp: DpIfindex, sf_acts: u64, hits: u64) -> Event {
    let (flow, ufid) = (FlowPtr(64), Some(UFID));
    let flows = vec![FlowCounter { table, flow, sf_acts: FlowPtr(sf_acts), ufid, hits, bytes: None, last: ts }];
    let datapaths = vec![DpCounters { dp, table, ..DpCounters::default() }];
    Event::host(ts, Body::Counters(Box::new(Counters { datapaths, flows, ..Counters::default() })))
}

fn model_of(events: &[Event]) -> Model {
    let mut model = Model::default();
    model.apply_all(events);
    model
}

fn flow(model: &Model) -> &Flow {
    model.flow(FlowKey::Ufid(DP, UFID)).expect("it was seen")
}

#[expect(clippy::unnecessary_wraps, reason = "as a flow tells it")]
fn generation(since: Nanos, sf_acts: Option<u64>, deleted: Option<Nanos>) -> Option<Generation> {
    Some(Generation { since, sf_acts: sf_acts.map(FlowPtr), deleted })
}

#[test]
fn every_put_that_went_well_is_another_generation() {
    let mut model = model_of(&[put(1, PutKind::New), hit(2, 9)]);
    assert_eq!((flow(&model).generations, flow(&model).since, flow(&model).sf_acts), (0, 1, Some(FlowPtr(9))));
    assert_eq!(flow(&model).previous(), None);
    model.apply(&put(5, PutKind::Set));
    // Its actions are other ones, and where those are is not known before they are used.
    assert_eq!((flow(&model).generations, flow(&model).since, flow(&model).sf_acts), (1, 5, None));
    assert_eq!(flow(&model).previous(), generation(1, Some(9), None));
    model.apply(&hit(6, 10));
    assert_eq!((flow(&model).generations, flow(&model).sf_acts), (1, Some(FlowPtr(10))));
    let mut failed = put(7, PutKind::Set);
    if let Body::FlowPut(e) = &mut failed.body {
        e.op.ret = -28;
    }
    model.apply(&failed);
    assert_eq!((flow(&model).generations, flow(&model).sf_acts), (1, Some(FlowPtr(10))), "nothing has changed");
}

#[test]
fn a_flow_that_is_put_again_after_its_end_is_another_generation_even_where_its_actions_lie_as_before() {
    let model = model_of(&[put(1, PutKind::New), hit(2, 9), del(3), put(4, PutKind::New), hit(5, 9)]);
    let flow = flow(&model);
    assert_eq!((flow.generations, flow.since, flow.sf_acts, flow.deleted), (1, 4, Some(FlowPtr(9)), None));
    assert_eq!(flow.previous(), generation(1, Some(9), Some(3)));
}

#[test]
fn where_a_put_was_not_seen_the_hits_tell() {
    let model = model_of(&[hit(2, 9), hit(5, 10), hit(6, 10)]);
    assert_eq!((flow(&model).generations, flow(&model).since), (1, 5));
    assert_eq!(flow(&model).previous(), generation(2, Some(9), None));
    // Back after its end, though nobody saw it put.
    let model = model_of(&[hit(2, 9), del(3), hit(5, 9)]);
    assert_eq!((flow(&model).generations, flow(&model).since, flow(&model).deleted), (1, 5, None));
}

#[test]
fn a_reading_of_the_time_before_a_put_does_not_bring_the_old_actions_back() {
    let model = model_of(&[put(1, PutKind::New), hit(2, 9), put(5, PutKind::Set), counted(6, 7, DP, 9, 3)]);
    assert_eq!((flow(&model).generations, flow(&model).sf_acts), (1, None));
    let model = model_of(&[put(1, PutKind::New), hit(2, 9), put(5, PutKind::Set), hit(6, 10), counted(7, 7, DP, 9, 3)]);
    assert_eq!((flow(&model).generations, flow(&model).sf_acts), (1, Some(FlowPtr(10))));
}

#[test]
fn a_datapath_that_is_made_again_has_other_flows() {
    let datapaths = |ts, dps: &[u32]| {
        let of = |dp: &u32| Datapath { dp: DpIfindex(*dp), ..Datapath::default() };
        Event::host(ts, Body::Datapaths { datapaths: dps.iter().map(of).collect() })
    };
    let mut model = model_of(&[
        datapaths(1, &[2]),
        counted(SECOND, 7, DP, 9, 10),
        hit(SECOND + 1, 9),
        datapaths(2 * SECOND, &[5]),
        // The same address and UFID, the same table's address, and actions that lie where the old ones did.
        counted(3 * SECOND, 7, DpIfindex(5), 9, 4),
        hit_in(DpIfindex(5), 3 * SECOND + 1, 64, 9),
    ]);
    assert_eq!(
        (flow(&model).hits(), flow(&model).deleted, flow(&model).last_hit),
        (10, Some(2 * SECOND), Some(SECOND + 1))
    );
    let new = model.flow(FlowKey::Ufid(DpIfindex(5), UFID)).expect("it was hit");
    assert_eq!((new.hits(), new.generations, new.deleted, new.first_seen), (4, 0, None, 3 * SECOND));
    // One that has the number of the old one, too: nothing but its end tells them apart.
    model.apply_all(&[datapaths(4 * SECOND, &[2, 5]), hit(4 * SECOND + 1, 9)]);
    assert_eq!((flow(&model).generations, flow(&model).since, flow(&model).deleted), (1, 4 * SECOND + 1, None));
    assert_eq!(flow(&model).previous(), generation(SECOND, Some(9), Some(2 * SECOND)));
}
