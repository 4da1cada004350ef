// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel side of ovscope: exact counters always, events within a budget. One object, a file per concern. */
#include "kernel.h"
#include "events.h"
#include "maps.h"
#include "cpu.h"
#include "state.h"
#include "attach.h"
#include "emit.h"
#include "names.h"
#include "track.h"
#include "step.h"
#include "interpret.h"
#include "filter.h"
#include "lookup.h"
#include "digest.h"
#include "stages.h"
#include "upcall.h"
#include "sched.h"
#include "handler.h"
#include "ops.h"
#include "action_args.h"
#include "action.h"
#include "dev.h"
#include "drop.h"
#ifndef OVSCOPE_KPROBES
#include "usdt.h"
#endif
#include "datapath.h"

char LICENSE[] SEC("license") = "GPL";
