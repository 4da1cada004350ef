/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's types, as far as they are read. Only names matter: offsets are relocated when the program is loaded
 * (CO-RE), against the running kernel's BTF and the openvswitch module's.
 */
#ifndef OVSCOPE_KERNEL_H
#define OVSCOPE_KERNEL_H

#define NAME_LEN 16 /* TASK_COMM_LEN and IFNAMSIZ */

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u16 __sum16;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* From include/uapi/linux/bpf.h. */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_NO_PREALLOC = 1 };
enum { BPF_RB_NO_WAKEUP = 1 };

/* From include/uapi/linux/openvswitch.h and netlink.h. */
enum { OVS_PACKET_ATTR_PACKET = 1, OVS_PACKET_ATTR_KEY = 2, OVS_PACKET_ATTR_HASH = 11 };
enum { OVS_FLOW_ATTR_KEY = 1, OVS_FLOW_ATTR_ACTIONS = 2, OVS_FLOW_ATTR_MASK = 7, OVS_FLOW_ATTR_UFID = 9 };
/* Only the name counts: the value is relocated. */
enum skb_drop_reason_subsys { SKB_DROP_REASON_SUBSYS_OPENVSWITCH = 1000 };
/* Of the last only the name counts: its value is relocated. */
enum ovs_action_attr {
	OVS_ACTION_ATTR_SET = 3,
	OVS_ACTION_ATTR_SAMPLE = 6,
	OVS_ACTION_ATTR_CT = 12,
	OVS_ACTION_ATTR_CLONE = 20,
	OVS_ACTION_ATTR_CHECK_PKT_LEN = 21,
	OVS_ACTION_ATTR_DEC_TTL = 23,
	OVS_ACTION_ATTR_SET_TO_MASKED = 1000,
};
enum { OVS_PACKET_CMD_ACTION = 2 };
#define NLMSG_HDRLEN 16
#define GENL_HDRLEN 4
#define NLA_HDRLEN 4
#define NLA_TYPE_MASK 0x3fff
#define VLAN_HLEN 4
#define NETLINK_GENERIC 16
#define AF_NETLINK 16
#define MSG_PEEK 2
#define ARPHRD_ETHER 1
#define ARPHRD_LOOPBACK 772
/* From net/openvswitch/flow.h and include/linux/if_ether.h. */
#define MAC_PROTO_ETHERNET 1
#define SW_FLOW_KEY_INVALID 0x80

/* So that registers go by the kernel's names, not by those of its interface to programs. */
#define __VMLINUX_H__
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* The registers that arguments and results are passed in. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di, si, dx, cx, r8, ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
};
#else
#error "say where this machine passes arguments: its struct pt_regs, as bpf/bpf_tracing.h names it"
#endif

struct ns_common {
	unsigned int inum;
};
struct net {
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct task_struct {
	int pid;
	int tgid;
	char comm[NAME_LEN];
};
struct net_device {
	char name[NAME_LEN];
	int ifindex;
	unsigned short type;
	possible_net_t nd_net;
};

/* Of the kernel's types one that is words from its begin on. */
struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned int len;
	unsigned int data_len;
	__u32 hash;
	unsigned char *head;
	unsigned char *data;
	__be16 vlan_proto;
	__u16 vlan_tci;
	__be16 protocol;
	__u16 mac_header;
	char cb[48];
};
/* Whether a tag is beside the packet: a bit up to 6.1, since 6.2 either of the two being set. */
struct sk_buff___present {
	__u8 vlan_present : 1;
};

struct sock_common {
	unsigned short skc_family;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};
struct netlink_sock {
	__u32 portid;
};

struct nlattr {
	__u16 nla_len;
	__u16 nla_type;
};
struct genlmsghdr {
	__u8 cmd;
};
struct genl_info {
	__u32 snd_seq;
	struct genlmsghdr *genlhdr;
	struct nlattr **attrs;
};

/* net/openvswitch */
struct hlist_node {
	struct hlist_node *next;
};
struct hlist_head {
	struct hlist_node *first;
};
struct flow_table {
	unsigned int count;
};
struct callback_head {
	struct callback_head *next;
};
struct datapath {
	struct callback_head rcu;
	struct flow_table table;
	struct hlist_head *ports;
};
struct vport {
	struct net_device *dev;
	struct datapath *dp;
	__u16 port_no;
	struct hlist_node dp_hash_node;
};
struct sw_flow_key {
	struct {
		__u16 in_port;
	} phy;
	__u32 recirc_id;
	__u8 mac_proto;
};
struct sw_flow_id {
	__u32 ufid_len;
	union {
		__u32 ufid[4];
		struct sw_flow_key *unmasked_key;
	};
};
struct sw_flow_actions;
struct sw_flow {
	struct sw_flow_id id;
	struct sw_flow_actions *sf_acts;
};
struct dp_upcall_info {
	struct nlattr *userdata;
	__u32 portid;
	__u8 cmd;
	__u16 mru;
};

#pragma clang attribute pop

/* A field of what a program was given: get(skb, head), get(dev, nd_net.net, ns.inum). The programs of fentry, fexit
 * and tp_btf know their arguments' types and read them in place; those of kprobes and raw tracepoints copy. */
#ifdef OVSCOPE_KPROBES
#define get(from, ...) BPF_CORE_READ(from, __VA_ARGS__)
/* A field of 16 bytes, as two words. */
#define get_words(words, from, field) bpf_core_read(words, 16, &(from)->field)
#define get_bits(from, field) BPF_CORE_READ_BITFIELD_PROBED(from, field)
#else
#define get_words(words, from, field)                       \
	do {                                                \
		(words)[0] = ((__u64 *)&(from)->field)[0];  \
		(words)[1] = ((__u64 *)&(from)->field)[1];  \
	} while (0)
#define get_bits(from, field) BPF_CORE_READ_BITFIELD(from, field)
#define get(...) get_by_count(__VA_ARGS__, get_2, get_1, )(__VA_ARGS__)
#define get_by_count(from, a, b, which, ...) which
#define get_1(from, a) ((from)->a)
#define get_2(from, a, b) ((from)->a->b)
#endif

/* Two words anywhere in the kernel's memory, of which only the first may be wanted: zeros where they cannot be read. */
#ifndef OVSCOPE_KPROBES
/* Since Linux 6.2; costs a tenth of a copy. 6.2 and 6.3 have it and refuse the question whether they do: there the
 * programs that ask stand a rung lower. */
extern void *bpf_rdonly_cast(const void *from, __u32 type) __ksym __weak;
#endif

static __always_inline void read_words(__u32 words[2], const void *from, __u32 count)
{
#ifndef OVSCOPE_KPROBES
	if (bpf_ksym_exists(bpf_rdonly_cast)) {
		struct in6_addr *at = bpf_rdonly_cast(from, bpf_core_type_id_kernel(struct in6_addr));

		words[0] = count > 0 ? at->in6_u.u6_addr32[0] : 0;
		words[1] = count > 1 ? at->in6_u.u6_addr32[1] : 0;
		return;
	}
#endif
	words[0] = words[1] = 0;
	if (count > 1)
		bpf_probe_read_kernel(words, 8, from);
	else if (count)
		bpf_probe_read_kernel(words, 4, from);
}

#endif
