//! Events become the columns of one message.

use prost::Message as _;

use super::{
    actions::{self, Wholes},
    columns::{self as proto, Kind},
    dictionary::{Places, Recent},
    runs::{self, Ways},
    sums, usdt,
};
use crate::event::{
    Action, Body, Comm, Cookie, Counters, DevStep, Event, FlowLookup, FlowOp, FlowPtr, Nanos, PacketId, PutKind, Run,
    Step, Ufid, UpcallId,
};

/// Collects events, and gives them as one encoded message.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    message: proto::Events,
    /// How many events have been collected; a run counts as several.
    events: usize,
    /// The time of the last event or run.
    last_ts: Nanos,
    /// Roughly how many bytes the message will have.
    size: usize,
    /// Earliest and latest time of the events.
    span: Option<(Nanos, Nanos)>,
    tasks: Places<(u32, u32, Comm)>,
    packets: Recent,
    upcalls: Recent,
    queue: Recent,
    upcall_times: Recent,
    batch_times: Recent,
    pointers: Places<u64>,
    ufids: Places<Ufid>,
    strings: Places<String>,
    devices: Places<(Comm, u32, u32)>,
    /// The last rows of what the daemon received and asked, for the differences.
    received: usdt::Before,
    operated: usdt::Before,
    actions: Wholes<Action>,
    cookies: Wholes<Cookie>,
    ways: Ways,
}

/// A message that is ready to be written.
#[derive(Debug)]
pub(super) struct Encoded {
    pub bytes: Vec<u8>,
    /// How many events are in it.
    pub events: u64,
    /// The times of the earliest and the latest of them.
    pub span: (Nanos, Nanos),
}

impl Encoder {
    /// How many events are waiting.
    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// The times of the earliest and the latest of them.
    pub(super) fn span(&self) -> Option<(Nanos, Nanos)> {
        self.span
    }

    /// Roughly how many bytes they will have.
    pub(super) fn size(&self) -> usize {
        self.size + self.ways.size()
    }

    /// All the events so far as one message, and empty again; none when there are none.
    pub(super) fn take(&mut self) -> Option<Encoded> {
        let span = self.span?;
        let events = self.events as u64;
        let message = std::mem::take(self).finish()?;
        Some(Encoded { bytes: message.encode_to_vec(), events, span })
    }

    /// All the events as a message; none when there are none.
    pub(super) fn finish(self) -> Option<proto::Events> {
        self.span?;
        let Self { mut message, mut packets, mut upcalls, mut queue, mut upcall_times, mut batch_times, ways, .. } =
            self;
        if let Some(c) = &mut message.run {
            c.steps = ways.steps().map(Box::new);
        }
        // A column of zeros need not be there.
        if let Some(c) = message.upcall_rows.as_mut().filter(|_| message.cookies.is_empty()) {
            c.cookie.clear();
        }
        if let Some(c) = message.action_execute.as_mut().filter(|_| message.actions.is_empty()) {
            c.whole.clear();
        }
        message.packets = packets.take_ids();
        message.upcalls = upcalls.take_ids();
        message.messages = queue.take_ids();
        message.upcall_times = upcall_times.take_times(message.base_ts);
        message.batch_times = batch_times.take_times(message.base_ts);
        Some(message)
    }

    /// Adds one event.
    pub(super) fn push(&mut self, event: &Event) {
        let Event { ts, cpu, tid, pid, comm, packet, upcall, ref body } = *event;
        self.head(ts, (ts, ts), cpu, (tid, pid, comm), packet, upcall);
        self.size += 32;
        self.events += 1;
        let kind = self.row(ts, body);
        self.message.kinds.push(kind as u8);
    }

    /// Adds the events of a run.
    pub(super) fn push_run(&mut self, run: &Run) {
        let columns = self.message.run.get_or_insert_default();
        let Some(index) = self.ways.index(run.route(), columns) else {
            return run.events().for_each(|event| self.push(&event));
        };
        runs::push(columns, index, run);
        let Step { cpu, tid, pid, comm, .. } = *run.route()[0];
        self.head(run.ts(), run.span(), cpu, (tid, pid, comm), run.packet(), run.upcall());
        self.size += 16 + 3 * run.after().len();
        self.events += run.after().len();
        self.message.kinds.push(Kind::Run as u8);
    }

