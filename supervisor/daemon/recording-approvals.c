/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recording-internal.h"

#include <string.h>

/* Who was asked before the run, and what they said. */

static bool join_argv(
	const struct recording *recording, const struct session *session, struct text *out)
{
	const Berm__Wire__Plan *plan = session->plan;
	size_t count = plan->n_argv;
	autofree struct text *words = calloc(count + 1, sizeof(*words));

	if (!words)
		return false;
	redact_words(recording->redactor, (const char *const *)plan->argv, count, words);
	for (size_t i = 0; i < count; i++) {
		if (i)
			text_puts(out, " ");
		text_append(out, text_string(&words[i]), words[i].length);
		text_finish(&words[i]);
	}
	if (out->length > RECORDING_ARGV_BYTES)
		out->length = RECORDING_ARGV_BYTES;
	return !out->failed;
}

static void tell(
	struct recording *recording, const struct session *session, const struct session_hold *held)
{
	autotext struct text target = {0};
	ProtobufCBinaryData bytes;

	if (!held || !join_argv(recording, session, &target))
		return;
	bytes = (ProtobufCBinaryData){target.length, (uint8_t *)(uintptr_t)text_string(&target)};
	for (size_t i = 0; i < held->answers.count; i++) {
		const struct hold_answer *answer = &held->answers.items[i];
		Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
		Berm__Wire__Approval approval;
		autotext struct text reason = {0};

		hold_record(answer, &held->shown, &bytes, &approval);
		/* Whoever judges may quote what it judges. */
		redact_text(recording->redactor, answer->reason, strlen(answer->reason), false,
			&reason);
		approval.reason = (ProtobufCBinaryData){
			reason.length, (uint8_t *)(uintptr_t)text_string(&reason)};
		record.body_case = BERM__WIRE__RECORD__BODY_APPROVAL;
		record.approval = &approval;
		recorder_client_append(recording->client, RECORD_RING_DECISIONS, &record);
	}
}

void recording_tell_approvals(struct recording *recording, const struct session *session)
{
	tell(recording, session, session->held);
}

void recording_write_approval(struct session *session, const struct session_hold *held)
{
	struct recording *recording = session->recording;

	if (recording && recording->client)
		tell(recording, session, held);
}
