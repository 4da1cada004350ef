/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events into the ring buffer. */
#ifndef OVSCOPE_EMIT_H
#define OVSCOPE_EMIT_H

/* The reader looks by itself many times a second: waking it up for each event would cost more than the event. */
static __always_inline void submit(void *event)
{
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

static __always_inline void fill_head(struct wire_head *head, __u32 kind, __u64 ts, __u64 packet, __u64 upcall)
{
	__u64 task = bpf_get_current_pid_tgid();

	head->ts = ts;
	head->packet = packet;
	head->upcall = upcall;
	head->pid = task >> 32;
	head->tid = task;
	head->cpu = bpf_get_smp_processor_id();
	head->kind = kind;
	bpf_get_current_comm(head->comm, sizeof(head->comm));
}

#define reserve(type)                                                   \
	({                                                              \
		type *reserved = bpf_ringbuf_reserve(&ring, sizeof(type), 0); \
		if (!reserved)                                          \
			tally(TALLY_RING_FULL);                         \
		reserved;                                               \
	})

/* The outer VLAN tag stands beside the packet, also where no hardware took it off. */
static __always_inline bool has_vlan_tag(struct sk_buff *skb)
{
	struct sk_buff___present *old = (void *)skb;

	if (bpf_core_field_exists(old->vlan_present))
		return get_bits(old, vlan_present);
	return get(skb, vlan_proto) || get(skb, vlan_tci);
}

/* An address to reckon with. Newer kernels' verifiers hold that what is read in place is a pointer, also where it is one
 * to bytes, of which no half may be kept; its bytes in the other order, and back again, are a number to all of them. */
#ifdef OVSCOPE_KPROBES
#define address_of(skb, which) ((__u64)get(skb, which))
#else
#define address_of(skb, which) as_number((__u64)get(skb, which))
#endif

static __always_inline __u64 as_number(__u64 address)
{
	asm volatile("%0 = be64 %0\n%0 = be64 %0" : "+r"(address));
	return address;
}

/* A packet's first bytes, from `start` on. At OVS's hooks skb->data is at the Ethernet header. */
static __always_inline void fill_bytes(struct wire_bytes *b, struct sk_buff *skb, __u64 start, __u64 ts, __u32 task)
{
	__u32 captured;

	b->ts = ts;
	b->cpu = bpf_get_smp_processor_id();
	b->task = task;
	b->len = get(skb, len) + (address_of(skb, data) - start);
	captured = b->len - get(skb, data_len);
	if (captured > cfg_snaplen)
		captured = cfg_snaplen;
	if (captured > SNAPLEN_MAX)
		captured = SNAPLEN_MAX;
	if (bpf_probe_read_kernel(b->data, captured, (void *)start))
		captured = 0;
	b->captured = captured;
	b->vlan_proto = b->vlan_tci = 0;
	b->pad = 0;
	if (has_vlan_tag(skb)) {
		b->vlan_proto = get(skb, vlan_proto);
		b->vlan_tci = get(skb, vlan_tci);
	}
}

/* Tells them at once: of a packet that has no track, or whose track another CPU is at work on. */
static __noinline int tell_bytes(struct sk_buff *skb, __u64 start, __u64 packet, __u64 ts, __u32 task)
{
	struct wire_packet *e = reserve(struct wire_packet);

	if (!e)
		return 0;
	e->packet = packet;
	e->zero[0] = e->zero[1] = e->zero[2] = 0;
	e->pad = 0;
	e->kind = WIRE_PACKET;
	fill_bytes(&e->bytes, skb, start, ts, task);
	submit(e);
	return 0;
}

#endif
