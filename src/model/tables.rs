//! Ports and handlers: what a row of their tables says, and what handlers were seen to do.

use hdrhistogram::Histogram;

use super::{
    latency::{nanos_histogram, percentiles},
    limits::{Evicted, Limits},
    meter::{LastTen, Meter, SECOND},
    ordered::Ordered,
};
use crate::event::{Comm, DpIfindex, Event, HandlerSched, Nanos, PortNo, UpcallRecv};

/// A port's upcalls, exact (kernel side counters).
#[derive(Debug, Clone, PartialEq)]
pub struct PortRow {
    /// Its datapath.
    pub dp: DpIfindex,
    /// Its number.
    pub port: PortNo,
    /// Its name, if the port is known. From outside: may hold anything.
    pub name: Option<String>,
    /// Its kind: netdev, internal, vxlan, …
    pub kind: Option<String>,
    /// Misses that went up.
    pub misses: u64,
    /// Upcalls by a `userspace` action.
    pub actions: u64,
    /// Upcalls for any other reason.
    pub others: u64,
    /// Those of all these that were lost.
    pub lost: u64,
    /// Misses per second, over the last second or two.
    pub miss_rate: f64,
    /// Action upcalls per second.
    pub action_rate: f64,
    /// Lost per second.
    pub lost_rate: f64,
}

/// A handler's thread. From the upcalls seen in detail: where the event budget left some out
/// ([`Loss::upcalls_over_budget`](crate::event::Loss::upcalls_over_budget)), a sample, but for `upcalls`.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerRow {
    /// Its thread id.
    pub tid: u32,
    /// Its name.
    pub comm: Comm,
    /// The netlink port it last received on.
    pub port: u32,
    /// Upcalls to the netlink ports that it was the last to receive on, since the probes were attached: exact. With
    /// per-vport dispatch several threads share these ports.
    pub upcalls: u64,
    /// The same per second, over the last second or two.
    pub upcall_rate: f64,
    /// Those of them that could not be queued.
    pub lost: u64,
    /// Messages seen to be received.
    pub received: u64,
    /// Received per second, over the last ten.
    pub receive_rate: f64,
    /// Batches seen, not counting the running one. A message that is reported after four later batches began is in none.
    pub batches: u64,
    /// Messages in a batch, on average. 0 before the first batch is complete.
    pub batch_mean: f64,
    /// Messages in the largest batch.
    pub batch_max: u32,
    /// Half of the messages of the last 10 to 20 seconds waited at most this, in nanoseconds; none where there were none.
    pub wait_p50: Option<u64>,
    /// 99 % of them.
    pub wait_p99: Option<u64>,
    /// When it last received.
    pub last: Nanos,
    /// What the scheduler did with it; none where that is not looked at.
    pub scheduled: Option<Scheduled>,
}

/// What a thread did over the last second or two, exact: parts of the time, 0 to 1, that add up to about 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scheduled {
    /// It slept: it had nothing to do, or waited for something.
    pub asleep: f64,
    /// It was woken or preempted, and did not get a CPU.
    pub runnable: f64,
    /// It ran.
    pub running: f64,
    /// The longest it was runnable without a break since it first received an upcall, in nanoseconds.
    pub runnable_max_ns: u64,
}

/// A thread's times so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Times {
    asleep: Meter,
    runnable: Meter,
    running: Meter,
    runnable_max_ns: u64,
}

/// Threads whose times are kept: as many as the kernel side looks at.
const TIMES_MAX: usize = 512;

/// Batches of a thread that may still grow.
const OPEN_BATCHES: usize = 4;

/// What was seen of a handler's thread.
#[derive(Debug, Clone, PartialEq)]
pub struct Handler {
    pub tid: u32,
    pub comm: Comm,
    pub port: u32,
    pub received: u64,
    batches: u64,
    batch_sum: u64,
    batch_max: u32,
    pub last: Nanos,
    recent: LastTen,
    /// The last batches, including the running one: when each began, rising, and its messages so far. As a thread moves between
    /// CPUs, the end of one batch may be reported after the beginning of the next.
    open: [(Nanos, u32); OPEN_BATCHES],
    /// Waits of the running ten seconds and of those before: tens of seconds, values, maximum.
    waits: [(u64, Histogram<u32>, u64); 2],
}

