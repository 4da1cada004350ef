//! Packets as pcapng, read back by another's parser.

use ovscope::{
    app::export,
    event::{
        Action, ActionExecute, Body, Clock, Counters, DevPoint, DevStep, DpIfindex, Drop, Event, FlowLookup, FlowPtr,
        Loss, Name, PacketBytes, PacketId, PortNo, Session, Ufid, Upcall, UpcallCmd, UpcallCounter, UpcallEnqueue,
        UpcallId,
    },
    record::{Reader, Recording},
};
use pcap_parser::{
    Block, OptionCode, PcapNGCapture, PcapNGOption,
    pcapng::{EnhancedPacketBlock, InterfaceDescriptionBlock, InterfaceStatisticsBlock},
};
use proptest::prelude::*;

use crate::{events, reader, recording};

const WALL: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

fn exported(recording: &mut Recording) -> (Vec<u8>, export::ExportSummary) {
    let mut bytes = Vec::new();
    let summary = export::pcapng(recording, &mut bytes).expect("memory");
    (bytes, summary)
}

/// What the parser found.
#[derive(Default)]
struct Found<'a> {
    interfaces: Vec<&'a InterfaceDescriptionBlock<'a>>,
    packets: Vec<&'a EnhancedPacketBlock<'a>>,
    statistics: Vec<&'a InterfaceStatisticsBlock<'a>>,
}

fn found<'a>(capture: &'a PcapNGCapture<'a>) -> Found<'a> {
    let mut found = Found::default();
    for (at, block) in capture.sections.iter().flat_map(|section| &section.blocks).enumerate() {
        match block {
            Block::SectionHeader(_) => assert_eq!(at, 0),
            Block::InterfaceDescription(block) => found.interfaces.push(block),
            Block::EnhancedPacket(block) => found.packets.push(block),
            Block::InterfaceStatistics(block) => found.statistics.push(block),
            _ => panic!("a block of another kind"),
        }
    }
    found
}

