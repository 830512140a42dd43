/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"
#include "daemon/control.h"
#include "fuzz.h"
#include "wire/effects.h"

#include <jansson.h>

/* Both ends of a run's socket. A run answers whatever it is asked, and changes its posture only to
 * one that a person may set; the verbs take whatever a run answers, and what they show of it is
 * valid JSON and safe for a terminal.
 * Input: one byte, odd: an answer to a verb, even: a request to a run; then its bytes. */

#define SHOWN_BYTES 100

struct asked {
	unsigned postures, statuses;
};

static int on_status(void *context, Berm__Wire__RunStatus *status)
{
	struct asked *asked = context;

	asked->statuses++;
	status->run = strdup("01M82Q1GM904MMB0GB72AKD5WK");
	status->profile = control_bytes("fuzz");
	return 0;
}

static int on_posture(void *context, unsigned posture, struct error *err)
{
	struct asked *asked = context;

	(void)err;
	asked->postures++;
	assert(control_posture_is_known(posture));
	assert(!(posture & POSTURE_DEAD_BIT));
	return 0;
}

static void ask_a_run(const uint8_t *data, size_t size)
{
	struct asked asked = {0};
	const struct control_actions actions = {&asked, on_status, on_posture};
	Berm__Wire__RunStatus *status = NULL;
	autofree uint8_t *reply = NULL;
	struct error err = {0};
	size_t length = control_answer(&actions, data, size, &reply);

	assert(length > 0 && length <= CONTROL_REPLY_MAX);
	if (control_read_reply(reply, length, &status, &err) < 0) {
		assert(err.code < 0 && err.text[0]);
		assert(asked.statuses == 0);
		return;
	}
	assert(asked.statuses == 1 && asked.postures <= 1);
	assert(strcmp(status->run, "01M82Q1GM904MMB0GB72AKD5WK") == 0);
	berm__wire__run_status__free_unpacked(status, NULL);
}

static void show(const Berm__Wire__RunStatus *status)
{
	autotext struct text text = {0}, words = {0};
	struct json j = {.out = &text};
	json_error_t problem;
	json_t *root;

	ask_json(&j, NULL, status);
	assert(!text.failed);
	root = json_loads(text_string(&text), JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &problem);
	assert(root);
	json_decref(root);
	ask_put(&words, status->profile, SHOWN_BYTES);
	ask_put_command(&words, status, SHOWN_BYTES);
	ask_put_time(&words, status->uptime_ms);
	assert(is_safe_to_show(text_string(&words), words.length));
}

static void answer_a_verb(const uint8_t *data, size_t size)
{
	Berm__Wire__RunStatus *status = NULL;
	struct error err = {0};

	if (control_read_reply(data, size, &status, &err) < 0) {
		assert(err.code < 0 && err.text[0] && !status);
		return;
	}
	show(status);
	berm__wire__run_status__free_unpacked(status, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		answer_a_verb(data + 1, size - 1);
	else
		ask_a_run(data + 1, size - 1);
	return 0;
}
