/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The kernel's programs for one run, behind metering.h. In a build without them every function is
 * there and says so. */

#include "apply/apply.h"
#include "daemon/activity.h"
#include "daemon/effects.h"

struct metering_kernel;

struct metering_kernel_sink {
	void *context;
	/* posture and phase of the trip: what it adds. */
	void (*trip)(void *context, const struct trip *trip);
	/* class: DENIAL_… */
	void (*denied)(void *context, const char *operation, const char *target, uint32_t rule,
		uint32_t class);
	/* NULL: not wanted. */
	void (*activity)(void *context, const struct activity *activity);
};

/* What metering_facts() says. */
int metering_kernel_facts(Berm__Wire__HostFacts *facts, bool starts, struct error *err) must_check;

/* Open the meter that plan->meter->programs asks for. epoll_fd: gets the descriptors that
 * metering_kernel_read() has to be called for. */
int metering_kernel_create(const Berm__Wire__Plan *plan, const char *run_id, int epoll_fd,
	const struct metering_kernel_sink *sink, struct metering_kernel **ret_kernel,
	struct error *err) must_check;
void metering_kernel_destroy(struct metering_kernel *kernel); /* NULL is fine */
int metering_kernel_enter(struct metering_kernel *kernel, const struct run_entry *entry,
	struct error *err) must_check;
/* Hand every event to the sink and give a sign of life. False where the programs are not attached
 * any more. */
bool metering_kernel_read(struct metering_kernel *kernel);
/* The run's own posture. */
uint32_t metering_kernel_posture(const struct metering_kernel *kernel);
/* Add refusals. */
void metering_kernel_tighten(struct metering_kernel *kernel, uint32_t posture);
/* Add and take away. */
void metering_kernel_set(struct metering_kernel *kernel, uint32_t posture);
/* What the programs count takes the place of what is there. */
void metering_kernel_look(const struct metering_kernel *kernel, struct effects *effects);
