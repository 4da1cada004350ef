/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wire format: what the kernel side puts into the ring buffer. What it keeps in maps is in maps.h.
 *
 * src/probes/wire/ring.rs has the same structs; a test compares every size and offset with the object's BTF. All fields
 * are aligned to their size and no struct has holes: the kernel's verifier and the reader see the same bytes.
 */
#ifndef OVSCOPE_EVENTS_H
#define OVSCOPE_EVENTS_H

#define SNAPLEN_MAX 256
#define ACTION_ARGS_MAX 96
#define ACTION_LONG_MAX 512
#define FLOW_KEY_MAX 384
#define USERDATA_MAX 64 /* a daemon's cookie has 48 */
#define LABELS_LEN 16   /* OVS_CT_LABELS_LEN */
#define HELPER_LEN 16   /* NF_CT_HELPER_NAME_LEN */
#define TIMEOUT_LEN 32  /* CTNL_TIMEOUT_NAME_MAX */
#define STEPS_SHORT 10
#define STEPS_MAX 20
#define STEP_ARGS_MAX 8 /* an action's arguments that fit into a step */

enum wire_kind {
	WIRE_TRACE = 1,
	WIRE_UPCALL = 3,
	WIRE_UPCALL_ENQUEUE = 4,
	WIRE_UPCALL_RETURN = 5,
	WIRE_UPCALL_RECV = 6,
	WIRE_FLOW_PUT = 7,
	WIRE_FLOW_EXEC = 8,
	WIRE_FLOW_DEL = 9,
	WIRE_ACTION = 10,
	WIRE_PACKET = 11,
	WIRE_TASK = 12,
	WIRE_DEVICE = 13,
	WIRE_FLOW = 14,
	WIRE_FLOW_SHAPE = 19,
	WIRE_RECV_UPCALL = 20,
	WIRE_FLOW_OPERATION = 21,
	WIRE_FLOW_RESULT = 22,
	WIRE_REVALIDATION = 23,
	WIRE_ACTION_LONG = 15,
	WIRE_ACTION_CT = 16,
	WIRE_ACTION_TUNNEL = 17,
	WIRE_UPCALL_ACTION = 18,
};

/* What a step is; below STEP_LOOKUP a generic point. */
enum wire_what {
	POINT_NET_DEV_QUEUE = 0,
	POINT_NET_DEV_START_XMIT = 1,
	POINT_NET_DEV_XMIT = 2,
	POINT_NETIF_RX = 3,
	POINT_NETIF_RECEIVE_SKB = 4,
	POINT_SKB_SCRUB_PACKET = 5,
	STEP_LOOKUP = 16,
	STEP_ACTION = 17,
	STEP_DROP = 18,
	STEP_PLACE = 19, /* nothing happened: the steps that follow are of this place in the datapath */
};

/* Before most events; `kind` is at the same place in all of them. packet and upcall are 0 where there is none. */
struct wire_head {
	__u64 ts;
	__u64 packet;
	__u64 upcall;
	__u32 pid;
	__u32 tid;
	__u32 cpu;
	__u32 kind;
	char comm[NAME_LEN];
};

/* Something that happened to a packet. */
struct wire_step {
	__s32 after; /* nanoseconds after the trace's ts */
	__u16 cpu;
	__u8 what;
	__u8 detail; /* an action: which */
	__u32 task;  /* a wire_task's number; 0: unknown */
	__u32 a; /* a point: the wire_device's number; a lookup: the wire_flow's, 0 for a miss; an action: bytes of arguments; a drop: the reason; a place: the datapath */
	__u32 b; /* a point: bytes in the packet; a lookup: masks tried; an action: the first four bytes; a drop: where, lower half; a place: the port */
	__u32 c; /* a point: the driver's answer; a lookup: masks from the cache; an action: the next four; a drop: upper half; a place: recirc_id */
};

/* What happened to one packet since its last trace. dp, in_port and recirc_id are of its steps in the datapath, up to the
 * first STEP_PLACE. An action's arguments may have more bytes than a step holds. */
struct wire_trace {
	__u64 ts;
	__u64 packet;
	__u64 upcall;
	__u32 count;
	__u32 dp;
	__u32 in_port;
	__u32 kind;
	__u64 queue_id;
	__u32 recirc_id;
	__u32 has_bytes; /* 1: it is a wire_whole_trace */
	struct wire_step steps[STEPS_SHORT];
};

