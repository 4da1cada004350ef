//! The columns of one message become events again.

use prost::Message as _;

use super::{
    actions::{self, Numbers},
    dictionary::{Malformed, Named, at_place},
    proto::{self, Kind},
    runs::Runs,
    sums, usdt,
    writer::MESSAGE_EVENTS,
};
use crate::event::{
    Action, ActionExecute, Body, Comm, Cookie, Counters, DelReason, DevPoint, DevStep, DpCounters, DpIfindex, Drop,
    ErrnoCounter, Event, FlowCounter, FlowLookup, FlowOp, FlowPtr, FlowPut, FlowResult, Nanos, PacketBytes, PacketExec,
    PacketId, PortNo, PutKind, RevalResult, Ufid, Upcall, UpcallCmd, UpcallCounter, UpcallEnqueue, UpcallId,
    UpcallRecv, UpcallReturn,
};

/// What was passed over in messages because a newer version wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Events of kinds that this version does not know.
    pub events: u64,
    /// Messages with fields that this version does not know.
    pub messages: u64,
}

/// The events of one message, in order; `unknown` grows by what was passed over.
pub(super) fn decode(bytes: &[u8], unknown: &mut Unknown) -> Result<Vec<Event>, Malformed> {
    let message = proto::Events::decode(bytes).map_err(|_| Malformed("not a message of the recording's schema"))?;
    // What was not known was not kept: the message, written again, has become shorter.
    if message.encoded_len() < bytes.len() {
        unknown.messages += 1;
    }
    let steps = |steps: &proto::Events| {
        let mut events = Vec::with_capacity(steps.kinds.len().min(EVENTS_LIMIT));
        each(steps, |_| Err(Malformed("a step that is a run")), |event| events.push(event)).map(|()| events)
    };
    let mut events = Vec::with_capacity(message.kinds.len().min(EVENTS_LIMIT));
    each(&message, steps, |event| match event {
        Some(event) => events.push(event),
        None => unknown.events += 1,
    })?;
    Ok(events)
}

/// Gives the events of a message, in order; none is one of a kind that is not known here. `steps` reads the message that
/// the steps of its runs are in.
fn each(
    message: &proto::Events,
    steps: impl FnOnce(&proto::Events) -> Result<Vec<Option<Event>>, Malformed>,
    mut give: impl FnMut(Option<Event>),
) -> Result<(), Malformed> {
    let count = message.kinds.len();
    if count > EVENTS_LIMIT {
        return Err(TOO_MANY);
    }
    let mut decoder = Decoder::new(message)?;
    if [&message.cpu, &message.task, &message.packet, &message.upcall].iter().any(|c| !fits(c.len(), count))
        || !fits(message.ts.len(), count)
    {
        return Err(RAGGED);
    }
    let runs = decoder.rows[Kind::Run as usize];
    let mut runs = Runs::new(message.run.as_deref(), runs, EVENTS_LIMIT - (count - runs), steps)?;
    let texts = message.strings.iter().chain(&message.actions).chain(&message.cookies);
    if texts.map(String::len).max().unwrap_or(0).saturating_mul(count + runs.events) > TEXT_LIMIT {
        return Err(Malformed("texts that are longer than any version writes"));
    }
    let mut ts = message.base_ts;
    for (index, &kind) in message.kinds.iter().enumerate() {
        ts = ts.wrapping_add_signed(at(&message.ts, index));
        let (tid, pid, comm) =
            *decoder.tasks.get(at(&message.task, index) as usize).ok_or(Malformed("a task that is not there"))?;
        let packet = decoder.packets.get(at(&message.packet, index))?.map(PacketId);
        let upcall = decoder.upcalls.get(at(&message.upcall, index))?.map(UpcallId);
        if kind == Kind::Run as u8 {
            runs.expand(ts, packet, upcall, &mut give)?;
            continue;
        }
        let body = decoder.body(kind, ts)?;
        give(body.map(|body| Event { ts, cpu: at(&message.cpu, index), tid, pid, comm, packet, upcall, body }));
    }
    Ok(())
}

/// No message has more events; they take far more room in memory than a hostile message takes in a file.
const EVENTS_LIMIT: usize = 8 * MESSAGE_EVENTS;
/// Many events may have the same text, and each takes its own copy of it: so many bytes for all of a message's.
const TEXT_LIMIT: usize = 256 << 20;
pub(super) const TOO_MANY: Malformed = Malformed("more events than any version puts into one message");
const RAGGED: Malformed = Malformed("columns of different length");

