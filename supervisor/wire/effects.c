/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/effects.h"

#include "base/own.h"

const char *effect_counter_name(unsigned counter)
{
	static const char *const names[COUNTER_COUNT] = {
		[COUNTER_FILES_CHANGED] = "files_changed",
		[COUNTER_FILES_CREATED] = "files_created",
		[COUNTER_FILES_DELETED] = "files_deleted",
		[COUNTER_BYTES_WRITTEN] = "bytes_written",
		[COUNTER_BYTES_SENT] = "bytes_sent",
		[COUNTER_BYTES_RECEIVED] = "bytes_received",
		[COUNTER_HOSTS_CONTACTED] = "hosts_contacted",
		[COUNTER_PROCESSES_STARTED] = "processes_started",
		[COUNTER_PROGRAMS_STARTED] = "programs_started",
		[COUNTER_DENIALS] = "denials",
		[COUNTER_PACKETS_DROPPED] = "packets_dropped",
	};

	return counter < COUNTER_COUNT ? names[counter] : "";
}

const char *posture_name(unsigned posture)
{
	/* By the four bits that name an operation: every set has a name of its own. */
	static const char *const parts[16] = {"open", "no-write", "no-network", "read-only",
		"no-exec", "no-write+no-exec", "no-network+no-exec", "read-only+no-exec", "no-fork",
		"no-write+no-fork", "no-network+no-fork", "read-only+no-fork", "no-exec+no-fork",
		"no-write+no-exec+no-fork", "no-network+no-exec+no-fork",
		"read-only+no-exec+no-fork"};

	if (posture & POSTURE_DEAD_BIT)
		return "dead";
	return posture & POSTURE_FROZEN_BIT ? "frozen" : parts[posture & 15];
}

const char *phase_name(unsigned phase)
{
	static const char *const names[PHASE_COUNT] = {
		"primary", "alternate", "contingency", "emergency"};

	return phase < PHASE_COUNT ? names[phase] : "";
}