struct wire_long_trace {
	struct wire_trace trace;
	struct wire_step more[STEPS_MAX - STEPS_SHORT];
};

/* A packet's first bytes, as they were at a moment. */
struct wire_bytes {
	__u64 ts;
	__u32 task;
	__u32 cpu;
	__u32 captured; /* of data */
	__u32 len;      /* of the packet */
	__be16 vlan_proto; /* of the outer tag where it stands beside the data, else 0 */
	__u16 vlan_tci;
	__u32 pad;
	__u8 data[SNAPLEN_MAX];
};

/* The first trace of a packet that is recorded, with its bytes. It may have no steps. */
struct wire_whole_trace {
	struct wire_long_trace steps;
	struct wire_bytes bytes;
};

/* From here on this number is this task, this device, this flow. */
struct wire_task {
	__u64 zero;
	char comm[NAME_LEN];
	__u32 number;
	__u32 tid;
	__u32 pid;
	__u32 kind;
};

struct wire_device {
	__u64 zero;
	char name[NAME_LEN];
	__u32 number;
	__u32 ifindex;
	__u32 netns;
	__u32 kind;
};

struct wire_flow {
	__u64 flow;
	__u64 sf_acts;
	__u64 pad;
	__u32 number;
	__u32 ufid_len;
	__u32 dp;
	__u32 kind;
	__u64 ufid[2];
};

struct wire_upcall {
	struct wire_head head;
	__u32 dp;
	__u32 in_port;
	__u32 recirc_id;
	__u32 cmd;
	__u32 portid;
	__u32 mru;
	__u32 len;
	__u32 skb_hash;
};

/* Made by an action: with what the daemon put into that. */
struct wire_upcall_action {
	struct wire_upcall upcall;
	__u32 userdata_len; /* what is in userdata is at most USERDATA_MAX of it */
	__u32 pad;
	__u8 userdata[USERDATA_MAX];
};

struct wire_enqueue {
	struct wire_head head;
	__u64 upcall_ts;
	__u64 queue_id;
	__u32 upcall_cpu;
	__s32 ret;
	__u32 cmd;
	__u32 portid;
	__u32 index;
	__u32 pad;
};

struct wire_return {
	struct wire_head head;
	__u64 upcall_ts;
	__u32 upcall_cpu;
	__s32 ret;
};

struct wire_recv {
	struct wire_head head;
	__u64 queue_id;
	__u64 wait_ns;
	__u64 batch_ts;
	__u32 batch_idx;
	__u32 portid;
	__u32 pkt_size;
	__u32 key_size;
};

/* A put, an exec or a delete, by head.kind. */
struct wire_op {
	struct wire_head head;
	__u64 queue_id;
	__u64 took_ns;
	__u64 batch_ts;
	__u32 ufid[4];
	__u32 batch_idx;
	__u32 dp;
	__s32 ret;
	__u32 ufid_len;
	__u32 set; /* a put: 1 when it changed a flow */
	__u32 len; /* an exec: bytes in the packet */
};

/* Before every action. */
struct wire_action_head {
	struct wire_head head;
	__u64 queue_id;
	__u32 dp;
	__u32 in_port;
	__u32 recirc_id;
	__u16 nla_type;
	__u16 args_len; /* of the attribute; what is in args is at most their size of it */
};

struct wire_action {
	struct wire_action_head action;
	__u8 args[ACTION_ARGS_MAX];
};

/* With a list of actions in it, or more arguments than fit. */
struct wire_action_long {
	struct wire_action_head action;
	__u32 set_to_masked; /* the kernel's number for it, which may stand in a list; 0: it has none */
	__u32 pad;
	__u8 args[ACTION_LONG_MAX];
};

#define CT_COMMIT (1 << 0)
#define CT_FORCE (1 << 1)
#define CT_NAT_SHIFT 2 /* three bits: any, source, destination */