/// Whether a column has as many entries as there are rows, or none.
fn fits(column: usize, rows: usize) -> bool {
    column == rows || column == 0
}

/// A column's value in a row; 0 where the writer did not have the column.
pub(super) fn at<T: Copy + Default>(column: &[T], row: usize) -> T {
    column.get(row).copied().unwrap_or_default()
}

/// Goes through the rows of every kind side by side.
struct Decoder<'a> {
    message: &'a proto::Events,
    /// How many events of each kind there are.
    rows: [usize; 256],
    /// The next row of each kind.
    next: [usize; 256],
    tasks: Vec<(u32, u32, Comm)>,
    devices: Vec<(Comm, u32, u32)>,
    ufids: Vec<Ufid>,
    /// None is one that a newer version wrote in a form that this one does not know.
    actions: Vec<Option<Action>>,
    cookies: Vec<Option<Cookie>>,
    packets: Named,
    upcalls: Named,
    queue: Named,
    upcall_times: Named,
    batch_times: Named,
    /// Of the last rows of the daemon's receives and operations.
    received: usdt::Before,
    operated: usdt::Before,
    /// How many of the packets' bytes were given.
    bytes: usize,
}

/// Checks that every column of a kind's message has as many entries as the kind has rows, or none.
macro_rules! check {
    ($message:expr, $rows:expr, $first:ident $(, $column:ident)*) => {
        match &$message {
            Some(c) if [$(c.$column.len()),*].iter().chain([&c.$first.len()]).all(|&len| fits(len, $rows)) => {}
            None if $rows == 0 => {}
            _ => return Err(RAGGED),
        }
    };
}

impl<'a> Decoder<'a> {
    fn new(m: &'a proto::Events) -> Result<Self, Malformed> {
        let mut counts = [0usize; 256];
        for &kind in &m.kinds {
            counts[usize::from(kind)] += 1;
        }
        let rows = |kind: Kind| counts[kind as usize];
        check!(
            m.flow_lookup,
            rows(Kind::FlowLookup),
            dp,
            in_port,
            recirc_id,
            flow,
            sf_acts,
            ufid,
            n_mask_hit,
            n_cache_hit
        );
        check!(m.upcall_rows, rows(Kind::Upcall), dp, in_port, recirc_id, cmd, port, mru, len, skb_hash, cookie);
        check!(m.upcall_enqueue, rows(Kind::UpcallEnqueue), ret, cmd, port, upcall_ts, upcall_cpu, queue_id, index);
        check!(m.upcall_return, rows(Kind::UpcallReturn), ret, upcall_ts, upcall_cpu);
        check!(m.upcall_recv, rows(Kind::UpcallRecv), port, pkt_size, key_size, queue_id, wait_ns, batch_ts, batch_idx);
        check!(m.flow_put, rows(Kind::FlowPut), dp, ret, ufid, took_ns, batch_ts, batch_idx, queue_id, set);
        check!(m.flow_del, rows(Kind::FlowDel), dp, ret, ufid, took_ns, batch_ts, batch_idx, queue_id);
        check!(m.flow_exec, rows(Kind::FlowExec), dp, ret, len, took_ns, batch_ts, batch_idx, queue_id);
        check!(
            m.action_execute,
            rows(Kind::ActionExecute),
            dp,
            in_port,
            recirc_id,
            queue_id,
            action,
            first,
            second,
            whole
        );
        check!(m.packet_bytes, rows(Kind::PacketBytes), len, size);
        check!(m.drop, rows(Kind::Drop), reason, name, location);
        check!(m.dev, rows(Kind::Dev), point, device, len, ret);
        check!(m.recv_upcall, rows(Kind::RecvUpcall), cmd, pkt_size, key_size, queue_id, batch_ts, batch_idx);
        check!(m.flow_operation, rows(Kind::FlowOperation), op_type, ufid, queue_id, batch_ts, batch_idx);
        check!(m.flow_result, rows(Kind::FlowResult), ufid, result, reason, sweep);
        if m.counters.len() != rows(Kind::Counters) || m.json.len() != rows(Kind::Json) {
            return Err(RAGGED);
        }
        let (ufids, []) = m.ufids.as_chunks::<16>() else { return Err(Malformed("a UFID that is cut off")) };
        Ok(Self {
            rows: counts,
            next: [0; 256],
            tasks: m
                .tasks
                .as_ref()
                .map_or(Ok(vec![]), |t| named_pairs(&t.comm, &t.tid, &t.pid))?
                .into_iter()
                .map(|(comm, tid, pid)| (tid, pid, comm))
                .collect(),
            devices: m.devices.as_ref().map_or(Ok(vec![]), |d| named_pairs(&d.name, &d.ifindex, &d.netns))?,
            ufids: ufids.iter().map(ufid).collect(),
            actions: m.actions.iter().map(|json| serde_json::from_str(json).ok()).collect(),
            cookies: m.cookies.iter().map(|json| serde_json::from_str(json).ok()).collect(),
            packets: Named::from_ids(m.packets.as_ref())?,
            upcalls: Named::from_ids(m.upcalls.as_ref())?,
            queue: Named::from_ids(m.messages.as_ref())?,
            upcall_times: Named::from_times(m.base_ts, &m.upcall_times),
            batch_times: Named::from_times(m.base_ts, &m.batch_times),
            received: usdt::Before::default(),
            operated: usdt::Before::default(),
            bytes: 0,
            message: m,
        })
    }

