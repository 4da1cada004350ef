/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments of actions that the kernel executes in a form of its own: struct ovs_conntrack_info for ct, a pointer to the
 * tunnel's metadata for set(tunnel(...)). They differ between kernels, so each field is read by its name and given on in
 * the wire's form. Only run when such an action is executed on a recorded packet.
 */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* net/openvswitch/conntrack.c */
struct nf_conntrack_helper {
	char name[HELPER_LEN];
};
struct nf_conntrack_zone {
	__u16 id;
};
struct md_mark {
	__u32 value;
	__u32 mask;
};
struct ovs_key_ct_labels {
	__u8 ct_labels[LABELS_LEN];
};
struct md_labels {
	struct ovs_key_ct_labels value;
	struct ovs_key_ct_labels mask;
};
union nf_inet_addr {
	__u32 all[4];
};
union nf_conntrack_man_proto {
	__be16 all;
};
struct nf_nat_range2 {
	unsigned int flags;
	union nf_inet_addr min_addr;
	union nf_inet_addr max_addr;
	union nf_conntrack_man_proto min_proto;
	union nf_conntrack_man_proto max_proto;
};
struct ovs_conntrack_info {
	struct nf_conntrack_helper *helper;
	struct nf_conntrack_zone zone;
	__u8 commit : 1;
	__u8 nat : 3;
	__u8 force : 1;
	__u16 family;
	struct md_mark mark;
	struct md_labels labels;
	char timeout[TIMEOUT_LEN];
	struct nf_nat_range2 range;
};

/* include/net/ip_tunnels.h, include/net/dst_metadata.h */
struct ip_tunnel_key {
	__be64 tun_id;
	union {
		struct {
			__be32 src;
			__be32 dst;
		} ipv4;
		struct {
			struct in6_addr src;
			struct in6_addr dst;
		} ipv6;
	} u;
	__be16 tun_flags;
	__u8 tos;
	__u8 ttl;
	__be16 tp_src;
	__be16 tp_dst;
};
/* Since 6.10 the flags are a bitmap in the host's order, with the bits where they were. */
struct ip_tunnel_key___bitmap {
	unsigned long tun_flags[1];
};
struct ip_tunnel_info {
	struct ip_tunnel_key key;
	__u8 options_len;
	__u8 mode;
};
struct metadata_dst {
	union {
		struct ip_tunnel_info tun_info;
	} u;
};
struct ovs_tunnel_info {
	struct metadata_dst *tun_dst;
};

#pragma clang attribute pop

/* Of it only the name counts: a userspace that squats on numbers pushed it up. */
enum ovs_key_attr { OVS_KEY_ATTR_TUNNEL_INFO = 1000 };

static __noinline int action_ct_args(struct wire_action_ct *e, struct ovs_conntrack_info *ct)
{
	struct nf_conntrack_helper *helper;
	__u8 nat;

	if (!e)
		return -1;
	e->flags = e->mark = e->mark_mask = e->nat_flags = 0;
	e->min_port = e->max_port = 0;
	__builtin_memset(e->labels, 0, sizeof(e->labels));
	__builtin_memset(e->labels_mask, 0, sizeof(e->labels_mask));
	__builtin_memset(e->min_addr, 0, sizeof(e->min_addr));
	__builtin_memset(e->max_addr, 0, sizeof(e->max_addr));
	__builtin_memset(e->helper, 0, sizeof(e->helper));
	__builtin_memset(e->timeout, 0, sizeof(e->timeout));
	e->zone = BPF_CORE_READ(ct, zone.id);
	e->family = BPF_CORE_READ(ct, family);
	if (BPF_CORE_READ_BITFIELD_PROBED(ct, commit))
		e->flags |= CT_COMMIT;
	if (bpf_core_field_exists(ct->force) && BPF_CORE_READ_BITFIELD_PROBED(ct, force))
		e->flags |= CT_FORCE;
	if (bpf_core_field_exists(ct->mark)) {
		e->mark = BPF_CORE_READ(ct, mark.value);
		e->mark_mask = BPF_CORE_READ(ct, mark.mask);
	}
	if (bpf_core_field_exists(ct->labels)) {
		bpf_core_read(e->labels, sizeof(e->labels), &ct->labels.value);
		bpf_core_read(e->labels_mask, sizeof(e->labels_mask), &ct->labels.mask);
	}
	if (bpf_core_field_exists(ct->timeout))
		bpf_core_read(e->timeout, sizeof(e->timeout), &ct->timeout);
	if (bpf_core_field_exists(ct->helper) && bpf_core_field_exists(((struct nf_conntrack_helper *)ct)->name)) {
		helper = BPF_CORE_READ(ct, helper);
		if (helper)
			bpf_core_read(e->helper, sizeof(e->helper), &helper->name);
	}
	if (bpf_core_field_exists(ct->nat) && bpf_core_field_exists(ct->range)) {
		nat = BPF_CORE_READ_BITFIELD_PROBED(ct, nat);
		/* enum ovs_ct_nat: any, source, destination */
		e->flags |= (__u32)(nat & 7) << CT_NAT_SHIFT;
		e->nat_flags = BPF_CORE_READ(ct, range.flags);
		e->min_port = BPF_CORE_READ(ct, range.min_proto.all);
		e->max_port = BPF_CORE_READ(ct, range.max_proto.all);
		bpf_core_read(e->min_addr, sizeof(e->min_addr), &ct->range.min_addr);
		bpf_core_read(e->max_addr, sizeof(e->max_addr), &ct->range.max_addr);
	}
	return 0;
}

#define IP_TUNNEL_INFO_IPV6 2 /* of its mode */

static __noinline int action_tunnel_args(struct wire_action_tunnel *e, struct ovs_tunnel_info *set)
{
	struct ip_tunnel_key *key;
	struct ip_tunnel_info *info;
	struct metadata_dst *dst;
	unsigned long bits = 0;
	__be16 flags = 0;

	if (!e)
		return -1;
	dst = BPF_CORE_READ(set, tun_dst);
	info = __builtin_preserve_access_index(&dst->u.tun_info);
	key = __builtin_preserve_access_index(&info->key);
	e->tun_id = BPF_CORE_READ(key, tun_id);
	__builtin_memset(e->src, 0, sizeof(e->src));
	__builtin_memset(e->dst, 0, sizeof(e->dst));
	e->mode = BPF_CORE_READ(info, mode);
	if (e->mode & IP_TUNNEL_INFO_IPV6) {
		bpf_core_read(e->src, 16, &key->u.ipv6.src);
		bpf_core_read(e->dst, 16, &key->u.ipv6.dst);
	} else {
		bpf_core_read(e->src, 4, &key->u.ipv4.src);
		bpf_core_read(e->dst, 4, &key->u.ipv4.dst);
	}
	if (bpf_core_field_exists(((struct ip_tunnel_key___bitmap *)key)->tun_flags)) {
		bpf_core_read(&bits, sizeof(bits), &((struct ip_tunnel_key___bitmap *)key)->tun_flags);
	} else {
		flags = BPF_CORE_READ(key, tun_flags);
		bits = (__u16)__builtin_bswap16(flags);
	}
	e->flags = bits;
	e->tp_src = BPF_CORE_READ(key, tp_src);
	e->tp_dst = BPF_CORE_READ(key, tp_dst);
	e->tos = BPF_CORE_READ(key, tos);
	e->ttl = BPF_CORE_READ(key, ttl);
	e->options_len = BPF_CORE_READ(info, options_len);
	e->pad = 0;
	return 0;
}