    /// What events and runs have in common.
    fn head(
        &mut self,
        ts: Nanos,
        span: (Nanos, Nanos),
        cpu: u32,
        task: (u32, u32, Comm),
        packet: Option<PacketId>,
        upcall: Option<UpcallId>,
    ) {
        if self.span.is_none() {
            self.message.base_ts = ts;
            self.last_ts = ts;
        }
        self.span = Some(self.span.map_or(span, |(first, last)| (first.min(span.0), last.max(span.1))));
        zigzag(&mut self.message.ts, ts.wrapping_sub(self.last_ts).cast_signed());
        self.last_ts = ts;
        varint(&mut self.message.cpu, cpu);
        let task = self.tasks.place(task, |&(tid, pid, comm)| {
            let tasks = self.message.tasks.get_or_insert_default();
            tasks.tid.push(tid);
            tasks.pid.push(pid);
            tasks.comm.push(without_nuls(comm));
        });
        varint(&mut self.message.task, task - 1);
        varint(&mut self.message.packet, packet.map_or(0, |id| self.packets.reference(id.0)));
        varint(&mut self.message.upcall, upcall.map_or(0, |id| self.upcalls.reference(id.0)));
    }

    fn row(&mut self, ts: Nanos, body: &Body) -> Kind {
        match body {
            Body::FlowLookup(row) => self.lookup(row),
            Body::Upcall(row) => {
                let entries = &mut self.message.cookies;
                let cookie = row.cookie.as_deref().map_or(0, |cookie| self.cookies.place(cookie, entries));
                let c = self.message.upcall_rows.get_or_insert_default();
                c.dp.push(row.dp.0);
                c.in_port.push(row.in_port.0);
                c.recirc_id.push(row.recirc_id);
                c.cmd.push(u8::from(row.cmd).into());
                c.port.push(row.port);
                c.mru.push(row.mru);
                c.len.push(row.len);
                c.skb_hash.push(row.skb_hash);
                c.cookie.push(cookie);
                Kind::Upcall
            }
            Body::UpcallEnqueue(row) => {
                let c = self.message.upcall_enqueue.get_or_insert_default();
                c.ret.push(row.ret);
                c.cmd.push(u8::from(row.cmd).into());
                c.port.push(row.port);
                c.upcall_ts.push(unless_zero(&mut self.upcall_times, row.upcall_ts));
                c.upcall_cpu.push(row.upcall_cpu);
                c.queue_id.push(unless_zero(&mut self.queue, row.queue_id));
                c.index.push(row.index);
                Kind::UpcallEnqueue
            }
            Body::UpcallReturn(row) => {
                let c = self.message.upcall_return.get_or_insert_default();
                c.ret.push(row.ret);
                c.upcall_ts.push(unless_zero(&mut self.upcall_times, row.upcall_ts));
                c.upcall_cpu.push(row.upcall_cpu);
                Kind::UpcallReturn
            }
            Body::UpcallRecv(row) => {
                let c = self.message.upcall_recv.get_or_insert_default();
                c.port.push(row.port);
                c.pkt_size.push(row.pkt_size);
                c.key_size.push(row.key_size);
                c.queue_id.push(unless_zero(&mut self.queue, row.queue_id));
                c.wait_ns.push(row.wait_ns);
                c.batch_ts.push(unless_zero(&mut self.batch_times, row.batch_ts));
                c.batch_idx.push(row.batch_idx);
                Kind::UpcallRecv
            }
            Body::FlowPut(row) => {
                let mut c = self.message.flow_put.take().unwrap_or_default();
                self.operation(&mut c, &row.op);
                c.set.push((row.kind == PutKind::Set).into());
                self.message.flow_put = Some(c);
                Kind::FlowPut
            }
            Body::FlowDel(op) => {
                let mut c = self.message.flow_del.take().unwrap_or_default();
                self.operation(&mut c, op);
                self.message.flow_del = Some(c);
                Kind::FlowDel
            }
            Body::FlowExec(row) => {
                let c = self.message.flow_exec.get_or_insert_default();
                c.dp.push(row.dp.0);
                c.ret.push(row.ret);
                c.len.push(row.len);
                c.took_ns.push(row.took_ns);
                c.batch_ts.push(unless_zero(&mut self.batch_times, row.batch_ts));
                c.batch_idx.push(row.batch_idx);
                c.queue_id.push(unless_zero(&mut self.queue, row.queue_id));
                Kind::FlowExec
            }
            Body::ActionExecute(row) => {
                let numbers = actions::to_numbers(&row.action, |text| {
                    self.strings.place(text.to_owned(), |text| self.message.strings.push(text.clone()))
                });
                let whole = if actions::has_more(&row.action) {
                    self.actions.place(&row.action, &mut self.message.actions)
                } else {
                    0
                };
                let c = self.message.action_execute.get_or_insert_default();
                varint(&mut c.dp, row.dp.0);
                varint(&mut c.in_port, row.in_port.0);
                varint(&mut c.recirc_id, row.recirc_id);
                varint(&mut c.queue_id, unless_zero(&mut self.queue, row.queue_id));
                varint(&mut c.action, numbers.action);
                varint(&mut c.first, numbers.first);
                varint(&mut c.second, numbers.second);
                varint(&mut c.whole, whole);
                Kind::ActionExecute
            }
            Body::PacketBytes(row) => {
                let c = self.message.packet_bytes.get_or_insert_default();
                c.len.push(row.len);
                c.size.push(row.data.len() as u32);
                c.data.extend_from_slice(&row.data);
                self.size += row.data.len();
                Kind::PacketBytes
            }
            Body::Drop(row) => {
                let [name, location] = [&row.name, &row.location]
                    .map(|text| self.strings.place(text.clone(), |text| self.message.strings.push(text.clone())));
                let c = self.message.drop.get_or_insert_default();
                c.reason.push(row.reason);
                c.name.push(name);
                c.location.push(location);
                Kind::Drop
            }
            Body::Dev(row) => self.dev(row),
            Body::RecvUpcall(row) => {
                usdt::push_recv(self.message.recv_upcall.get_or_insert_default(), &mut self.received, row);
                Kind::RecvUpcall
            }
            Body::FlowOperation(row) => {
                let ufid = self.ufid(row.ufid);
                let c = self.message.flow_operation.get_or_insert_default();
                usdt::push_operation(c, &mut self.operated, row, ufid);
                Kind::FlowOperation
            }
            Body::FlowResult(row) => {
                let ufid = self.ufid(row.ufid);
                let c = self.message.flow_result.get_or_insert_default();
                c.ufid.push(ufid);
                c.result.push(row.result.into());
                c.reason.push(row.reason.into());
                c.sweep.push(row.sweep.into());
                Kind::FlowResult
            }
            Body::Counters(row) => self.counters(ts, row),
            Body::Loss(_)
            | Body::Session(_)
            | Body::Revalidation(_)
            | Body::Datapaths { .. }
            | Body::Probes { .. }
            | Body::Daemon(_)
            | Body::DaemonFigures(_)
            | Body::DaemonAnswer(_)
            | Body::DaemonTrace(_)
            | Body::FlowShape(_)
            | Body::Mark(_) => {
                let json = serde_json::to_string(body).expect("plain data with string keys is always JSON");
                self.size += json.len();
                self.message.json.push(json);
                Kind::Json
            }
        }
    }

