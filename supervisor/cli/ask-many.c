/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"
#include "cli/held.h"

#include "daemon/control.h"
#include "daemon/runs.h"
#include "wire/effects.h"

#include <string.h>
#include <time.h>

#define PROFILE_BYTES 20
#define COMMAND_BYTES 40
#define NEAREST 2     /* counters shown of each run */
#define AT_ONCE 128   /* descriptors */
#define WAIT_MS 1000U /* for all that were asked at once */

/* ---- asking ---- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int begin(struct ask_answer *answer)
{
	Berm__Wire__ControlRequest request;
	autoclose int fd = runs_connect_listed(answer->run_id, &answer->error);

	if (fd < 0)
		return -1;
	berm__wire__control_request__init(&request);
	request.version = CONTROL_VERSION;
	request.type = BERM__WIRE__CONTROL_TYPE__CONTROL_STATUS;
	return control_ask_begin(fd, &request, &answer->error) < 0 ? -1 : take_fd(&fd);
}

static void ask_some(struct ask_answer *answers, size_t count)
{
	int fds[AT_ONCE];
	uint64_t until_ms;

	for (size_t i = 0; i < count; i++)
		fds[i] = begin(&answers[i]);
	until_ms = now_ms() + WAIT_MS;
	for (size_t i = 0; i < count; i++) {
		uint64_t now = now_ms();

		if (fds[i] >= 0)
			(void)!control_ask_end(fds[i],
				now < until_ms ? (unsigned)(until_ms - now) : 0, &answers[i].status,
				&answers[i].error);
		own_close(&fds[i]);
	}
}

int ask_all(struct ask_answer **ret_answers, size_t *ret_count, struct error *err)
{
	char(*ids)[RUN_ID_LENGTH + 1] = NULL;
	struct ask_answer *answers;
	size_t count = 0, kept = 0;
	int r = runs_list(&ids, &count, err);

	if (r < 0)
		return r;
	answers = calloc(count + 1, sizeof(*answers));
	if (!answers) {
		free(ids);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	for (size_t i = 0; i < count; i++)
		memcpy(answers[i].run_id, ids[i], sizeof(answers[i].run_id));
	free(ids);
	for (size_t i = 0; i < count; i += AT_ONCE)
		ask_some(answers + i, count - i < AT_ONCE ? count - i : AT_ONCE);
	for (size_t i = 0; i < count; i++)
		if (answers[i].status || answers[i].error.kind != ERROR_NOT_FOUND)
			answers[kept++] = answers[i];
	*ret_answers = answers;
	*ret_count = kept;
	return 0;
}

void ask_all_finish(struct ask_answer *answers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (answers[i].status)
			berm__wire__run_status__free_unpacked(answers[i].status, NULL);
	free(answers);
}

/* ---- showing ---- */

/* How much of its cap a counter has used, in thousandths. */
static uint64_t share_of(const Berm__Wire__RunCounter *c)
{
	if (!c->capped)
		return 0;
	if (c->value >= c->limit)
		return 1000;
	return (uint64_t)((double)c->value * 1000 / (double)c->limit);
}

/* The counters that are nearest to their caps. */
static void put_nearest(struct text *out, const Berm__Wire__RunStatus *status)
{
	const Berm__Wire__RunCounter *shown[NEAREST] = {NULL};

	for (size_t n = 0; n < NEAREST; n++) {
		for (size_t i = 0; i < status->n_counters; i++) {
			const Berm__Wire__RunCounter *c = status->counters[i];

			if (c->capped && (n == 0 || c != shown[0]) &&
				(!shown[n] || share_of(c) > share_of(shown[n])))
				shown[n] = c;
		}
		if (!shown[n])
			break;
		text_printf(out, "%s%s %llu/%llu", n ? ", " : "",
			ask_counter_name(shown[n]->counter), (unsigned long long)shown[n]->value,
			(unsigned long long)shown[n]->limit);
	}
	if (!shown[0])
		text_puts(out, status->metered ? "no caps" : "not metered");
}

uint64_t ask_nearest_share(const Berm__Wire__RunStatus *status)
{
	uint64_t most = 0;

	for (size_t i = 0; i < status->n_counters; i++)
		if (share_of(status->counters[i]) > most)
			most = share_of(status->counters[i]);
	return most;
}

void ask_put_heading(struct text *out)
{
	text_printf(out, "%-*s  %-*s  %-10s  %-11s  %-7s  %s\n", RUN_ID_LENGTH, "RUN",
		PROFILE_BYTES, "AGENT OR PROFILE", "POSTURE", "PHASE", "UP",
		"NEAREST CAPS, COMMAND");
}

static void put_status(struct text *out, const Berm__Wire__RunStatus *status)
{
	autotext struct text run = {0}, profile = {0}, uptime = {0};

	text_escape(&run, status->run, strlen(status->run), RUN_ID_LENGTH);
	if (status->agent[0])
		text_escape(&profile, status->agent, strlen(status->agent), PROFILE_BYTES);
	else
		ask_put(&profile, status->profile, PROFILE_BYTES);
	ask_put_time(&uptime, status->uptime_ms);
	text_printf(out, "%-*s  %-*s  %-10s  %-11s  %-7s  ", RUN_ID_LENGTH, text_string(&run),
		PROFILE_BYTES, text_string(&profile), posture_name(status->posture),
		phase_name(status->phase), text_string(&uptime));
	ask_put_held(out, status, "held at ");
	text_puts(out, status->held_on ? "  " : "");
	put_nearest(out, status);
	text_puts(out, "  ");
	ask_put_command(out, status, COMMAND_BYTES);
	text_puts(out, "\n");
}

/* The reason may be the other end's. */
static void put_silent(struct text *out, const struct ask_answer *answer)
{
	text_printf(out, "%-*s  ", RUN_ID_LENGTH, answer->run_id);
	text_escape(out, answer->error.text, strlen(answer->error.text), ERROR_TEXT_MAX);
	text_puts(out, "\n");
}

void ask_put_row(struct text *out, const struct ask_answer *answer)
{
	if (answer->status)
		put_status(out, answer->status);
	else
		put_silent(out, answer);
}

void ask_put_json(struct text *out, const struct ask_answer *answers, size_t count,
	const struct held_runs *held)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_array_begin(&j, "runs");
	for (size_t i = 0; i < count; i++)
		if (answers[i].status)
			ask_json(&j, NULL, answers[i].status);
	json_array_end(&j);
	json_array_begin(&j, "silent");
	for (size_t i = 0; i < count; i++) {
		if (answers[i].status)
			continue;
		json_object_begin(&j, NULL);
		json_put_string(&j, "run", answers[i].run_id);
		json_put_string(&j, "error", answers[i].error.text);
		json_object_end(&j);
	}
	json_array_end(&j);
	held_json(held, &j);
	json_object_end(&j);
	text_puts(out, "\n");
}
