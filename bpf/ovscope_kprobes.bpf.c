// SPDX-License-Identifier: GPL-2.0-or-later
/* The same kernel side on kprobes and raw tracepoints, for what this kernel refuses to attach otherwise. It shares the
 * first object's maps. */
#define OVSCOPE_KPROBES
#include "ovscope.bpf.c"