    fn lookup(&mut self, row: &FlowLookup) -> Kind {
        let flow = self.pointer(row.flow);
        let sf_acts = self.pointer(row.sf_acts);
        let ufid = self.ufid(row.ufid);
        let c = self.message.flow_lookup.get_or_insert_default();
        varint(&mut c.dp, row.dp.0);
        varint(&mut c.in_port, row.in_port.map_or(0, |port| u64::from(port.0) + 1));
        varint(&mut c.recirc_id, row.recirc_id);
        varint(&mut c.flow, flow);
        varint(&mut c.sf_acts, sf_acts);
        varint(&mut c.ufid, ufid);
        varint(&mut c.n_mask_hit, row.n_mask_hit);
        varint(&mut c.n_cache_hit, row.n_cache_hit);
        Kind::FlowLookup
    }

    fn operation(&mut self, c: &mut proto::FlowOps, op: &FlowOp) {
        c.dp.push(op.dp.0);
        c.ret.push(op.ret);
        c.ufid.push(self.ufid(op.ufid));
        c.took_ns.push(op.took_ns);
        c.batch_ts.push(unless_zero(&mut self.batch_times, op.batch_ts));
        c.batch_idx.push(op.batch_idx);
        c.queue_id.push(unless_zero(&mut self.queue, op.queue_id));
    }

