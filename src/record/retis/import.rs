//! Lines of an event file become events: identities are given, what one line refers to in another is tied.

use std::{hash::Hash, num::NonZeroUsize};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lru::LruCache;

use super::{
    action::action,
    line::{Detrace, Line, Ovs, SkbDrop, SkbTracking, Startup},
    messages::{Message, Messages, Place, Untied},
};
use crate::event::{
    ActionExecute, Body, Capability, CapabilityState, Clock, Comm, DaemonAnswer, DevPoint, DevStep, DpIfindex, Drop,
    Event, FlowLookup, FlowOperation, FlowPtr, Name, PacketBytes, PacketId, PortNo, Query, RecvUpcall, Session, Ufid,
    Upcall, UpcallCmd, UpcallEnqueue, UpcallId, UpcallRecv, UpcallReturn,
};

/// Packets, upcalls, messages and flows whose identities are known at once; those not met for longest go first.
const KNOWN: usize = 65_536;

/// A map of so many at most.
pub(super) struct Recent<K: Hash + Eq, V>(pub(super) LruCache<K, V>);

impl<K: Hash + Eq, V> Default for Recent<K, V> {
    fn default() -> Self {
        // Made with its bound it would take all its room at once.
        let mut map = LruCache::unbounded();
        map.resize(NonZeroUsize::new(KNOWN).unwrap_or(NonZeroUsize::MIN));
        Self(map)
    }
}

/// A packet that was met.
#[derive(Clone, Copy)]
struct Known {
    id: PacketId,
    /// Its bytes have been given on.
    bytes: bool,
}

/// What earlier lines said that later ones refer to.
#[derive(Default)]
pub struct Importer {
    packets: Recent<(u64, u64), Known>,
    /// By when and on which CPU they were made.
    upcalls: Recent<(u64, u32), UpcallId>,
    messages: Messages,
    /// Flows whose description has been given on.
    described: Recent<(Ufid, u64, u64), ()>,
    last_packet: u64,
    last_upcall: u64,
    session: Option<Box<Session>>,
}

