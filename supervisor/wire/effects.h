/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is counted, what a posture refuses and what a refusal means: the numbers of the plan, of the
 * meter and of every record. The kernel side has the same ones in bpf/abi.h; meter/ asserts it. */

/* Each effect is charged before it happens; what fails afterwards is given back. */
enum effect_counter {
	COUNTER_FILES_CHANGED = 0,
	COUNTER_FILES_CREATED,
	COUNTER_FILES_DELETED,
	COUNTER_BYTES_WRITTEN,
	COUNTER_BYTES_SENT,
	COUNTER_BYTES_RECEIVED,
	COUNTER_HOSTS_CONTACTED,
	COUNTER_PROCESSES_STARTED,
	COUNTER_PROGRAMS_STARTED,
	COUNTER_DENIALS,
	COUNTER_PACKETS_DROPPED,
	COUNTER_COUNT
};

/* What one call adds to the counters: bits. A call adds one, or two where it has both. */
#define CHARGE_ONE(counter) (1U << (counter))
#define CHARGE_MORE(counter) (1U << (16 + (counter)))
#define CHARGE_ALL                                                                                 \
	((CHARGE_ONE(COUNTER_COUNT) - 1U) | (CHARGE_MORE(COUNTER_COUNT) - CHARGE_MORE(0)))

/* A posture is a set of refusals; the effective one is the union over run, agent, group and host.
 */
enum posture_bit {
	POSTURE_NO_WRITE = 1,
	POSTURE_NO_NETWORK = 2,
	POSTURE_NO_EXEC = 4,
	POSTURE_NO_FORK = 8,
	POSTURE_FROZEN_BIT = 16, /* every gated operation is refused */
	POSTURE_DEAD_BIT = 32,   /* as frozen, and the run is killed */
};
#define POSTURE_OPEN 0U
#define POSTURE_READ_ONLY ((unsigned)(POSTURE_NO_WRITE | POSTURE_NO_NETWORK))
#define POSTURE_FROZEN                                                                             \
	(POSTURE_READ_ONLY | POSTURE_NO_EXEC | POSTURE_NO_FORK | (unsigned)POSTURE_FROZEN_BIT)
#define POSTURE_DEAD (POSTURE_FROZEN | (unsigned)POSTURE_DEAD_BIT)
#define POSTURE_ALL POSTURE_DEAD

/* The PACE state of a run. */
enum phase { PHASE_PRIMARY, PHASE_ALTERNATE, PHASE_CONTINGENCY, PHASE_EMERGENCY, PHASE_COUNT };

/* What a refusal means for the breaker. */
enum denial_class {
	DENIAL_QUIET = 0, /* recorded, does not count: an optional file that is not there */
	DENIAL_COUNTED,   /* a write, exec, connection or credential read that was refused */
	DENIAL_CANARY,
	DENIAL_ESCAPE,
	DENIAL_CLASS_COUNT
};

enum anchor_right {
	ANCHOR_READ = 1,
	ANCHOR_WRITE = 2,
	ANCHOR_EXEC = 4,
	ANCHOR_MAP_EXEC = 8, /* executable mapping: libraries */
	ANCHOR_CONNECT = 16, /* unix socket */
	ANCHOR_SCRATCH = 64, /* private to the run: what happens here is not counted */
};

/* The profile's word for a counter ("files_changed"), or "" for a number that is none. */
const char *effect_counter_name(unsigned counter);
/* "open", "read-only", "frozen", "dead"; other sets by their parts, "read-only+no-exec". */
const char *posture_name(unsigned posture);
/* "primary", "alternate", "contingency", "emergency". */
const char *phase_name(unsigned phase);
