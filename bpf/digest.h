/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A digest of bytes in the kernel's or a daemon's memory, by which a put and an execute are known to answer an upcall. */

struct digest {
	__u64 a;
	__u64 b;
};

struct digest_buf {
	__u64 words[DIGEST_MAX / 8];
};

/* 128 bits over every byte, in two lanes that are mixed differently; len is at most DIGEST_MAX. Compared only within
 * one handler's batch of at most 64, together with length, hash and key: that two different packets share it is out of
 * the question short of an attack, and what an attacker would win is a wrong line on a screen. */
struct digest_walk {
	struct digest_buf *buf;
	__u64 a;
	__u64 b;
};

static long digest_word(__u32 i, struct digest_walk *walk)
{
	__u64 w;

	if (i >= DIGEST_MAX / 8)
		return 1;
	w = walk->buf->words[i];
	walk->a = (walk->a ^ w) * 0xff51afd7ed558ccdULL;
	walk->a ^= walk->a >> 32;
	walk->b = (walk->b + w) * 0x9fb21c651e98df25ULL;
	walk->b = (walk->b << 27) | (walk->b >> 37);
	return 0;
}

/* Over the buffer's first bytes. */
static __always_inline int digest_words(struct digest_buf *buf, __u32 len, struct digest *out)
{
	struct digest_walk walk = {
		.buf = buf, .a = 0x9e3779b97f4a7c15ULL ^ len, .b = 0xc2b2ae3d27d4eb4fULL + len,
	};

	if (!buf || !out)
		return -1;
	bpf_loop((len + 7) >> 3, digest_word, &walk, 0);
	out->a = walk.a ^ (walk.a >> 29);
	out->b = walk.b ^ (walk.b >> 31);
	return 0;
}

__noinline int digest_buf(struct digest_buf *buf, __u32 len, struct digest *out)
{
	return digest_words(buf, len, out);
}

/* Of bytes that `read` copies, bpf_probe_read_kernel or bpf_probe_read_user; `rest` is one of the two above. */
#define DIGEST(name, read, rest)                                                       \
	int name(struct digest_buf *buf, __u64 from, __u32 len, struct digest *out)    \
	{                                                                              \
		if (!buf || !out)                                                      \
			return -1;                                                     \
		out->a = out->b = 0;                                                   \
		if (len == 0)                                                          \
			return 0;                                                      \
		if (len > DIGEST_MAX)                                                  \
			return -1;                                                     \
		/* The last word may be read in part: zero it first. */                \
		if (len & 7)                                                           \
			buf->words[(len >> 3) & (DIGEST_MAX / 8 - 1)] = 0;             \
		if (read(buf->words, len, (void *)from))                               \
			return -1;                                                     \
		return rest(buf, len, out);                                            \
	}

__noinline DIGEST(digest, bpf_probe_read_kernel, digest_buf)

static __always_inline bool same_digest(struct digest *x, struct digest *y)
{
	return x->a == y->a && x->b == y->b;
}