fn id(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

impl Importer {
    /// Adds the events of one line. What there is no event for goes to `passed_over` by its name.
    pub fn take(&mut self, line: Line, events: &mut Vec<Event>, passed_over: &mut dyn FnMut(&str)) {
        let ts = line.common.timestamp;
        if let Some(startup) = line.startup {
            self.startup(ts, startup, events);
            return;
        }
        for other in &line.others {
            passed_over(&format!("section {other}"));
        }
        let (mut tid, mut pid, mut comm) = (0, 0, Comm::default());
        if let Some(task) = &line.common.task {
            (tid, pid, comm) = (id(task.tgid), id(task.pid), Name::new(&task.comm));
        }
        if let Some(user) = &line.userspace {
            (tid, pid) = (id(user.tid), id(user.pid));
        }
        let mut event = Event {
            tid,
            pid,
            comm,
            cpu: line.common.smp_id.unwrap_or(0),
            ..Event::host(ts, Body::Loss(crate::event::Loss::default()))
        };
        let tracked = line.tracking.map(|tracking| tracking.skb).or(line.skb_tracking);
        let given_back = match &line.ovs {
            Some(Ovs::ActionExecute(action)) => action.queue_id.and_then(|queue_id| self.messages.given_back(queue_id)),
            _ => None,
        };
        if let (Some(tracking), Some(id)) = (tracked, given_back.and_then(|message| message.packet)) {
            // What was given back is the packet that went up: from here on it is that one, whose bytes were given on.
            self.packets.0.put(key(tracking), Known { id, bytes: true });
        }
        event.packet = tracked.map(|tracking| self.packet(tracking).id);

        if let (Some(tracking), Some(packet)) = (tracked, line.packet.as_ref()) {
            let known = self.packet(tracking);
            if let (false, Ok(data)) = (known.bytes, STANDARD.decode(&packet.data)) {
                let body = Body::PacketBytes(PacketBytes { len: packet.len, data: data.into() });
                events.push(Event { body, ..event.clone() });
                self.packets.0.put(key(tracking), Known { bytes: true, ..known });
            }
        }

        let len = line.meta.as_ref().map(|meta| meta.len).or(line.packet.as_ref().map(|packet| packet.len));
        let mut used = line.detrace.is_some() || line.ovs.is_some();
        let mut answers = Vec::new();
        let ovs = line.ovs.map(|ovs| {
            let hash = line.meta.as_ref().map_or(0, |meta| meta.hash);
            self.ovs(ovs, &mut event, (len.unwrap_or(0), hash), given_back, &mut answers)
        });
        match ovs {
            Some(Some(body)) => events.push(Event { body, ..event.clone() }),
            Some(None) => passed_over("OVS event of another kind"),
            None => {}
        }
        if let Some(detrace) = &line.detrace {
            self.describe(detrace, &mut answers);
        }
        events.extend(answers.into_iter().map(|answer| Event::host(ts, Body::DaemonAnswer(Box::new(answer)))));
        let symbol = line.kernel.as_ref().map(|kernel| kernel.symbol.as_str());
        if let Some(drop) = &line.skb_drop {
            let stack = line.kernel.as_ref().and_then(|kernel| kernel.stack_trace.as_deref()).unwrap_or_default();
            if let Some(drop) = dropped(drop, stack) {
                events.push(Event { body: Body::Drop(drop), ..event.clone() });
                used = true;
            }
        }
        if let Some(point) = symbol.and_then(point) {
            let (dev, ifindex) = line.dev.map_or((Name::default(), 0), |dev| (Name::new(&dev.name), dev.ifindex));
            let netns = line.netns.map_or(0, |netns| netns.inum);
            let body = Body::Dev(DevStep { point, dev, ifindex, netns, len: len.unwrap_or(0), ret: 0 });
            events.push(Event { body, ..event });
            used = true;
        }
        if !used {
            let name = symbol.or(line.userspace.as_ref().map(|user| user.symbol.as_str()));
            passed_over(name.unwrap_or("event without a probe"));
        }
    }

    /// Who collected, and how the clocks stand. Files of one collection that were split each begin with it.
    fn startup(&mut self, ts: u64, startup: Startup, events: &mut Vec<Event>) {
        let machine = startup.machine;
        let offset = i128::from(startup.clock_monotonic_offset.sec) * 1_000_000_000
            + i128::from(startup.clock_monotonic_offset.nsec);
        let session = Session {
            program: format!("retis {}", startup.retis_version),
            kernel: machine.as_ref().map_or(String::new(), |machine| machine.kernel_release.clone()),
            machine: machine.map_or(String::new(), |machine| machine.hardware_name),
            command: startup.cmdline,
            clock: Clock { monotonic: ts, wall: u64::try_from(offset + i128::from(ts)).unwrap_or(0), utc_offset: 0 },
            ..Session::default()
        };
        let same = |before: &Session| {
            let clock = before.clock;
            let offset_before = i128::from(clock.wall) - i128::from(clock.monotonic);
            // Two readings of two clocks are never quite the same.
            let near = (offset_before - offset).abs() < 1_000_000_000;
            near && Session { clock, ..session.clone() } == *before
        };
        if self.session.as_deref().is_some_and(same) {
            return;
        }
        let session = Box::new(session);
        self.session = Some(session.clone());
        events.push(Event::host(ts, Body::Session(session)));
        let missing = |name: &str, why: &str| Capability {
            name: name.to_owned(),
            state: CapabilityState::Missing,
            probe: String::new(),
            why: format!("an event file of retis has {why}"),
            cost: None,
        };
        let put = "none: what the daemon asked for is told by its own probes, how it went is not known";
        let capabilities = vec![
            missing("counters", "no counters: rates, totals and losses are not known"),
            missing("flow_put", put),
            missing("flow_exec", put),
            missing("flow_del", "none: that a flow was deleted is not known"),
        ];
        events.push(Event::host(ts, Body::Probes { capabilities }));
    }

    fn packet(&mut self, tracking: SkbTracking) -> Known {
        let last = &mut self.last_packet;
        *self.packets.0.get_or_insert(key(tracking), || {
            *last += 1;
            Known { id: PacketId(*last), bytes: false }
        })
    }

    fn upcall(&mut self, ts: u64, cpu: u32) -> UpcallId {
        let last = &mut self.last_upcall;
        *self.upcalls.0.get_or_insert((ts, cpu), || {
            *last += 1;
            UpcallId(u64::from(cpu) << 40 | *last)
        })
    }

    /// What names a message and could not be tied to its upcall.
    pub fn untied(&self) -> Untied {
        self.messages.untied
    }

    /// The event of the section `ovs`; none for a kind that is not known.
    fn ovs(
        &mut self,
        ovs: Ovs,
        event: &mut Event,
        (len, skb_hash): (u32, u32),
        given_back: Option<Message>,
        answers: &mut Vec<DaemonAnswer>,
    ) -> Option<Body> {
        Some(match ovs {
            Ovs::Upcall { cmd: number, port, cpu } => {
                event.cpu = cpu;
                event.upcall = Some(self.upcall(event.ts, cpu));
                Body::Upcall(Upcall {
                    dp: DpIfindex(0),
                    in_port: PortNo::NONE,
                    recirc_id: 0,
                    cmd: UpcallCmd::from(number),
                    port,
                    mru: 0,
                    len,
                    skb_hash,
                    cookie: None,
                })
            }
            Ovs::UpcallEnqueue { ret, cmd: number, port, upcall_ts, upcall_cpu, queue_id } => {
                event.upcall = Some(self.upcall(upcall_ts, upcall_cpu));
                if ret == 0 {
                    let message = Message { ts: event.ts, port, packet: event.packet, upcall: event.upcall };
                    self.messages.queued(queue_id, message);
                }
                let queue_id = if ret == 0 { u64::from(queue_id) } else { 0 };
                let cmd = UpcallCmd::from(number);
                Body::UpcallEnqueue(UpcallEnqueue { ret, cmd, port, upcall_ts, upcall_cpu, queue_id, index: 0 })
            }
            Ovs::UpcallReturn { upcall_ts, upcall_cpu, ret } => {
                event.upcall = Some(self.upcall(upcall_ts, upcall_cpu));
                Body::UpcallReturn(UpcallReturn { ret, upcall_ts, upcall_cpu })
            }
            Ovs::RecvUpcall { r#type, pkt_size, key_size, queue_id, batch_ts, batch_idx } => {
                let key_size = u32::try_from(key_size).unwrap_or(u32::MAX);
                let place = Place { tid: event.tid, batch_ts, batch_idx };
                match tie(event, self.messages.received(queue_id, place)) {
                    // The message is known: it was received, as the daemon says, at the latest now.
                    Some(message) => Body::UpcallRecv(UpcallRecv {
                        port: message.port,
                        pkt_size,
                        key_size,
                        queue_id: queue_id.into(),
                        wait_ns: event.ts.saturating_sub(message.ts),
                        batch_ts,
                        batch_idx,
                    }),
                    None => Body::RecvUpcall(RecvUpcall {
                        // enum dpif_upcall_type has them from 0, the kernel from 1.
                        cmd: UpcallCmd::from(u8::try_from(r#type).map_or(u8::MAX, |number| number.saturating_add(1))),
                        pkt_size,
                        key_size,
                        queue_id: 0,
                        batch_ts,
                        batch_idx,
                    }),
                }
            }
            Ovs::FlowOperation { op_type, queue_id, batch_ts, batch_idx } => {
                let place = Place { tid: event.tid, batch_ts, batch_idx };
                let message = tie(event, self.messages.asked(queue_id, place, op_type));
                let queue_id = if message.is_some() { queue_id.into() } else { 0 };
                Body::FlowOperation(FlowOperation { op_type, ufid: None, queue_id, batch_ts, batch_idx })
            }
            Ovs::ActionExecute(action_execute) => {
                let queue_id = action_execute.queue_id.filter(|_| given_back.is_some());
                tie(event, given_back);
                Body::ActionExecute(ActionExecute {
                    dp: DpIfindex(0),
                    in_port: PortNo::NONE,
                    recirc_id: action_execute.recirc_id,
                    queue_id: queue_id.map_or(0, u64::from),
                    action: action(&action_execute)?,
                })
            }
            Ovs::FlowLookup { flow, n_mask_hit, n_cache_hit } => {
                self.describe(&flow, answers);
                let address = |address: u64| (flow.flow != 0).then_some(FlowPtr(address));
                Body::FlowLookup(FlowLookup {
                    dp: DpIfindex(0),
                    in_port: None,
                    recirc_id: 0,
                    flow: address(flow.flow),
                    sf_acts: address(flow.sf_acts),
                    ufid: flow.ufid().filter(|_| flow.flow != 0),
                    n_mask_hit,
                    n_cache_hit,
                })
            }
            Ovs::Unknown => return None,
        })
    }

    /// What the daemon said about a flow, once for each of its generations: later lines repeat it.
    fn describe(&mut self, flow: &Detrace, answers: &mut Vec<DaemonAnswer>) {
        let Some(ufid) = flow.ufid().filter(|_| !flow.dpflow.is_empty() || !flow.ofpflows.is_empty()) else { return };
        if self.described.0.put((ufid, flow.flow, flow.sf_acts), ()).is_some() {
            return;
        }
        let texts = [(Query::GetFlow, flow.dpflow.clone()), (Query::Detrace, flow.ofpflows.join("\n"))];
        for (query, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            let sf_acts = Some(FlowPtr(flow.sf_acts));
            answers.push(DaemonAnswer { dp: None, ufid, sf_acts, query, answer: Ok(text), took_ns: 0 });
        }
    }
}

/// Makes an event one of the message that it names.
fn tie(event: &mut Event, message: Option<Message>) -> Option<Message> {
    if let Some(message) = message {
        event.packet = message.packet.or(event.packet);
        event.upcall = message.upcall;
    }
    message
}

fn key(tracking: SkbTracking) -> (u64, u64) {
    (tracking.timestamp, tracking.orig_head)
}

/// A point of the generic stack by its probe. Not `net_dev_xmit`: the files do not have the driver's answer.
fn point(symbol: &str) -> Option<DevPoint> {
    Some(match symbol {
        "net:net_dev_queue" => DevPoint::NetDevQueue,
        "net:net_dev_start_xmit" => DevPoint::NetDevStartXmit,
        "net:netif_rx" => DevPoint::NetifRx,
        "net:netif_receive_skb" => DevPoint::NetifReceiveSkb,
        "skb_scrub_packet" => DevPoint::SkbScrubPacket,
        _ => return None,
    })
}

/// None for what is freed and not dropped.
fn dropped(drop: &SkbDrop, stack: &[String]) -> Option<Drop> {
    let reason = &drop.drop_reason;
    if drop.subsys.is_none() && ["CONSUMED", "NOT_DROPPED_YET"].contains(&reason.as_str()) {
        return None;
    }
    // A number where the kernel's names were not known, else the name, for which there is no number.
    let (number, name) = match (reason.parse(), drop.subsys.as_deref()) {
        (Ok(number), _) => (number, String::new()),
        (Err(_), None | Some("openvswitch")) => (0, reason.clone()),
        (Err(_), Some(subsystem)) => (0, format!("{subsystem}/{reason}")),
    };
    // The innermost frames are of the functions that free.
    let frees = |frame: &&String| frame.contains("kfree_skb") || frame.contains("skb_reason_drop");
    let location = stack.iter().find(|frame| !frees(frame)).cloned().unwrap_or_default();
    Some(Drop { reason: number, name, location })
}
