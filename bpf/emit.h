/* SPDX-License-Identifier: GPL-2.0 */
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

/* Addresses to reckon with: what is read in place is a pointer to newer kernels' verifiers, also where it is one to
 * bytes, and these may not be cut to 32 bits. */
#define address_of(skb, which) ((__u64)BPF_CORE_READ(skb, which))

/* Its first bytes, from `start` on. At OVS's hooks skb->data is at the Ethernet header. */
static __noinline int emit_bytes(struct sk_buff *skb, __u64 start, __u64 packet, __u64 ts, __u32 task)
{
	struct wire_packet *e = reserve(struct wire_packet);
	__u32 captured;

	if (!e)
		return 0;
	e->ts = ts;
	e->packet = packet;
	e->kind = WIRE_PACKET;
	e->cpu = bpf_get_smp_processor_id();
	e->task = task;
	e->len = get(skb, len) + (address_of(skb, data) - start);
	captured = e->len - get(skb, data_len);
	if (captured > cfg_snaplen)
		captured = cfg_snaplen;
	if (captured > SNAPLEN_MAX)
		captured = SNAPLEN_MAX;
	if (bpf_probe_read_kernel(e->data, captured, (void *)start))
		captured = 0;
	e->captured = captured;
	e->vlan_proto = e->vlan_tci = 0;
	if (has_vlan_tag(skb)) {
		e->vlan_proto = get(skb, vlan_proto);
		e->vlan_tci = get(skb, vlan_tci);
	}
	submit(e);
	return 0;
}

#endif
