/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recording-internal.h"

#include "wire/effects.h"

#include <string.h>

/* What was let through, where the profile asks for it and the run's meter sees it. */

static ProtobufCBinaryData bytes_of(const char *words)
{
	return (ProtobufCBinaryData){strlen(words), (uint8_t *)(uintptr_t)words};
}

static void fill_evidence(const struct activity *a, Berm__Wire__Evidence *evidence)
{
	evidence->has_event_boot_ns = a->time_ns > 0;
	evidence->event_boot_ns = a->time_ns;
	evidence->has_kernel_sequence = a->sequence > 0;
	evidence->kernel_sequence = a->sequence;
	evidence->has_pid = a->pid > 0;
	evidence->pid = a->pid;
	evidence->has_tid = a->tid > 0;
	evidence->tid = a->tid;
	evidence->hook = (char *)(uintptr_t)a->hook;
}

static void fill_file(const struct activity *a, Berm__Wire__FileActivity *file)
{
	file->operation = (char *)(uintptr_t)a->operation;
	file->has_path = a->target != NULL;
	if (a->target)
		file->path = bytes_of(a->target);
	file->has_device = file->has_inode = a->inode > 0;
	file->device = a->device;
	file->inode = a->inode;
	file->has_error = a->error > 0;
	file->error = (uint32_t)a->error;
}

static void fill_exec(const struct activity *a, Berm__Wire__ExecActivity *exec)
{
	exec->has_path = a->target != NULL;
	if (a->target)
		exec->path = bytes_of(a->target);
	exec->has_device = exec->has_inode = a->inode > 0;
	exec->device = a->device;
	exec->inode = a->inode;
	exec->has_error = a->error > 0;
	exec->error = (uint32_t)a->error;
}

static void fill_network(const struct activity *a, Berm__Wire__NetworkActivity *network)
{
	network->operation = (char *)(uintptr_t)a->operation;
	network->has_address = a->address != NULL;
	if (a->address)
		network->address = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)a->address};
	network->has_port = a->port > 0;
	network->port = a->port;
	network->has_protocol = a->protocol > 0;
	network->protocol = a->protocol;
	network->has_error = a->error > 0;
	network->error = (uint32_t)a->error;
}

static bool is_wanted(const struct recording *recording, const struct activity *a)
{
	bool reads = strcmp(a->operation, "read") == 0;

	return recording->policy.level >= (reads ? RECORDING_FULL : RECORDING_ACTIVITY);
}

void recording_activity(struct session *session, const struct activity *told)
{
	struct recording *recording = session->recording;
	const struct activity *a = told;
	autotext struct text target = {0};
	struct activity clean = *told;
	Berm__Wire__FileActivity file = BERM__WIRE__FILE_ACTIVITY__INIT;
	Berm__Wire__ExecActivity exec = BERM__WIRE__EXEC_ACTIVITY__INIT;
	Berm__Wire__NetworkActivity network = BERM__WIRE__NETWORK_ACTIVITY__INIT;
	Berm__Wire__Evidence evidence = BERM__WIRE__EVIDENCE__INIT;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;

	if (!recording || recording->failed || !is_wanted(recording, told))
		return;
	/* Its end may be missing: the kernel's text has a bound. */
	if (told->target && redact_text(recording->redactor, told->target, strlen(told->target),
				    true, &target)) {
		clean.target = text_string(&target);
		a = &clean;
	}
	switch (a->kind) {
	case ACTIVITY_FILE:
		fill_file(a, &file);
		record.body_case = BERM__WIRE__RECORD__BODY_FILE;
		record.file = &file;
		break;
	case ACTIVITY_EXEC:
		fill_exec(a, &exec);
		record.body_case = BERM__WIRE__RECORD__BODY_EXEC;
		record.exec = &exec;
		break;
	case ACTIVITY_NETWORK:
		fill_network(a, &network);
		record.body_case = BERM__WIRE__RECORD__BODY_NETWORK;
		record.network = &network;
		break;
	case ACTIVITY_KIND_COUNT:
		return;
	}
	fill_evidence(a, &evidence);
	record.evidence = &evidence;
	recorder_client_append(recording->client, RECORD_RING_ACTIVITY, &record);
}

bool recording_wants_activity(const struct session *session)
{
	const struct recording *recording = session->recording;

	return recording && !recording->failed && recording->policy.level >= RECORDING_ACTIVITY;
}

/* A gated call says by number and registers what it is; what it was done to is in the tool's
 * memory, which another thread can change. */
void recording_call(struct session *session, const struct gate_call *call, int error)
{
	struct activity a = {.kind = ACTIVITY_FILE,
		.operation = call->name,
		.hook = call->name,
		.error = error,
		.pid = call->pid};

	/* A call that is gated for another reason alone (the flags of a signal's handler). */
	if (!call->needs && !call->charge)
		return;
	if (call->needs & (POSTURE_NO_EXEC | POSTURE_NO_FORK))
		a.kind = ACTIVITY_EXEC;
	else if (call->needs & POSTURE_NO_NETWORK && !(call->needs & POSTURE_NO_WRITE))
		a.kind = ACTIVITY_NETWORK;
	recording_activity(session, &a);
}
