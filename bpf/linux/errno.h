/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For libbpf's usdt.bpf.h: the kernel's own header is not found where its headers are by architecture. */
#ifndef OVSCOPE_LINUX_ERRNO_H
#define OVSCOPE_LINUX_ERRNO_H

/* From include/uapi/asm-generic/errno-base.h. */
#define ENOENT 2
#define ESRCH 3
#define EINVAL 22

#endif
