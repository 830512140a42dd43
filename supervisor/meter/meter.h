/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "bpf/abi.h"

#include <stdbool.h>
#include <stddef.h>

/* The meter that lives in the kernel: counters, caps and postures of runs, agents and groups, and
 * the rules about files and addresses. Values and events are those of bpf/abi.h. Everything needs
 * root. */

struct meter;
struct meter_events;

enum meter_make {
	METER_MAKE_AUTO,     /* the strongest that this kernel has */
	METER_MAKE_LSM,      /* "bpf" is in the list of LSMs */
	METER_MAKE_FMOD_RET, /* it is not: the same programs on security_* */
	METER_MAKE_NETWORK,  /* cgroup programs only: addresses and bytes, no files */
	METER_MAKE_COUNT
};
const char *meter_make_name(enum meter_make make);

struct meter_options {
	enum meter_make make;
	const char *pin_directory; /* on a bpffs, made when absent; NULL = everything goes with
				      meter_close() */
	int cgroup_fd;   /* directory, on the unified hierarchy, above the cgroups of all runs; -1 =
			    no network programs */
	bool adopt_only; /* load nothing: -ESTALE without an error text where nothing is pinned */
	const char *lacks; /* to be noted down with what is loaded: why no stronger make was; or
			      NULL */
};

/* Load and attach the programs, or adopt those that are pinned: an adopted meter costs no loading.
 * Pinned programs of another build stay until those of this build are attached. Pins that
 * are not complete are replaced. Maps of another METER_ABI are refused. Errors: ERROR_UNSUPPORTED
 * naming the program or feature that this kernel lacks; -EXDEV where what is pinned is for another
 * pid namespace or another hierarchy of cgroups: a meter without pins is right there. */
int meter_open(const struct meter_options *options, struct meter **ret_meter,
	struct error *err) must_check;
/* What this host would most likely load, from a program of two instructions of each kind.
 * *ret_lacks is filled where it is not the strongest make. cgroup_fd as in meter_options. */
int meter_probe(int cgroup_fd, enum meter_make *ret_make, struct error *ret_lacks,
	struct error *err) must_check;
/* The make that METER_MAKE_AUTO stands for here. */
enum meter_make meter_strongest_make(void);
void meter_close(struct meter *meter); /* NULL is fine; pinned programs go on */
enum meter_make meter_make(const struct meter *meter);
bool meter_adopted(const struct meter *meter);
/* meter_options.lacks of whoever loaded what is pinned; "" where nothing is pinned. */
const char *meter_lacks(const struct meter *meter);
/* Whether these links were proved, by whoever did it: what is adopted is the same links to the same
 * programs and maps, or it is not adopted. */
bool meter_proved(const struct meter *meter);
/* meter_prove() was good. Nothing is done where nothing is pinned. */
int meter_note_proved(struct meter *meter, struct error *err) must_check;
/* The links do not do what they are for: remove their pins, so that nobody adopts them. They go
 * with meter_close(). */
void meter_discard(struct meter *meter);
/* Remove the pins below the directory: the programs go once nobody holds them. */
int meter_unpin(const char *pin_directory, struct error *err) must_check;
/* True while every program that this meter attached or adopted is still attached and, where they
 * are pinned, still pinned where the next start finds them. Where another build has put its own in
 * their place, on the same maps, those are taken over. Some 200 short system calls: fit to ask each
 * second. */
bool meter_attached(struct meter *meter);
/* Programs that were skipped by the kernel because a task was preempted inside of one (fentry,
 * fexit and fmod_ret only, never LSM or cgroup programs): each skip may be an effect that was not
 * counted. */
uint64_t meter_skipped(const struct meter *meter);
/* A sign of life: what is done without one is up to each run's orphan_posture. */
void meter_heartbeat(struct meter *meter);

/* Give back the slots and scopes of supervisors that died, where no task of the run is left. Done
 * when pinned programs are adopted, too. Returns how many runs. */
unsigned meter_reap(struct meter *meter);

/* ---- accounts ---- */

/* Find or make the account of an agent or a group. identity: 16 bytes that mean it everywhere (a
 * hash of its name and kind). Its counters last until meter_account_release(). -ENOSPC: every
 * account is taken. */
int meter_account(struct meter *meter, const uint8_t identity[16], uint32_t *ret_account,
	struct error *err) must_check;
int meter_account_release(
	struct meter *meter, const uint8_t identity[16], struct error *err) must_check;
/* Every counter unlimited, no step, no breaker. */
void meter_limits_none(struct meter_limits *limits);
int meter_limits_set(struct meter *meter, uint32_t account, const struct meter_limits *limits,
	struct error *err) must_check;
/* A look at an account; for the first few without a system call, once each was looked at. Borrowed;
 * lives as long as the meter, and where so many were looked at before, until the next call. */
const struct meter_account *meter_look(struct meter *meter, uint32_t account);
/* The account's own posture (METER_NO_WRITE …), not the effective one. Account 0 is the host. */
uint32_t meter_posture(const struct meter *meter, uint32_t account);
/* Add and take away refusals in one atomic step; what a program adds meanwhile is kept. Returns the
 * new posture. */
