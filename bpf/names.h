/* SPDX-License-Identifier: GPL-2.0 */
/* Short names for what many events share: the task that ran and the device that a packet is at.
 *
 * Events of packets carry a number; what it stands for is told once, in an event of its own that comes before them. A
 * CPU remembers what it told last of some tasks and devices and compares every byte, once a jiffy for each (1 to 10 ms):
 * a renamed device or a thread with a new name gets a new number. */
#ifndef OVSCOPE_NAMES_H
#define OVSCOPE_NAMES_H

#define NAMED_TASKS 32
#define NAMED_DEVS 32

struct named_task {
	__u64 comm[2];
	__u32 tid;
	__u32 number; /* 0: not told */
};

struct named_dev {
	__u64 name[2];
	__u32 ifindex;
	__u32 netns;
	__u32 number;
	__u32 pad;
};

/* Devices that were compared lately, by their addresses. */
#define SEEN_DEVS 32

struct seen {
	__u64 at;      /* the task or the device */
	__u64 jiffies; /* when it was compared */
	__u32 number;
	__u32 tid;     /* of a task */
};

struct named {
	struct seen task;
	struct seen seen[SEEN_DEVS];
	__u64 address; /* an address that is stored and read again is a number to the verifier */
	struct named_task tasks[NAMED_TASKS];
	struct named_dev devs[NAMED_DEVS];
	__u32 given;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct named);
} named SEC(".maps");

static __always_inline struct named *this_named(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&named, &zero);
}

/* Unique on this host for a million names of a CPU: what goes by them is read long before. Never 0. */
static __always_inline __u32 next_number(__u32 *given)
{
	__u32 n = ++*given & 0xfffff;

	return (bpf_get_smp_processor_id() << 20) | (n ? n : ++*given & 0xfffff);
}

__noinline __u32 tell_task(struct named *n, struct named_task *known)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct wire_task *e;

	if (!n || !known)
		return 0;
	known->number = 0;
	known->tid = BPF_CORE_READ(task, pid);
	bpf_probe_read_kernel(known->comm, NAME_LEN, task->comm);
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		tally(TALLY_RING_FULL);
		return 0;
	}
	e->kind = WIRE_TASK;
	e->number = known->number = next_number(&n->given);
	e->tid = known->tid;
	e->pid = BPF_CORE_READ(task, tgid);
	__builtin_memcpy(e->comm, known->comm, NAME_LEN);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return known->number;
}

/* The number of the task that runs; 0 where it could not be told. */
static __always_inline __u32 task_number(struct named *n)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	__u64 comm[2], now = bpf_jiffies64();
	struct named_task *known;
	__u32 tid = get(task, pid);
	__u32 number;

	if (n->task.jiffies == now && n->task.at == (__u64)task && n->task.tid == tid)
		return n->task.number;
	known = &n->tasks[tid & (NAMED_TASKS - 1)];
	get_words(comm, task, comm);
	number = known->number;
	if (!number || known->tid != tid || known->comm[0] != comm[0] || known->comm[1] != comm[1])
		number = tell_task(n, known);
	/* What could not be told is tried again with the next event. */
	if (number) {
		n->task.at = (__u64)task;
		n->task.tid = tid;
		n->task.number = number;
		n->task.jiffies = now;
	}
	return number;
}

static __noinline __u32 tell_dev(struct named *n, struct named_dev *known, struct net_device *dev)
{
	struct wire_device *e;

	if (!n || !known)
		return 0;
	known->number = 0;
	bpf_probe_read_kernel(known->name, NAME_LEN, dev->name);
	known->ifindex = BPF_CORE_READ(dev, ifindex);
	known->netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		tally(TALLY_RING_FULL);
		return 0;
	}
	e->kind = WIRE_DEVICE;
	e->number = known->number = next_number(&n->given);
	e->ifindex = known->ifindex;
	e->netns = known->netns;
	__builtin_memcpy(e->name, known->name, NAME_LEN);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return known->number;
}

static __always_inline __u32 dev_compare(struct named *n, struct net_device *dev)
{
	__u32 ifindex = get(dev, ifindex), netns = get(dev, nd_net.net, ns.inum);
	struct named_dev *known = &n->devs[(ifindex ^ netns) & (NAMED_DEVS - 1)];
	__u64 name[2];

	get_words(name, dev, name);
	if (known->number && known->ifindex == ifindex && known->netns == netns && known->name[0] == name[0] &&
	    known->name[1] == name[1])
		return known->number;
	return tell_dev(n, known, dev);
}

/* The number of a device; 0 where it could not be told. */
static __always_inline __u32 dev_number(struct named *n, struct net_device *dev)
{
	__u64 now = bpf_jiffies64(), address;
	struct seen *seen;
	__u32 number;

	*(volatile __u64 *)&n->address = (__u64)dev;
	address = *(volatile __u64 *)&n->address;
	seen = &n->seen[(address >> 5 ^ address >> 12) & (SEEN_DEVS - 1)];
	number = seen->number;
	if (seen->jiffies == now && seen->at == (__u64)dev && number)
		return number;
	number = dev_compare(n, dev);
	seen->number = number;
	seen->at = (__u64)dev;
	seen->jiffies = now;
	return number;
}

#endif
