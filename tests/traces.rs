//! What the daemon's traces come to on the screen: of a storm the rule, of what is selected the way through the rules.

#[expect(dead_code, reason = "other tests use the rest of it")]
mod drawn;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod made_up;

use drawn::{press, text};
use made_up::{BUSY, Host};
use ovscope::{
    app::{source::FromSource, state::State},
    event::{Body, DaemonTrace, Event, Field, PacketId},
    ovs_rpc::{AskTrace, Question},
    record::Reader,
    ui::{Choice, Mode, Theme},
};
use tokio::sync::mpsc::{Receiver, channel};

const SAID: &str = "Flow: udp\n\nbridge(\"br0\")\n-------------\n 0. udp,in_port=1, priority 100, cookie 0x1f\n    \
    move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]\n    resubmit(,10)\n    10. priority 0\n            NORMAL\n\n\
    Final flow: unchanged\nMegaflow: recirc_id=0,eth,udp,in_port=1,nw_frag=no,tp_src=1000\nDatapath actions: 2\n";

fn live(room: usize) -> (State, Receiver<Question>) {
    let (asks, asked) = channel(room);
    (State::new(Mode::Live, Theme::new(Choice::Auto), false).with(Some(asks), None, None), asked)
}

/// The next trace that is asked for.
fn trace(asked: &mut Receiver<Question>) -> Option<AskTrace> {
    loop {
        match asked.try_recv().ok()? {
            Question::Trace(ask) => return Some(*ask),
            Question::Flow(_) => {}
        }
    }
}

fn answer(ts: u64, ask: &AskTrace, answer: Result<&str, &str>) -> FromSource {
    let AskTrace { dp, ufid, key, sample_of, packet, .. } = ask;
    let answer = answer.map(str::to_owned).map_err(str::to_owned);
    let (dp, ufid, key, sample_of) = (*dp, *ufid, key.to_string(), *sample_of);
    let trace = DaemonTrace { dp, ufid, key, sample_of, answer, took_ns: 1_200_000 };
    FromSource::Events(vec![Event { packet: *packet, ..Event::host(ts, Body::DaemonTrace(Box::new(trace))) }])
}

fn busy() -> (Host, Vec<Event>, u64) {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(20, BUSY));
    let last = events.iter().map(|event| event.ts).max().unwrap_or(0);
    (host, events, last)
}

#[test]
fn a_flow_is_traced_by_the_key_that_get_flow_has_told() {
    let (host, mut events, last) = busy();
    // What new flows match was left out: get-flow alone can tell it.
    events.retain(|event| !matches!(event.body, Body::FlowShape(_)));
    let (mut state, mut asked) = live(8);
    state.take(FromSource::Events(events));
    press(&mut state, "2jt");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("flow  ufid") && shown.contains("not traced: its key is not known"), "{shown}");
    let Ok(Question::Flow(flow)) = asked.try_recv() else { panic!("it is asked about") };
    state.take(FromSource::Events(host.answers(flow.ufid, flow.sf_acts)));
    press(&mut state, "t");
    let ask = trace(&mut asked).expect("it is asked for");
    assert!((ask.ufid, ask.packet, ask.sample_of) == (Some(flow.ufid), None, None) && ask.datapath == "ovs-system");
    let key = ask.key.to_string();
    assert!(key.starts_with("recirc_id(0),dp_hash(0/0),") && key.ends_with(",udp(src=1000,dst=9/0)"), "{key}");
    assert!(text(&mut state, 120, 40).contains("asking ovs-vswitchd for a trace of it"));
    state.take(answer(last, &ask, Ok(SAID)));
    let shown = text(&mut state, 80, 90);
    for words in [
        "trace  ofproto/trace, answered now in 1.2",
        "br0  table 0  priority 100  cookie 0x1f",
        "udp,in_port=1",
        "move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]",
        "br0  table 10  priority 0",
        "makes    recirc_id=0,eth,udp,in_port=1",
        "does     2",
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
    state.take(answer(last, &ask, Err("ovs-vswitchd traces no such packet: no OpenFlow port")));
    let shown = text(&mut state, 80, 90);
    assert!(shown.contains("▲ ovs-vswitchd traces no such packet") && !shown.contains("table 10"), "{shown}");
}