fn texts(options: &[PcapNGOption<'_>], code: OptionCode) -> Vec<String> {
    let of = options.iter().filter(|option| option.code == code);
    of.map(|o| String::from_utf8_lossy(&o.value[..usize::from(o.len)]).into_owned()).collect()
}

fn number(options: &[PcapNGOption<'_>], code: u16) -> Option<u64> {
    let option = options.iter().find(|option| option.code == OptionCode(code))?;
    Some(u64::from_le_bytes(option.value[..8].try_into().expect("eight bytes")))
}

fn at(ts: u64, packet: u64, body: Body) -> Event {
    Event { packet: Some(PacketId(packet)), ..Event::host(ts, body) }
}

fn bytes(ts: u64, packet: u64, len: u32, data: &[u8]) -> Event {
    at(ts, packet, Body::PacketBytes(PacketBytes { len, data: data.into() }))
}

/// Two packets: one that hits and is dropped, one that misses and is lost.
fn two() -> Vec<Event> {
    let clock = Clock { monotonic: SECOND, wall: WALL, utc_offset: 3600 };
    let session = Session {
        program: "ovscope 0.1.0".to_owned(),
        host: "hv-17".to_owned(),
        kernel: "6.12.0".to_owned(),
        machine: "x86_64".to_owned(),
        clock,
        ..Session::default()
    };
    let dev = DevStep { point: DevPoint::NetifRx, dev: Name::new("p1_l"), ifindex: 3, netns: 9, len: 98, ret: 0 };
    let lookup = |flow: Option<u64>| FlowLookup {
        dp: DpIfindex(4),
        in_port: Some(PortNo(2)),
        recirc_id: 0,
        flow: flow.map(FlowPtr),
        sf_acts: flow.map(FlowPtr),
        ufid: flow.map(|_| Ufid([1, 2, 3, 4])),
        n_mask_hit: 1,
        n_cache_hit: 0,
    };
    let upcall = Upcall {
        dp: DpIfindex(4),
        in_port: PortNo(2),
        recirc_id: 0,
        cmd: UpcallCmd::Miss,
        port: 77,
        mru: 0,
        len: 60,
        skb_hash: 0,
        cookie: None,
    };
    let enqueue = UpcallEnqueue {
        ret: -11,
        cmd: UpcallCmd::Miss,
        port: 77,
        upcall_ts: SECOND + 2000,
        upcall_cpu: 0,
        queue_id: 0,
        index: 0,
    };
    let lost = |count| {
        let kind = UpcallCounter {
            dp: DpIfindex(4),
            in_port: PortNo(2),
            cmd: UpcallCmd::Miss,
            port: 77,
            cpu: None,
            ret: -11,
            count,
        };
        Body::Counters(Box::new(Counters { upcalls: vec![kind], ..Counters::default() }))
    };
    let up = |event: Event| Event { upcall: Some(UpcallId(5)), ..event };
    let drop = Drop { reason: 0, name: "OVS_DROP_METER".to_owned(), location: "do_meter+0x3a".to_owned() };
    let action = ActionExecute {
        dp: DpIfindex(4),
        in_port: PortNo(2),
        recirc_id: 0,
        queue_id: 0,
        action: Action::Meter { id: 7 },
    };
    vec![
        Event::host(SECOND, Body::Session(Box::new(session))),
        Event::host(SECOND, lost(0)),
        bytes(SECOND + 10, 1, 98, &[1; 61]),
        at(SECOND + 10, 1, Body::Dev(dev)),
        at(SECOND + 20, 1, Body::FlowLookup(lookup(Some(0xff)))),
        at(SECOND + 30, 1, Body::ActionExecute(action)),
        at(SECOND + 40, 1, Body::Drop(drop)),
        // Told after, and seen before.
        bytes(SECOND + 5, 2, 60, &[2; 60]),
        at(SECOND + 5, 2, Body::FlowLookup(lookup(None))),
        up(at(SECOND + 2005, 2, Body::Upcall(upcall))),
        up(at(SECOND + 2010, 2, Body::UpcallEnqueue(enqueue))),
        Event::host(2 * SECOND, lost(3)),
        Event::host(2 * SECOND, Body::Loss(Loss { ring_full: 12, over_budget: 30, untracked: 4, ..Loss::default() })),
    ]
}

#[test]
fn a_packet_is_where_and_when_it_was_first_seen_with_what_became_of_it() {
    let (file, summary) = exported(&mut reader(&recording(&[two()])).into());
    assert_eq!((summary.events, summary.packets, summary.remarks), (13, 2, None));
    let capture = PcapNGCapture::from_file(&file).expect("pcapng");
    let found = found(&capture);

    let names: Vec<String> = found.interfaces.iter().flat_map(|i| texts(&i.options, OptionCode::IfName)).collect();
    assert_eq!(names, ["port 2", "p1_l", "ovscope"]);
    let about = |i: usize| texts(&found.interfaces[i].options, OptionCode::IfDescription).concat();
    assert_eq!(about(0), "port 2 of datapath 4");
    assert_eq!(about(1), "interface 3 of network namespace 9");
    assert!(found.interfaces.iter().all(|i| i.if_tsresol == 9));

    let packets: Vec<_> = found
        .packets
        .iter()
        .map(|p| {
            let time = u64::from(p.ts_high) << 32 | u64::from(p.ts_low);
            (p.if_id, time - WALL, p.origlen, &p.data[..p.caplen as usize], number(&p.options, 5))
        })
        .collect();
    assert_eq!(packets, [(0, 5, 60, &[2; 60][..], Some(2)), (1, 10, 98, &[1; 61][..], Some(1))]);

    let said = |i: usize| texts(&found.packets[i].options, OptionCode::Comment);
    assert_eq!(said(0), ["packet #2", "upcall #5 (miss): LOST EAGAIN, lookup 2.0 µs", "fate: LOST EAGAIN"],);
    assert_eq!(
        said(1),
        [
            "packet #1",
            "flow ufid:00000001-0000-0002-0000-000300000004",
            "dropped: OVS_DROP_METER in do_meter+0x3a",
            "fate: dropped, OVS_DROP_METER",
        ],
    );
}

#[test]
fn what_is_missing_is_told_by_interface_and_in_all() {
    let (file, _) = exported(&mut reader(&recording(&[two()])).into());
    let capture = PcapNGCapture::from_file(&file).expect("pcapng");
    let statistics = found(&capture).statistics;
    // By interface: the datapath port, the device, the session.
    assert_eq!(statistics.iter().map(|s| s.if_id).collect::<Vec<_>>(), [0, 1, 2]);
    let of = |code| statistics.iter().map(|s| number(&s.options, code)).collect::<Vec<_>>();
    assert_eq!(of(8), [Some(1), Some(1), Some(2)], "packets in the file");
    assert_eq!(of(7), [Some(3), None, Some(3)], "upcalls lost by the port and in all");
    assert_eq!(of(5), [None, None, Some(34)], "packets that had no room, in the budget or the table");
    assert_eq!(texts(&statistics[0].options, OptionCode::Comment), ["3 upcalls of this port were lost"]);
    let said = texts(&statistics[2].options, OptionCode::Comment);
    assert!(said[0].starts_with("12 events that had no room in the ring buffer"), "{said:?}");
    assert!(said.iter().any(|s| s == "3 upcalls were lost, and their packets"), "{said:?}");
}

#[test]
fn without_packets_it_says_so() {
    let (file, summary) = exported(&mut reader(&recording(&[vec![crate::marked(7)]])).into());
    assert_eq!(summary.packets, 0);
    assert!(summary.remarks.is_some_and(|r| r.contains("no packet's bytes")));
    assert_eq!(found(&PcapNGCapture::from_file(&file).expect("pcapng")).statistics.len(), 1);
}

#[test]
fn every_packet_of_a_real_storm_is_in_it_in_the_order_of_time() {
    let open = || Reader::open("src/app/demo.mcap".as_ref()).expect("the bundled recording");
    let there = open().flat_map(|batch| batch.expect("whole")).filter(|e| matches!(e.body, Body::PacketBytes(_)));
    let there = there.count() as u64;
    let (file, summary) = exported(&mut open().into());
    assert_eq!((summary.packets, summary.remarks), (there, None));
    let capture = PcapNGCapture::from_file(&file).expect("pcapng");
    let found = found(&capture);
    assert_eq!(found.packets.len() as u64, there);
    let times: Vec<u64> = found.packets.iter().map(|p| u64::from(p.ts_high) << 32 | u64::from(p.ts_low)).collect();
    assert!(times.is_sorted());
    assert!(found.packets.iter().all(|p| p.if_id < found.interfaces.len() as u32));
}

proptest! {
    #[test]
    fn any_recording_becomes_a_file_that_can_be_read(all in events::events(40)) {
        let (file, summary) = exported(&mut reader(&recording(std::slice::from_ref(&all))).into());
        let capture = PcapNGCapture::from_file(&file).expect("pcapng");
        let found = found(&capture);
        prop_assert_eq!(found.packets.len() as u64, summary.packets);
        prop_assert_eq!(found.statistics.len(), found.interfaces.len());
    }
}