impl Handler {
    fn new(tid: u32) -> Self {
        Self {
            tid,
            comm: Comm::default(),
            port: 0,
            received: 0,
            batches: 0,
            batch_sum: 0,
            batch_max: 0,
            last: 0,
            recent: LastTen::default(),
            open: [(0, 0); OPEN_BATCHES],
            waits: [(0, nanos_histogram(), 0), (0, nanos_histogram(), 0)],
        }
    }

    fn note(&mut self, event: &Event, e: &UpcallRecv) {
        if event.ts >= self.last {
            self.comm = event.comm;
            self.port = e.port;
        }
        self.received = self.received.saturating_add(1);
        self.last = self.last.max(event.ts);
        self.recent.add(event.ts / SECOND, 1);
        self.note_batch(e.batch_ts, e.batch_idx.saturating_add(1));
        let tens = event.ts / (10 * SECOND);
        if tens > self.waits[0].0 {
            self.waits.swap(0, 1);
            begin_waits(&mut self.waits[0], tens);
        } else if tens + 1 == self.waits[0].0 && self.waits[1].0 != tens {
            begin_waits(&mut self.waits[1], tens);
        }
        if let Some((_, values, max)) = self.waits.iter_mut().find(|(of, ..)| *of == tens) {
            values.saturating_record(e.wait_ns);
            *max = (*max).max(e.wait_ns);
        }
    }

    /// Takes a message of a batch; its place shows how many the batch has at least.
    fn note_batch(&mut self, begin: Nanos, messages: u32) {
        if let Some((_, most)) = self.open.iter_mut().find(|(of, most)| *of == begin && *most > 0) {
            *most = messages.max(*most);
            return;
        }
        // The oldest is complete; where this one is older still, it is one of those that are.
        let [(oldest, most), ..] = self.open;
        if most > 0 && begin < oldest {
            return;
        }
        if most > 0 {
            self.batches = self.batches.saturating_add(1);
            self.batch_sum = self.batch_sum.saturating_add(u64::from(most));
            self.batch_max = self.batch_max.max(most);
        }
        self.open[0] = (begin, messages);
        self.open.sort_unstable_by_key(|&(begin, most)| (most > 0, begin));
    }

    /// Its batches, not counting the running one: how many, messages in all of them, and in the largest.
    pub fn batches(&self) -> (u64, u64, u32) {
        let done = self.open[..OPEN_BATCHES - 1].iter().map(|(_, most)| *most).filter(|most| *most > 0);
        done.fold((self.batches, self.batch_sum, self.batch_max), |(batches, sum, max), most| {
            (batches.saturating_add(1), sum.saturating_add(u64::from(most)), max.max(most))
        })
    }

    /// Received in the ten seconds up to `now`.
    pub fn received_recently(&self, now: Nanos) -> u64 {
        self.recent.total(now / SECOND)
    }

    /// Half and 99 % of the waits, of the running ten seconds and those before.
    pub fn waits(&self, now: Nanos) -> Option<(u64, u64)> {
        let tens = now / (10 * SECOND);
        let (mut all, mut longest) = (nanos_histogram(), 0);
        for (_, values, max) in self.waits.iter().filter(|(of, ..)| tens.saturating_sub(*of) <= 1) {
            // Both have the same shape: adding them cannot fail.
            let _ = all.add(values);
            longest = longest.max(*max);
        }
        percentiles(&all, longest).map(|p| (p.p50, p.p99))
    }
}

fn begin_waits((of, values, max): &mut (u64, Histogram<u32>, u64), tens: u64) {
    *of = tens;
    values.reset();
    *max = 0;
}

/// All handlers' threads kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Handlers {
    by_tid: Ordered<u32, Handler>,
    /// Who last received on a netlink port, and when.
    by_port: Ordered<u32, (u32, Nanos)>,
    /// What the scheduler did with each thread.
    times: Ordered<u32, Times>,
}