uint32_t meter_posture_change(struct meter *meter, uint32_t account, uint32_t add, uint32_t remove);

/* ---- runs ---- */

struct meter_run_request {
	uint64_t run_id;    /* never reused */
	uint64_t cgroup_id; /* of the run's cgroup (name_to_handle_at), 0 = none */
	uint32_t agent;     /* account, or 0 */
	uint32_t group;     /* account, or 0 */
	uint32_t scope;     /* from meter_scope_create(), or 0: count only */
	uint32_t flags;     /* METER_RUN_ACTIVITY … */
	uint32_t orphan_posture;
	uint64_t orphan_after_ns;
	uint32_t seen_max;   /* distinct files and hosts remembered; 0 = a default */
	uint32_t ring_bytes; /* each ring, a power of two of at least a page; 0 = a default */
	const struct meter_limits *limits; /* of the run; NULL = none */
};

/* The id of a cgroup's directory on the unified hierarchy, as meter_run_request wants it. */
int meter_cgroup_id(int cgroup_fd, uint64_t *ret_id, struct error *err) must_check;
/* Take a slot. Nothing is in the run until meter_run_enrol(). The run's account has the slot's
 * number. */
int meter_run_create(struct meter *meter, const struct meter_run_request *request,
	uint32_t *ret_slot, struct error *err) must_check;
/* Put a process that has one thread and waits (so that nothing happens in between) into the run,
 * with all that it will ever start. */
int meter_run_enrol(struct meter *meter, uint32_t slot, int pidfd, struct error *err) must_check;
/* Give the slot back. Tasks that are left are refused everything. */
void meter_run_destroy(struct meter *meter, uint32_t slot);

/* ---- rules ---- */

struct meter_anchor_rule {
	int fd; /* O_PATH; must stay open as long as the rule is meant to hold, unless a mount of
		   the run keeps the inode in memory: else what is beneath it has the rights of
		   what is above it, or none */
	const char *path; /* as the run sees it, absolute and normal */
	uint32_t rights;  /* METER_RIGHT_… */
	uint32_t rule;    /* index into Plan.rules */
};

struct meter_name_rule {
	const char *pattern; /* as the run sees it: absolute, "*" and "?" within a component, "**"
				for any depth */
	bool no_read;
	bool no_write;
	bool canary;
	uint32_t rule;
};

struct meter_net_rule {
	uint8_t address[16];  /* IPv4 as ::ffff:a.b.c.d */
	uint32_t prefix_bits; /* of the 128; an IPv4 prefix has 96 more */
	uint16_t first_port;  /* inclusive */
	uint16_t last_port;
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, 0 = both */
	bool allow;       /* deny wins over allow, whatever the prefixes */
	bool listen;      /* a local address to bind, not a peer */
	uint32_t rule;
};

struct meter_rules {
	const struct meter_anchor_rule *anchors;
	size_t anchor_count;
	const struct meter_name_rule *names;
	size_t name_count;
	const struct meter_net_rule *networks;
	size_t network_count;
	uint64_t families; /* bit AF_x: socket(AF_x) is allowed */
};

/* Compile rules and put them into the kernel; runs with the same plan can share a scope. Errors:
 * ERROR_UNSUPPORTED naming the pattern or address that does not fit. */
int meter_scope_create(struct meter *meter, const struct meter_rules *rules, uint32_t *ret_scope,
	struct error *err) must_check;
/* Anchor one more inode for an existing scope: the mounts that are made afresh for each run. */
int meter_scope_anchor(struct meter *meter, uint32_t scope, const struct meter_anchor_rule *anchor,
	struct error *err) must_check;
void meter_scope_destroy(struct meter *meter, uint32_t scope);

/* ---- events ---- */

/* text: the event's components, leaf first, each NUL-terminated (event->text_bytes of them). */
typedef void (*meter_event_handler)(
	void *context, const struct meter_event *event, const char *text);

/* Read the events of a run. The descriptor is for poll(2): verdicts wake it, activity is found when
 * asked. */
int meter_events_open(struct meter *meter, uint32_t slot, meter_event_handler handler,
	void *context, struct meter_events **ret_events, struct error *err) must_check;
int meter_events_fd(const struct meter_events *events);
/* Hand every waiting event to the handler; returns how many there were. */
int meter_events_read(struct meter_events *events);
void meter_events_close(struct meter_events *events);

/* ---- proof ---- */

/* Try in a child of its own what every attached program is there for, and see it fire: a program
 * that attaches and never runs looks the same otherwise. directory_fd: an empty directory on an
 * ordinary file system, writable; what the proof leaves in it is the caller's to remove. cgroup_fd:
 * an empty cgroup below the one given to meter_open(), -1 where no network programs were loaded.
 * Errors: ERROR_UNSUPPORTED naming the first hook that did not fire. */
int meter_prove(struct meter *meter, int directory_fd, int cgroup_fd, struct error *err) must_check;
