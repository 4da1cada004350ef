/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Classic BPF, as of a packet socket's filter, interpreted: libpcap's programs over a packet's first bytes, and those of
 * --where over a record of fields. User space has checked them: they are bounded and only jump forward. */

#include <bpf/bpf_endian.h>

/* A filter is given: without one nothing of this is in the programs that are loaded. */
const volatile bool cfg_filter = false;

/* Which of the two sets of programs is in force: user space writes the other one, then this. */
__u32 filter_set;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * FILTER_PLACES);
	__type(key, __u32); /* enum filter_place, the second set's after the first's */
	__type(value, struct filter_program);
} filter_programs SEC(".maps");

#define FILTER_BYTES_MAX 256 /* bytes of a packet that a program sees; a load beyond them refuses it */
#define FILTER_FRONT_MAX 16  /* bytes that may be put before what is read of it */

struct filter_machine {
	__u32 a;
	__u32 x;
	__u32 pc;
	__u32 verdict;
	__u32 len;      /* of the packet */
	__u32 captured; /* bytes in data */
	__u32 mem[16];
	__u8 data[FILTER_BYTES_MAX + FILTER_FRONT_MAX];
};

/* The last packet that hit a flow and was not wanted for it: at its upcall that is what its flow was. */
struct filter_hit {
	__u64 packet; /* 0: none */
	struct filter_fields fields;
};

struct filter_cpu {
	struct filter_machine machine;
	struct filter_hit hit;
	struct filter_fields fields; /* that are judged elsewhere than at a hit */
};

/* Who works with which: OVS's hooks run with bottom halves off, and none of them within another. Drops come anywhere,
 * and their twin within them. */
enum filter_user { FILTER_OF_OVS, FILTER_OF_DROP, FILTER_OF_DROP_TWIN, FILTER_USERS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FILTER_USERS);
	__type(key, __u32); /* enum filter_user */
	__type(value, struct filter_cpu);
} filter_cpus SEC(".maps");

static __always_inline struct filter_cpu *filter_of(__u32 user)
{
	return bpf_map_lookup_elem(&filter_cpus, &user);
}

static __always_inline struct filter_cpu *this_filter(void)
{
	return filter_of(FILTER_OF_OVS);
}

static __always_inline struct filter_program *filter_program_at(__u32 place)
{
	__u32 at = (filter_set & 1) * FILTER_PLACES + place;

	return bpf_map_lookup_elem(&filter_programs, &at);
}

/* An empty program wants everything, but for FILTER_DROP's. */
static __always_inline bool filter_is_there(__u32 place)
{
	struct filter_program *program = filter_program_at(place);

	return program && program->len;
}

/* Whether drops decide: then packets that are not recorded yet are held back, with all that happens to them. */
static __always_inline bool filter_drops(void)
{
	return cfg_filter && filter_is_there(FILTER_DROP);
}

struct filter_run {
	struct filter_machine *machine;
	struct filter_program *program;
};

/* From include/uapi/linux/bpf_common.h. */
enum { BPF_LD, BPF_LDX, BPF_ST, BPF_STX, BPF_ALU, BPF_JMP, BPF_RET, BPF_MISC };
enum { BPF_W = 0x00, BPF_H = 0x08, BPF_B = 0x10 };
enum { BPF_IMM = 0x00, BPF_ABS = 0x20, BPF_IND = 0x40, BPF_MEM = 0x60, BPF_LEN = 0x80, BPF_MSH = 0xa0 };
enum {
	BPF_ADD = 0x00, BPF_SUB = 0x10, BPF_MUL = 0x20, BPF_DIV = 0x30, BPF_OR = 0x40, BPF_AND = 0x50, BPF_LSH = 0x60,
	BPF_RSH = 0x70, BPF_NEG = 0x80, BPF_MOD = 0x90, BPF_XOR = 0xa0,
};
enum { BPF_JA = 0x00, BPF_JEQ = 0x10, BPF_JGT = 0x20, BPF_JGE = 0x30, BPF_JSET = 0x40 };
enum { BPF_X = 0x08, BPF_A = 0x10 };
enum { BPF_TXA = 0x80 };

/* In network byte order; false beyond the end. */
static __always_inline bool filter_load(struct filter_machine *m, __u32 at, __u32 size, __u32 *value)
{
	__u32 bytes = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;

	if (at >= FILTER_BYTES_MAX || at + bytes > m->captured)
		return false;
	/* So that the compiler keeps the bound where the verifier sees it. */
	barrier_var(at);
	at &= FILTER_BYTES_MAX - 1;
	*value = m->data[at];
	if (size == BPF_H)
		*value = *value << 8 | m->data[at + 1];
	else if (size == BPF_W)
		*value = *value << 24 | m->data[at + 1] << 16 | m->data[at + 2] << 8 | m->data[at + 3];
	return true;
}

static __always_inline __u32 filter_alu(__u32 op, __u32 a, __u32 by)
{
	switch (op) {
	case BPF_ADD:
		return a + by;
	case BPF_SUB:
		return a - by;
	case BPF_MUL:
		return a * by;
	case BPF_DIV:
		return a / by;
	case BPF_MOD:
		return a % by;
	case BPF_OR:
		return a | by;
	case BPF_AND:
		return a & by;
	case BPF_XOR:
		return a ^ by;
	case BPF_LSH:
		return by < 32 ? a << by : 0;
	case BPF_RSH:
		return by < 32 ? a >> by : 0;
	default:
		return -a;
	}
}