impl Handlers {
    /// A handler received a message.
    pub fn apply(&mut self, event: &Event, e: &UpcallRecv, limits: &Limits, evicted: &mut Evicted) {
        if !self.by_tid.contains_key(&event.tid) && self.by_tid.len() >= limits.handlers.max(1) {
            let oldest = self.by_tid.values().enumerate().min_by_key(|(_, handler)| handler.last).map(|(at, _)| at);
            if let Some((_, gone)) = oldest.and_then(|at| self.by_tid.swap_remove_index(at)) {
                self.by_port.retain(|_, (tid, _)| *tid != gone.tid);
            }
            evicted.handlers += 1;
        }
        let has_room = self.by_port.len() < limits.upcall_kinds.max(1);
        // With one socket for each port of the datapath, a thread has many, and several share one.
        match self.by_port.get_mut(&e.port) {
            Some(last) if last.1 <= event.ts => *last = (event.tid, event.ts),
            None if has_room => {
                self.by_port.insert(e.port, (event.tid, event.ts));
            }
            _ => {}
        }
        self.by_tid.entry(event.tid).or_insert_with(|| Handler::new(event.tid)).note(event, e);
    }

    /// Takes a reading at `ts`, after the one at `before`, if there was one.
    pub fn schedule(&mut self, before: Option<Nanos>, ts: Nanos, readings: &[HandlerSched]) {
        let mut last = std::mem::take(&mut self.times);
        for reading in readings.iter().take(TIMES_MAX) {
            let mut times = last.swap_remove(&reading.tid).unwrap_or_default();
            let values = [reading.asleep_ns, reading.runnable_ns, reading.running_ns];
            for (meter, value) in [&mut times.asleep, &mut times.runnable, &mut times.running].into_iter().zip(values) {
                match before {
                    Some(before) if value >= meter.value() => meter.set(before, ts, value),
                    _ => meter.start(ts, value),
                }
            }
            times.runnable_max_ns = reading.runnable_max_ns;
            self.times.insert(reading.tid, times);
        }
    }

    /// What the scheduler did with a thread, as of the counters' reading at `now`.
    pub fn scheduled(&self, tid: u32, now: Nanos) -> Option<Scheduled> {
        let times = self.times.get(&tid)?;
        let share = |meter: &Meter| meter.rate(now) / SECOND as f64;
        Some(Scheduled {
            asleep: share(&times.asleep),
            runnable: share(&times.runnable),
            running: share(&times.running),
            runnable_max_ns: times.runnable_max_ns,
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Handler> {
        self.by_tid.values()
    }

    /// The thread that last received on a netlink port.
    pub fn of_port(&self, port: u32) -> Option<(u32, Comm)> {
        let handler = self.by_tid.get(&self.by_port.get(&port)?.0)?;
        Some((handler.tid, handler.comm))
    }

    /// The netlink ports that a thread last received on.
    pub fn ports_of(&self, tid: u32) -> impl Iterator<Item = u32> + '_ {
        self.by_port.iter().filter(move |(_, (of, _))| *of == tid).map(|(port, _)| *port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_time_is_parted_into_what_it_did() {
        let reading = |n: u64| HandlerSched {
            tid: 7,
            asleep_ns: n * SECOND / 2,
            runnable_ns: n * SECOND * 3 / 8,
            running_ns: n * SECOND / 8,
            runnable_max_ns: 5_000_000,
            switches: n,
        };
        let mut handlers = Handlers::default();
        handlers.schedule(None, SECOND, &[reading(1)]);
        for n in 2..=5 {
            handlers.schedule(Some((n - 1) * SECOND), n * SECOND, &[reading(n)]);
        }
        let scheduled = handlers.scheduled(7, 5 * SECOND).expect("it is looked at");
        let expected = Scheduled { asleep: 0.5, runnable: 0.375, running: 0.125, runnable_max_ns: 5_000_000 };
        assert_eq!(scheduled, expected);
        assert_eq!(handlers.scheduled(8, 5 * SECOND), None);
        handlers.schedule(Some(5 * SECOND), 6 * SECOND, &[]);
        assert_eq!(handlers.scheduled(7, 6 * SECOND), None, "a thread that is gone");
    }
}
