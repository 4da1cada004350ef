/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Short names for what many events share: the task that ran and the device that a packet is at.
 *
 * Events of packets carry a number; what it stands for is told once, in an event of its own that comes before them. A
 * CPU remembers what it told last of some tasks and devices and compares every byte, once a jiffy for each (1 to 10 ms):
 * a renamed device or a thread with a new name gets a new number. Within a jiffy they are known by their addresses. */
#ifndef OVSCOPE_NAMES_H
#define OVSCOPE_NAMES_H

static __noinline int named_anew(struct named *n, __u64 now)
{
	if (!n)
		return 0;
	n->task.at = 0;
	for (int i = 0; i < SEEN_DEVS; i++)
		n->devs_seen[i].at = 0;
	*(volatile __u64 *)&n->jiffies = now;
	return 0;
}

/* Before a task's or a device's number is asked for. */
static __always_inline void named_now(struct named *n)
{
	__u64 now = bpf_jiffies64();

	if (n->jiffies != now)
		named_anew(n, now);
}

/* What interrupts this on its CPU sees the one or the other, never an address with another's number. */
static __always_inline void seen_is(struct seen *seen, __u64 at, __u32 number, __u32 tid)
{
	*(volatile __u64 *)&seen->at = 0;
	seen->tid = tid;
	*(volatile __u32 *)&seen->number = number;
	*(volatile __u64 *)&seen->at = at;
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

static __noinline __u32 task_compare(struct named *n)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct named_task *known;
	__u32 number, tid;
	__u64 comm[2];

	if (!n)
		return 0;
	tid = get(task, pid);
	known = &n->tasks[tid & (NAMED_TASKS - 1)];
	get_words(comm, task, comm);
	number = known->number;
	if (!number || known->tid != tid || known->comm[0] != comm[0] || known->comm[1] != comm[1])
		number = tell_task(n, known);
	/* What could not be told is tried again with the next event. */
	if (number)
		seen_is(&n->task, (__u64)task, number, tid);
	return number;
}

/* The number of the task that runs; 0 where it could not be told. */
static __always_inline __u32 task_number(struct named *n)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	/* The address alone may be a later thread's. What interrupts this is of the same task. */
	if (n->task.at == (__u64)task && n->task.tid == (__u32)get(task, pid))
		return n->task.number;
	return task_compare(n);
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

static __noinline __u32 dev_compare(struct named *n, struct net_device *dev, struct seen *seen)
{
	__u32 ifindex = get(dev, ifindex), netns = get(dev, nd_net.net, ns.inum), number;
	struct named_dev *known;
	__u64 name[2];

	if (!n || !seen)
		return 0;
	known = &n->devs[(ifindex ^ netns) & (NAMED_DEVS - 1)];
	get_words(name, dev, name);
	number = known->number;
	if (!number || known->ifindex != ifindex || known->netns != netns || known->name[0] != name[0] ||
	    known->name[1] != name[1])
		number = tell_dev(n, known, dev);
	if (number)
		seen_is(seen, (__u64)dev, number, 0);
	return number;
}

/* The number of a device; 0 where it could not be told. */
static __always_inline __u32 dev_number(struct named *n, struct net_device *dev)
{
	__u64 address = as_number((__u64)dev);
	struct seen *seen = &n->devs_seen[(address >> 5 ^ address >> 12) & (SEEN_DEVS - 1)];
	__u32 number;

	if (*(volatile __u64 *)&seen->at == address) {
		number = *(volatile __u32 *)&seen->number;
		/* What interrupts this here may have given the place to another device. */
		if (*(volatile __u64 *)&seen->at == address)
			return number;
	}
	return dev_compare(n, dev, seen);
}

#endif