/* One instruction; 1 at the end, with the verdict in the machine. */
static long filter_step(__u32 i, struct filter_run *run)
{
	struct filter_machine *m = run->machine;
	struct filter_program *program = run->program;
	__u32 pc = m->pc, op, by, k, size, mode, value = 0;
	struct filter_insn *insn;
	__u16 code;
	bool holds;

	if (pc >= FILTER_INSNS || pc >= program->len)
		return 1;
	barrier_var(pc);
	insn = &program->insns[pc & (FILTER_INSNS - 1)];
	code = insn->code;
	k = insn->k;
	size = code & 0x18;
	mode = code & 0xe0;
	op = code & 0xf0;
	by = code & BPF_X ? m->x : k;
	pc++;
	switch (code & 0x07) {
	case BPF_LD:
	case BPF_LDX:
		if (mode == BPF_IMM) {
			value = k;
		} else if (mode == BPF_MEM) {
			value = m->mem[k & 15];
		} else if (mode == BPF_LEN) {
			value = m->len;
		} else {
			if (mode == BPF_IND) {
				k += m->x;
				if (k < m->x)
					return 1;
			}
			if (!filter_load(m, k, size, &value))
				return 1;
			if (mode == BPF_MSH)
				value = (value & 15) * 4;
		}
		if ((code & 0x07) == BPF_LD)
			m->a = value;
		else
			m->x = value;
		break;
	case BPF_ST:
		m->mem[k & 15] = m->a;
		break;
	case BPF_STX:
		m->mem[k & 15] = m->x;
		break;
	case BPF_ALU:
		if ((op == BPF_DIV || op == BPF_MOD) && !by)
			return 1;
		m->a = filter_alu(op, m->a, by);
		break;
	case BPF_JMP:
		if (op == BPF_JA) {
			pc += k;
			break;
		}
		holds = op == BPF_JEQ   ? m->a == by
			: op == BPF_JGT ? m->a > by
			: op == BPF_JGE ? m->a >= by
					: (m->a & by) != 0;
		pc += holds ? insn->jt : insn->jf;
		break;
	case BPF_RET:
		m->verdict = size == BPF_A ? m->a : k;
		return 1;
	default:
		if (code & BPF_TXA)
			m->a = m->x;
		else
			m->x = m->a;
	}
	m->pc = pc;
	return 0;
}

/* The functions that follow are no static ones: the verifier then looks at each but once in a program, not again for all
 * that their callers may have done before. */

/* Whether the place's program holds for what is in the machine. */
__noinline int filter_holds(__u32 user, __u32 place)
{
	struct filter_cpu *f = filter_of(user);
	struct filter_machine *machine;
	struct filter_run run;

	if (!f || place >= FILTER_PLACES)
		return 1;
	machine = &f->machine;
	run.machine = machine;
	run.program = filter_program_at(place);
	if (!run.program || !run.program->len)
		return 1;
	machine->a = machine->x = machine->pc = machine->verdict = 0;
	__builtin_memset(machine->mem, 0, sizeof(machine->mem));
	bpf_loop(FILTER_INSNS, filter_step, &run, 0);
	return machine->verdict != 0;
}

/* Where a frame is, and what is put back into it. */
struct filter_frame {
	__u64 start;
	__u32 linear;
	__u32 len;
	__be16 vlan_proto; /* of a tag that stands beside it */
	__be16 vlan_tci;
	__be16 protocol;
	bool bare; /* it has no Ethernet header: one of zeros and the protocol stands for it */
};

/* Whether the program of -f holds for a frame, as it would be on the wire. */
__noinline int frame_holds(struct filter_frame *frame)
{
	struct filter_cpu *f = this_filter();
	struct filter_machine *m;
	__u32 front = 0, linear;
	__u64 start;

	if (!f || !frame || !filter_is_there(FILTER_BYTES))
		return 1;
	m = &f->machine;
	start = frame->start;
	linear = frame->linear;
	m->len = frame->len;
	if (frame->bare) {
		__builtin_memset(m->data, 0, 12);
		*(__be16 *)(m->data + 12) = frame->protocol;
		front = 14;
		m->len += 14;
	} else if (frame->vlan_proto && linear >= 12) {
		bpf_probe_read_kernel(m->data, 12, (void *)start);
		*(__be16 *)(m->data + 12) = frame->vlan_proto;
		*(__be16 *)(m->data + 14) = frame->vlan_tci;
		front = 16;
		start += 12;
		linear -= 12;
		m->len += 4;
	}
	if (linear > FILTER_BYTES_MAX)
		linear = FILTER_BYTES_MAX;
	if (bpf_probe_read_kernel(m->data + front, linear, (void *)start))
		linear = 0;
	m->captured = front + linear;
	if (m->captured > FILTER_BYTES_MAX)
		m->captured = FILTER_BYTES_MAX;
	return filter_holds(FILTER_OF_OVS, FILTER_BYTES);
}

#define FIELD_NAME_AT (__builtin_offsetof(struct filter_fields, comm) / 4)

/* Whether the place's program of --where holds for these fields, with the CPU and the task that are at work. */
__noinline int fields_hold(__u32 user, __u32 place, struct filter_fields *fields)
{
	struct filter_cpu *f = filter_of(user);
	__u32 *from = (__u32 *)fields, *to;

	if (!f || !fields)
		return 1;
	fields->cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(fields->comm, sizeof(fields->comm));
	to = (__u32 *)f->machine.data;
	/* A program reads network byte order; the name is bytes already. */
	for (__u32 i = 0; i < sizeof(*fields) / 4; i++)
		to[i] = i < FIELD_NAME_AT ? bpf_htonl(from[i]) : from[i];
	f->machine.len = f->machine.captured = sizeof(*fields);
	return filter_holds(user, place);
}