    /// The next row of a kind; none when the kind, or what the row says, is not known here.
    fn body(&mut self, kind: u8, ts: Nanos) -> Result<Option<Body>, Malformed> {
        let row = self.next[usize::from(kind)];
        self.next[usize::from(kind)] += 1;
        let m = self.message;
        let Ok(kind) = Kind::try_from(i32::from(kind)) else { return Ok(None) };
        Ok(Some(match (kind, m) {
            (Kind::FlowLookup, proto::Events { flow_lookup: Some(c), .. }) => Body::FlowLookup(FlowLookup {
                dp: DpIfindex(at(&c.dp, row)),
                in_port: match at(&c.in_port, row) {
                    0 => None,
                    n => Some(PortNo(u32::try_from(n - 1).map_err(|_| Malformed("a port that is too big"))?)),
                },
                recirc_id: at(&c.recirc_id, row),
                flow: at_place(&m.pointers, at(&c.flow, row))?.map(FlowPtr),
                sf_acts: at_place(&m.pointers, at(&c.sf_acts, row))?.map(FlowPtr),
                ufid: at_place(&self.ufids, at(&c.ufid, row))?,
                n_mask_hit: at(&c.n_mask_hit, row),
                n_cache_hit: at(&c.n_cache_hit, row),
            }),
            (Kind::Upcall, proto::Events { upcall_rows: Some(c), .. }) => Body::Upcall(Upcall {
                dp: DpIfindex(at(&c.dp, row)),
                in_port: PortNo(at(&c.in_port, row)),
                recirc_id: at(&c.recirc_id, row),
                cmd: cmd(at(&c.cmd, row))?,
                port: at(&c.port, row),
                mru: at(&c.mru, row),
                len: at(&c.len, row),
                skb_hash: at(&c.skb_hash, row),
                cookie: at_place(&self.cookies, at(&c.cookie, row))?.flatten().map(Box::new),
            }),
            (Kind::UpcallEnqueue, proto::Events { upcall_enqueue: Some(c), .. }) => {
                Body::UpcallEnqueue(UpcallEnqueue {
                    ret: at(&c.ret, row),
                    cmd: cmd(at(&c.cmd, row))?,
                    port: at(&c.port, row),
                    upcall_ts: self.upcall_times.get(at(&c.upcall_ts, row))?.unwrap_or(0),
                    upcall_cpu: at(&c.upcall_cpu, row),
                    queue_id: self.queue.get(at(&c.queue_id, row))?.unwrap_or(0),
                    index: at(&c.index, row),
                })
            }
            (Kind::UpcallReturn, proto::Events { upcall_return: Some(c), .. }) => Body::UpcallReturn(UpcallReturn {
                ret: at(&c.ret, row),
                upcall_ts: self.upcall_times.get(at(&c.upcall_ts, row))?.unwrap_or(0),
                upcall_cpu: at(&c.upcall_cpu, row),
            }),
            (Kind::UpcallRecv, proto::Events { upcall_recv: Some(c), .. }) => Body::UpcallRecv(UpcallRecv {
                port: at(&c.port, row),
                pkt_size: at(&c.pkt_size, row),
                key_size: at(&c.key_size, row),
                queue_id: self.queue.get(at(&c.queue_id, row))?.unwrap_or(0),
                wait_ns: at(&c.wait_ns, row),
                batch_ts: self.batch_times.get(at(&c.batch_ts, row))?.unwrap_or(0),
                batch_idx: at(&c.batch_idx, row),
            }),
            (Kind::FlowPut, proto::Events { flow_put: Some(c), .. }) => {
                let kind = match at(&c.set, row) {
                    0 => PutKind::New,
                    1 => PutKind::Set,
                    _ => return Err(Malformed("a put that is neither new nor set")),
                };
                Body::FlowPut(FlowPut { kind, op: self.operation(c, row)? })
            }
            (Kind::FlowDel, proto::Events { flow_del: Some(c), .. }) => Body::FlowDel(self.operation(c, row)?),
            (Kind::FlowExec, proto::Events { flow_exec: Some(c), .. }) => Body::FlowExec(PacketExec {
                dp: DpIfindex(at(&c.dp, row)),
                ret: at(&c.ret, row),
                len: at(&c.len, row),
                took_ns: at(&c.took_ns, row),
                batch_ts: self.batch_times.get(at(&c.batch_ts, row))?.unwrap_or(0),
                batch_idx: at(&c.batch_idx, row),
                queue_id: self.queue.get(at(&c.queue_id, row))?.unwrap_or(0),
            }),
            (Kind::ActionExecute, proto::Events { action_execute: Some(c), .. }) => {
                let numbers =
                    Numbers { action: at(&c.action, row), first: at(&c.first, row), second: at(&c.second, row) };
                Body::ActionExecute(ActionExecute {
                    dp: DpIfindex(at(&c.dp, row)),
                    in_port: PortNo(at(&c.in_port, row)),
                    recirc_id: at(&c.recirc_id, row),
                    queue_id: self.queue.get(at(&c.queue_id, row))?.unwrap_or(0),
                    action: match at_place(&self.actions, at(&c.whole, row))?.flatten() {
                        Some(whole) => whole,
                        None => actions::from_numbers(numbers, |place| at_place(&m.strings, place))?,
                    },
                })
            }
            (Kind::PacketBytes, proto::Events { packet_bytes: Some(c), .. }) => {
                let size = at(&c.size, row) as usize;
                let data = c.data.get(self.bytes..self.bytes.saturating_add(size));
                self.bytes += size;
                let data = data.ok_or(Malformed("a packet's bytes that are cut off"))?;
                Body::PacketBytes(PacketBytes { len: at(&c.len, row), data: data.into() })
            }
            (Kind::Drop, proto::Events { drop: Some(c), .. }) => Body::Drop(Drop {
                reason: at(&c.reason, row),
                name: at_place(&m.strings, at(&c.name, row))?.unwrap_or_default(),
                location: at_place(&m.strings, at(&c.location, row))?.unwrap_or_default(),
            }),
            (Kind::Dev, proto::Events { dev: Some(c), .. }) => {
                let device = self.devices.get(at(&c.device, row) as usize);
                let &(dev, ifindex, netns) = device.ok_or(Malformed("a device that is not there"))?;
                let Some(point) = DevPoint::from_number(at(&c.point, row)) else { return Ok(None) };
                Body::Dev(DevStep { point, dev, ifindex, netns, len: at(&c.len, row), ret: at(&c.ret, row) })
            }
            (Kind::RecvUpcall, proto::Events { recv_upcall: Some(c), .. }) => {
                let cmd = cmd(at(&c.cmd, row))?;
                Body::RecvUpcall(usdt::recv(c, row, &mut self.received, cmd))
            }
            (Kind::FlowOperation, proto::Events { flow_operation: Some(c), .. }) => {
                let ufid = at_place(&self.ufids, at(&c.ufid, row))?;
                let Some(operation) = usdt::operation(c, row, &mut self.operated, ufid) else { return Ok(None) };
                Body::FlowOperation(operation)
            }
            (Kind::FlowResult, proto::Events { flow_result: Some(c), .. }) => Body::FlowResult(FlowResult {
                ufid: at_place(&self.ufids, at(&c.ufid, row))?,
                result: RevalResult::from(at(&c.result, row)),
                reason: DelReason::from(at(&c.reason, row)),
                sweep: at(&c.sweep, row) != 0,
            }),
            (Kind::Counters, _) => {
                let counters = m.counters.get(row).ok_or(RAGGED)?;
                Body::Counters(Box::new(self.counters(ts, counters)?))
            }
            // A `type` from a newer version is no body of this one.
            (Kind::Json, _) => return Ok(serde_json::from_str(m.json.get(row).ok_or(RAGGED)?).ok()),
            (Kind::Unspecified, _) => return Ok(None),
            _ => return Err(RAGGED),
        }))
    }