#[test]
fn a_flow_that_get_flow_has_not_told_is_traced_by_the_key_it_was_put_with() {
    let (_, events, _) = busy();
    let (mut state, mut asked) = live(8);
    state.take(FromSource::Events(events));
    press(&mut state, "2jt");
    let ask = trace(&mut asked).expect("it is asked for");
    let key = ask.key.to_string();
    assert!(
        ask.ufid.is_some() && key.starts_with("recirc_id(0x0),in_port(2),") && key.contains("ipv4(src=172.200.0.2,"),
        "{key}"
    );
}

#[test]
fn a_packet_is_traced_by_its_bytes_and_its_port() {
    let (_, events, last) = busy();
    let (mut state, mut asked) = live(8);
    state.take(FromSource::Events(events));
    press(&mut state, "4jjt");
    let ask = trace(&mut asked).expect("it is asked for");
    let key = ask.key.to_string();
    assert!(ask.packet.is_some_and(|id| id > PacketId(0)) && ask.ufid.is_none());
    assert!(key.starts_with("recirc_id(0x0),in_port(") && key.contains("),eth(src=02:00:"), "{key}");
    state.take(answer(last, &ask, Ok(SAID)));
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("trace  ofproto/trace, answered now") && shown.contains("br0  table 0"), "{shown}");
    let other = AskTrace { packet: ask.packet.map(|id| PacketId(id.0 + 1)), ..ask };
    press(&mut state, "\u{1b}j\n");
    state.take(answer(last, &other, Err("another packet's")));
    press(&mut state, "k");
    let shown = text(&mut state, 120, 40);
    assert!(!shown.contains("br0  table 0"), "it is of the packet that it was asked for:\n{shown}");
}

#[test]
fn where_nobody_can_be_asked_that_is_said() {
    let (_, events, last) = busy();
    let mode = Mode::Replay { file: "storm.mcap".to_owned() };
    let mut state = State::new(mode, Theme::new(Choice::Auto), false);
    state.take(FromSource::Events(events.clone()));
    press(&mut state, "4jjt");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("not traced while this was recorded, and there is no daemon to ask now"), "{shown}");

    // The same packet, traced while it was recorded.
    let (mut live, mut asked) = live(8);
    live.take(FromSource::Events(events));
    press(&mut live, "4jjt");
    state.take(answer(last, &trace(&mut asked).expect("it is asked for"), Ok(SAID)));
    press(&mut state, "t");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("as it was traced while this was recorded") && shown.contains("br0  table 0"), "{shown}");
}

#[test]
fn of_a_storm_three_flows_are_traced_and_the_rule_stands_below_the_verdict() {
    let (mut state, mut asked) = live(8);
    let mut reader = Reader::open("tests/verdicts/field_explosion.mcap".as_ref()).expect("it is there");
    let mut traced = 0;
    while let Some(batch) = reader.next_batch() {
        for event in batch.expect("it is whole").events {
            let ts = event.ts;
            state.take(FromSource::Events(vec![event]));
            if let Some(ask) = trace(&mut asked) {
                assert_eq!((ask.sample_of, ask.datapath.as_str()), (Some(Field::UdpSrc), "ovs-system"));
                traced += 1;
                state.take(answer(ts, &ask, Ok(SAID)));
            }
        }
    }
    assert_eq!(traced, 3, "and no more while those hold");
    for (width, height) in [(80, 24), (120, 40)] {
        let shown = text(&mut state, width, height);
        let rule = "   rule br0 table=0 priority=100 cookie=0x1f udp,in_port=1  uses udp_src";
        assert!(shown.contains(rule), "{shown}");
        assert!(shown.contains("try let that rule match less"), "{shown}");
    }
}