    fn dev(&mut self, row: &DevStep) -> Kind {
        let device = self.devices.place((row.dev, row.ifindex, row.netns), |_| {
            let devices = self.message.devices.get_or_insert_default();
            devices.name.push(without_nuls(row.dev));
            devices.ifindex.push(row.ifindex);
            devices.netns.push(row.netns);
        });
        let c = self.message.dev.get_or_insert_default();
        // The order of the variants is the order of the numbers in recording.proto.
        varint(&mut c.point, row.point as u32);
        varint(&mut c.device, device - 1);
        varint(&mut c.len, row.len);
        zigzag(&mut c.ret, row.ret);
        Kind::Dev
    }

    fn counters(&mut self, ts: Nanos, row: &Counters) -> Kind {
        let errnos = |counters: &[crate::event::ErrnoCounter]| {
            counters.iter().map(|c| proto::ErrnoCounter { ret: c.ret, count: c.count }).collect()
        };
        let mut flows = proto::FlowCounters::default();
        for flow in &row.flows {
            flows.table.push(self.pointer(Some(FlowPtr(flow.table))));
            flows.flow.push(self.pointer(Some(flow.flow)));
            flows.sf_acts.push(self.pointer(Some(flow.sf_acts)));
            flows.ufid.push(self.ufid(flow.ufid));
            flows.hits.push(flow.hits);
            flows.bytes.push(flow.bytes.map_or(0, |n| n.saturating_add(1)));
            flows.last.push(ts.wrapping_sub(flow.last).cast_signed());
        }
        if flows.bytes.iter().all(|&n| n == 0) {
            flows.bytes.clear();
        }
        self.size += 32 * (row.datapaths.len() + row.upcalls.len() + row.flows.len());
        self.size += 32 * (row.drops.len() + row.handlers.len() + 8 * row.stages.len());
        self.message.counters.push(proto::Counters {
            datapaths: row
                .datapaths
                .iter()
                .map(|c| proto::DpCounters {
                    dp: c.dp.0,
                    table: c.table,
                    hits: c.hits,
                    misses: c.misses,
                    mask_hits: c.mask_hits,
                    cache_hits: c.cache_hits,
                })
                .collect(),
            upcalls: row
                .upcalls
                .iter()
                .map(|c| proto::UpcallCounter {
                    dp: c.dp.0,
                    in_port: c.in_port.0,
                    cmd: u8::from(c.cmd).into(),
                    port: c.port,
                    ret: c.ret,
                    count: c.count,
                    cpu: c.cpu.map_or(0, |cpu| u64::from(cpu) + 1),
                })
                .collect(),
            puts: errnos(&row.puts),
            execs: errnos(&row.execs),
            dels: errnos(&row.dels),
            received: row.received,
            flow_hits_uncounted: row.flow_hits_uncounted,
            flows: (!row.flows.is_empty()).then_some(flows),
            drops: row.drops.iter().map(sums::from_drop).collect(),
            handlers: row.handlers.iter().map(sums::from_handler).collect(),
            stages: row.stages.iter().map(sums::from_stage).collect(),
        });
        Kind::Counters
    }

    fn pointer(&mut self, pointer: Option<FlowPtr>) -> u32 {
        pointer.map_or(0, |FlowPtr(p)| self.pointers.place(p, |&p| self.message.pointers.push(p)))
    }

    fn ufid(&mut self, ufid: Option<Ufid>) -> u32 {
        ufid.map_or(0, |ufid| {
            self.ufids.place(ufid, |ufid| {
                for word in ufid.0 {
                    self.message.ufids.extend(word.to_be_bytes());
                }
            })
        })
    }
}

/// One more number in a column of `uint32` or `uint64`.
pub(super) fn varint(column: &mut Vec<u8>, number: impl Into<u64>) {
    match number.into() {
        small @ 0..0x80 => column.push(small as u8),
        middle @ 0x80..0x4000 => column.extend_from_slice(&[middle as u8 | 0x80, (middle >> 7) as u8]),
        number => prost::encoding::encode_varint(number, column),
    }
}

/// One more number in a column of `sint32` or `sint64`.
pub(super) fn zigzag(column: &mut Vec<u8>, number: impl Into<i64>) {
    let number = number.into();
    varint(column, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// The reference of a number where 0 says that there is none.
fn unless_zero(recent: &mut Recent, number: u64) -> u32 {
    if number == 0 { 0 } else { recent.reference(number) }
}

fn without_nuls(name: Comm) -> Vec<u8> {
    let end = name.0.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    name.0[..end].to_vec()
}