    fn operation(&mut self, c: &proto::FlowOps, row: usize) -> Result<FlowOp, Malformed> {
        Ok(FlowOp {
            dp: DpIfindex(at(&c.dp, row)),
            ret: at(&c.ret, row),
            ufid: at_place(&self.ufids, at(&c.ufid, row))?,
            took_ns: at(&c.took_ns, row),
            batch_ts: self.batch_times.get(at(&c.batch_ts, row))?.unwrap_or(0),
            batch_idx: at(&c.batch_idx, row),
            queue_id: self.queue.get(at(&c.queue_id, row))?.unwrap_or(0),
        })
    }

    fn counters(&self, ts: Nanos, c: &proto::Counters) -> Result<Counters, Malformed> {
        let errnos = |counters: &[proto::ErrnoCounter]| {
            counters.iter().map(|c| ErrnoCounter { ret: c.ret, count: c.count }).collect()
        };
        let upcalls = c.upcalls.iter().map(|c| {
            Ok(UpcallCounter {
                dp: DpIfindex(c.dp),
                in_port: PortNo(c.in_port),
                cmd: cmd(c.cmd)?,
                port: c.port,
                cpu: match c.cpu {
                    0 => None,
                    n => Some(u32::try_from(n - 1).map_err(|_| Malformed("a CPU that is too big"))?),
                },
                ret: c.ret,
                count: c.count,
            })
        });
        let datapaths = c.datapaths.iter().map(|c| DpCounters {
            dp: DpIfindex(c.dp),
            table: c.table,
            hits: c.hits,
            misses: c.misses,
            mask_hits: c.mask_hits,
            cache_hits: c.cache_hits,
        });
        Ok(Counters {
            datapaths: datapaths.collect(),
            upcalls: upcalls.collect::<Result<_, _>>()?,
            puts: errnos(&c.puts),
            execs: errnos(&c.execs),
            dels: errnos(&c.dels),
            received: c.received,
            flows: c.flows.as_ref().map_or(Ok(vec![]), |flows| self.flows(ts, flows))?,
            flow_hits_uncounted: c.flow_hits_uncounted,
            drops: c.drops.iter().map(sums::to_drop).collect(),
            handlers: c.handlers.iter().map(sums::to_handler).collect(),
            stages: c.stages.iter().map(sums::to_stage).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
        })
    }

