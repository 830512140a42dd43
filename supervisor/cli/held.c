/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/held.h"

#include "apply/caller.h"
#include "daemon/hold.h"
#include "daemon/places.h"
#include "wire/held.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NAME_BYTES 20
#define LINE_BYTES 200

void held_read(const char *state_dir, struct held_runs *ret_held)
{
	const struct places_request wanted = {.state_dir = state_dir};
	autorequests struct requests requests = REQUESTS_NONE;
	struct places places = {0};
	struct caller caller;
	struct error *err = &ret_held->error;
	int r;

	caller_identify(&caller);
	r = places_find(&caller, &wanted, &places, err);
	/* Whoever only looks makes no directory. */
	if (r == 0 && places.state && access(places.state, F_OK) == 0)
		r = requests_open(places.state, false, &requests, err);
	places_finish(&places);
	/* Where nothing was ever asked nobody waits. */
	if (r == -ENOENT)
		*err = (struct error){0};
	if (r < 0 || requests.dir_fd < 0)
		return;
	if (agents_now(&ret_held->now, err) == 0)
		(void)!requests_list(&requests, &ret_held->list, err);
}

void held_finish(struct held_runs *held)
{
	requests_list_free(&held->list);
}

/* ---- which ---- */

struct waiter {
	const Berm__Wire__ApprovalRequest *request;
	const Berm__Wire__ApprovalWaiter *waiter;
	uint64_t waited_ms, left_ms;
};

/* Those whose answer is not there yet, the oldest question first. */
static void each(const struct held_runs *held, uint32_t on,
	void (*function)(void *context, const struct waiter *waiter), void *context)
{
	for (size_t i = 0; i < held->list.count; i++) {
		const Berm__Wire__ApprovalRequest *request = held->list.items[i];

		for (size_t k = 0; request->on == on && k < request->n_waiters; k++) {
			const Berm__Wire__ApprovalWaiter *w = request->waiters[k];

			if (approval_of(request, w->run, &held->now) != APPROVAL_PENDING)
				continue;
			function(context, &(const struct waiter){request, w,
						  held->now.boot_ms - w->asked_boot_ms,
						  w->until_boot_ms - held->now.boot_ms});
		}
	}
}

static void name(void *context, const struct waiter *w)
{
	Berm__Wire__RunStatus *status = context;
	char *id;

	if (strcmp(w->waiter->run, status->run) != 0)
		return;
	id = strdup(w->request->id);
	if (!id)
		return;
	if (status->held_approval != protobuf_c_empty_string)
		free(status->held_approval);
	status->held_approval = id;
}

void held_name(const struct held_runs *held, Berm__Wire__RunStatus *status)
{
	if (status->held_on)
		each(held, status->held_on, name, status);
}

/* ---- showing ---- */

static void put_command(struct text *out, const Berm__Wire__ApprovalRequest *request, size_t bytes)
{
	autotext struct text line = {0};

	(void)hold_line(request, LINE_BYTES, &line);
	text_escape(out, text_string(&line), line.length, bytes);
}

static void put_row(void *context, const struct waiter *w)
{
	const Berm__Wire__ApprovalRequest *request = w->request;
	const char *of = request->agent[0] ? request->agent : request->profile;
	struct text *out = context;
	autotext struct text shown = {0}, waited = {0};

	text_escape(&shown, of, strlen(of), NAME_BYTES);
	ask_put_time(&waited, w->waited_ms);
	text_printf(out, "%-*s  %-*s  %-10s  %-11s  %-7s  held at run, approval %s  ",
		RUN_ID_LENGTH, w->waiter->run, NAME_BYTES, text_string(&shown), "held", "-",
		text_string(&waited), request->id);
	put_command(out, request, 40);
	text_puts(out, "\n");
}

void held_put_rows(const struct held_runs *held, struct text *out)
{
	each(held, HELD_RUN, put_row, out);
	if (!held->error.code)
		return;
	text_puts(out, "what is held cannot be told: ");
	text_escape(out, held->error.text, strlen(held->error.text), ERROR_TEXT_MAX);
	text_puts(out, "\n");
}

static void put_object(void *context, const struct waiter *w)
{
	const Berm__Wire__ApprovalRequest *request = w->request;
	struct json *j = context;

	json_object_begin(j, NULL);
	json_put_string(j, "run", w->waiter->run);
	json_put_string(j, "on", hold_moment(request->on));
	json_put_string(j, "approval", request->id);
	json_put_string(j, "agent", request->agent[0] ? request->agent : NULL);
	json_put_string(j, "group", request->group[0] ? request->group : NULL);
	json_put_string(j, "profile", request->profile);
	json_put_string(j, "why", request->why[0] ? request->why : NULL);
	json_put_u64(j, "uid", request->uid);
	json_put_u64(j, "waited_ms", w->waited_ms);
	json_put_u64(j, "left_ms", w->left_ms);
	json_array_begin(j, "command");
	for (size_t i = 0; i < request->n_argv; i++)
		json_put_string_n(
			j, NULL, (const char *)request->argv[i].data, request->argv[i].len);
	json_array_end(j);
	json_object_end(j);
}

void held_json(const struct held_runs *held, struct json *j)
{
	json_array_begin(j, "held");
	each(held, HELD_RUN, put_object, j);
	json_array_end(j);
	json_put_string(j, "held_error", held->error.code ? held->error.text : NULL);
}

/* ---- one ---- */

struct search {
	const char *words;
	struct waiter found;
	size_t count;
};

static void match(void *context, const struct waiter *w)
{
	struct search *search = context;

	if (strncasecmp(w->waiter->run, search->words, strlen(search->words)) != 0)
		return;
	search->found = *w;
	search->count++;
}

static void put_lines(const struct waiter *w, struct text *out)
{
	const Berm__Wire__ApprovalRequest *request = w->request;

	text_printf(out, "run       %s\nheld      at run, ", w->waiter->run);
	ask_put_time(out, w->waited_ms);
	text_printf(out, ", approval %s: it is not begun", request->id);
	text_puts(out, "\nprofile   ");
	text_escape(out, request->profile, strlen(request->profile), LINE_BYTES);
	if (request->agent[0]) {
		text_puts(out, "\nagent     ");
		text_escape(out, request->agent, strlen(request->agent), LINE_BYTES);
	}
	if (request->group[0]) {
		text_puts(out, "\ngroup     ");
		text_escape(out, request->group, strlen(request->group), LINE_BYTES);
	}
	if (request->why[0]) {
		text_puts(out, "\nbecause   ");
		text_escape(out, request->why, strlen(request->why), LINE_BYTES);
	}
	text_puts(out, "\ncommand   ");
	put_command(out, request, LINE_BYTES);
	text_puts(out, "\n");
}

bool held_put_one(const struct held_runs *held, const char *words, bool as_json, struct text *out)
{
	struct search search = {.words = words};
	struct json j = {.out = out};

	each(held, HELD_RUN, match, &search);
	if (search.count != 1 || !words[0])
		return false;
	if (!as_json) {
		put_lines(&search.found, out);
		return true;
	}
	put_object(&j, &search.found);
	text_puts(out, "\n");
	return true;
}