/* A ct, from the kernel's struct ovs_conntrack_info. */
struct wire_action_ct {
	struct wire_action_head action;
	__u16 zone;
	__u16 family; /* NFPROTO_* */
	__u32 flags;  /* CT_* */
	__u32 mark;
	__u32 mark_mask;
	__u8 labels[LABELS_LEN];
	__u8 labels_mask[LABELS_LEN];
	__u32 nat_flags; /* NF_NAT_RANGE_* */
	__be16 min_port;
	__be16 max_port;
	__u8 min_addr[16];
	__u8 max_addr[16];
	char helper[HELPER_LEN];
	char timeout[TIMEOUT_LEN];
};

/* A set of a tunnel's metadata, from the kernel's struct ip_tunnel_info. */
struct wire_action_tunnel {
	struct wire_action_head action;
	__be64 tun_id;
	__u8 src[16]; /* of IPv4 the first four */
	__u8 dst[16];
	__u32 flags; /* TUNNEL_*, bit by bit as IP_TUNNEL_*_BIT */
	__be16 tp_src;
	__be16 tp_dst;
	__u8 tos;
	__u8 ttl;
	__u8 mode; /* IP_TUNNEL_INFO_* */
	__u8 options_len;
	__u32 pad;
};

/* The bytes of a packet that has no track to keep them. */
struct wire_packet {
	__u64 packet;
	__u64 zero[3];
	__u32 pad;
	__u32 kind;
	struct wire_bytes bytes;
};

/* What a new flow matches: the payloads of OVS_FLOW_ATTR_KEY and _MASK. */
struct wire_flow_shape {
	struct wire_head head;
	__u64 left_out; /* new flows so far that this was not told of */
	__u32 ufid[4];
	__u32 ufid_len;
	__u32 dp;
	__u32 key_len;
	__u32 mask_len; /* 0: every bit counts */
	__u32 actions_len;
	__u32 pad;
	__u8 key[FLOW_KEY_MAX];
	__u8 mask[FLOW_KEY_MAX];
};

/* What the daemon tells by its USDT probes. */

struct wire_recv_upcall {
	struct wire_head head;
	__u64 queue_id; /* 0: tied to no message */
	__u64 batch_ts;
	__u32 batch_idx;
	__u32 upcall_type; /* enum dpif_upcall_type in lib/dpif.h */
	__u32 pkt_size;
	__u32 key_size;
};

struct wire_flow_operation {
	struct wire_head head;
	__u64 queue_id; /* 0: tied to no message */
	__u64 batch_ts;
	__u32 ufid[4];
	__u32 batch_idx;
	__u32 op; /* enum op_kind */
	__u32 ufid_len;
	__u32 pad;
};

struct wire_flow_result {
	struct wire_head head;
	__u32 ufid[4];
	__u32 ufid_len;
	__u32 result; /* enum reval_result in ofproto/ofproto-dpif-upcall.c */
	__u32 reason; /* enum flow_del_reason there */
	__u32 sweep;  /* 1: by the sweep after the dump */
};

/* head.ts is its begin. */
struct wire_revalidation {
	struct wire_head head;
	__u64 took_ns;
	__u64 n_flows;
	__u32 interval_ms;
	__u32 pad;
};

/* A compiler writes down only the types that a variable or a function has: these, for the comparison with src/probes/wire. */
union ring_types {
	struct wire_head wire_head;
	struct wire_step wire_step;
	struct wire_trace wire_trace;
	struct wire_long_trace wire_long_trace;
	struct wire_bytes wire_bytes;
	struct wire_whole_trace wire_whole_trace;
	struct wire_task wire_task;
	struct wire_device wire_device;
	struct wire_flow wire_flow;
	struct wire_upcall wire_upcall;
	struct wire_upcall_action wire_upcall_action;
	struct wire_enqueue wire_enqueue;
	struct wire_return wire_return;
	struct wire_recv wire_recv;
	struct wire_op wire_op;
	struct wire_action_head wire_action_head;
	struct wire_action wire_action;
	struct wire_action_long wire_action_long;
	struct wire_action_ct wire_action_ct;
	struct wire_action_tunnel wire_action_tunnel;
	struct wire_packet wire_packet;
	struct wire_flow_shape wire_flow_shape;
	struct wire_recv_upcall wire_recv_upcall;
	struct wire_flow_operation wire_flow_operation;
	struct wire_flow_result wire_flow_result;
	struct wire_revalidation wire_revalidation;
};
union ring_types *ring_types __attribute__((unused));

#endif