    fn flows(&self, ts: Nanos, c: &proto::FlowCounters) -> Result<Vec<FlowCounter>, Malformed> {
        let rows = c.hits.len();
        if [&c.table, &c.flow, &c.sf_acts, &c.ufid].iter().any(|c| !fits(c.len(), rows))
            || !fits(c.last.len(), rows)
            || !fits(c.bytes.len(), rows)
        {
            return Err(RAGGED);
        }
        let pointer = |place| Ok(at_place(&self.message.pointers, place)?.unwrap_or(0));
        (0..rows)
            .map(|row| {
                Ok(FlowCounter {
                    table: pointer(at(&c.table, row))?,
                    flow: FlowPtr(pointer(at(&c.flow, row))?),
                    sf_acts: FlowPtr(pointer(at(&c.sf_acts, row))?),
                    ufid: at_place(&self.ufids, at(&c.ufid, row))?,
                    hits: at(&c.hits, row),
                    bytes: at(&c.bytes, row).checked_sub(1),
                    last: ts.wrapping_sub(at(&c.last, row).cast_unsigned()),
                })
            })
            .collect()
    }
}

fn ufid(bytes: &[u8; 16]) -> Ufid {
    let (words, _) = bytes.as_chunks::<4>();
    Ufid([words[0], words[1], words[2], words[3]].map(u32::from_be_bytes))
}

fn cmd(number: u32) -> Result<UpcallCmd, Malformed> {
    u8::try_from(number).map(UpcallCmd::from).map_err(|_| Malformed("an upcall's command that is too big"))
}

/// A dictionary of names, each with two numbers.
fn named_pairs(names: &[Vec<u8>], one: &[u32], two: &[u32]) -> Result<Vec<(Comm, u32, u32)>, Malformed> {
    if one.len() != names.len() || two.len() != names.len() {
        return Err(RAGGED);
    }
    let entries = names.iter().zip(one).zip(two).map(|((name, &one), &two)| {
        let mut comm = Comm::default();
        comm.0.get_mut(..name.len()).ok_or(Malformed("a name of more than 16 bytes"))?.copy_from_slice(name);
        Ok((comm, one, two))
    });
    entries.collect()
}
