/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Rows about the bpf make of the meter, run as root in a guest. Each row starts runs of its own,
 * lets children do things in them, and then looks from outside: at the files, at the counters, at
 * the events. */

#include "meter/meter.h"

#include <sys/types.h>

struct row {
	const char *name; /* a sentence */
	void (*run)(void);
	const char *hook; /* without this hook the row must fail; NULL = not tried */
	bool needs_lsm;   /* of the network rows: cgroup programs alone do not do it */
	bool not_outside; /* says that nothing is counted, as it is outside of a run, or puts
			     processes into runs by itself */
};

extern const struct row write_rows[], name_rows[], task_rows[], rule_rows[], decoy_rows[],
	net_rows[], life_rows[], join_rows[], bench_rows[], cost_rows[];
/* Take the times that cost_rows compare with; closes the meter. */
void cost_without_meter(void);
void row_stop(void);

/* What the rows share. */
struct world {
	struct meter *meter;
	char directory[64]; /* fresh for each row, on the file system under test */
	int directory_fd;
	int cgroup_fd;                    /* above the cgroups of runs */
	uint32_t slot;                    /* of the run that start() made last */
	struct meter_run_request request; /* what start() uses; reset for each row */
	struct meter_limits limits;       /* of that run */
	struct meter_rules rules;         /* scope is made of them where there is an anchor */
	bool off;                         /* ablation: nothing is put into its run */
	unsigned failures;                /* of this row */
};
extern struct world world;

/* Make a run of world.request and world.limits; a cgroup of its own where network programs are
 * loaded. */
void start(void);
void finish(void);

/* Run a function in the run, in a new process; its result is the exit code. */
typedef int (*deed)(void *context);
int within(deed function, void *context);
/* The same outside any run. */
int outside(deed function, void *context);

/* Shared by parent and children, zeroed before each row. */
struct shared {
	_Atomic uint64_t done;
	_Atomic uint64_t refused;
	_Atomic uint64_t other; /* failed with another errno */
	int64_t value[8];
	_Atomic int gate; /* of within() */
};
extern struct shared *shared;

uint64_t counted(enum meter_counter counter);
uint64_t counted_at(uint32_t account, enum meter_counter counter);

/* Check and report; the row goes on. */
#define EXPECT(condition) expect((condition), #condition, __FILE__, __LINE__)
#define EXPECT_EQ(a, b) expect_equal((int64_t)(a), (int64_t)(b), #a " == " #b, __FILE__, __LINE__)
void expect(bool condition, const char *text, const char *file, int line);
void expect_equal(int64_t a, int64_t b, const char *text, const char *file, int line);

/* CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* In a child: 0 when the call succeeded, else its errno. */
#define ERRNO_OF(call) ((call) < 0 ? errno : 0)

/* Files of the row's directory, made from outside any run. */
void make_file(const char *name, size_t bytes);
bool exists(const char *name);
int64_t size_of(const char *name); /* -1 = absent */

/* Rules of the row, in world.rules; close_anchors() at its end. */
extern struct meter_name_rule names[8];
void anchor(const char *path, const char *seen_as, uint32_t rights);
void protect(const char *pattern, bool reading);
/* The row's directory as /w, writable; the rest of the system readable. */
void usual_rules(void);
void close_anchors(void);
/* 0 or an errno. */
int touch_file(const char *path);

/* Events of the current run. */
struct tally {
	unsigned kind[8]; /* by enum meter_event_kind */
	uint32_t id[8];   /* of the last one of that kind */
	unsigned total;
	uint64_t last_sequence;
	bool in_order;
	struct meter_event last;
	char text[METER_EVENT_TEXT];
};
void read_events(struct tally *tally);
