/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "base/log.h"
#include "cli/ask.h"
#include "cli/held.h"
#include "cli/verb.h"
#include "wire/effects.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_EVERY_MS 1000
#define ROWS_DEFAULT 24
#define COLUMNS_DEFAULT 80
#define DENIAL_BYTES 60

struct top_options {
	bool once, json;
	uint64_t every_ms;
	const char *state_dir;
};

static const struct top_options defaults = {.every_ms = DEFAULT_EVERY_MS};

/* clang-format off */
static const struct option_spec specs[] = {
	{"once", 0, OPTION_FLAG, offsetof(struct top_options, once), NULL, NULL, "show it once and end"},
	{"json", 0, OPTION_FLAG, offsetof(struct top_options, json), NULL, NULL,
		"with --once: one JSON object, as \"berm ps --json\" has it"},
	{"every", 0, OPTION_DURATION, offsetof(struct top_options, every_ms), "TIME", NULL, "how often it is shown anew (1s)"},
	{"state-dir", 0, OPTION_TEXT, offsetof(struct top_options, state_dir), "DIR",
		"BERM_STATE_DIR", "where berm keeps what is held"},
};
/* clang-format on */

static volatile sig_atomic_t told_to_end;

static void on_signal(int number)
{
	told_to_end = number;
}

/* ---- what is shown ---- */

/* What is nearest to its end first; what does not answer before all. */
static int compare(const void *a, const void *b)
{
	const struct ask_answer *left = a, *right = b;
	uint64_t l, r;

	if (!left->status || !right->status)
		return (right->status == NULL) - (left->status == NULL);
	l = ask_nearest_share(left->status);
	r = ask_nearest_share(right->status);
	if (left->status->posture != right->status->posture)
		return left->status->posture < right->status->posture ? 1 : -1;
	return l != r ? (l < r ? 1 : -1) : strcmp(left->run_id, right->run_id);
}

static void put_last_denial(struct text *out, const Berm__Wire__RunStatus *status)
{
	const Berm__Wire__RunDenial *d;

	if (status->n_denials == 0)
		return;
	d = status->denials[status->n_denials - 1];
	text_printf(out, "%*s%llu refused, the last: ", RUN_ID_LENGTH + 2, "",
		(unsigned long long)status->denials_total);
	text_escape(out, d->operation, strlen(d->operation), 16);
	text_puts(out, " ");
	ask_put(out, d->target, DENIAL_BYTES);
	if (d->rule) {
		text_puts(out, " by ");
		ask_put(out, d->rule->key, DENIAL_BYTES);
	}
	text_puts(out, "\n");
}

static void put_all(
	struct text *out, struct ask_answer *answers, size_t count, const struct held_runs *held)
{
	unsigned postures[4] = {0};
	time_t now = time(NULL);
	char clock[16] = "";
	struct tm local;

	for (size_t i = 0; i < count; i++)
		if (answers[i].status)
			postures[answers[i].status->posture & POSTURE_FROZEN_BIT ? 2
				 : answers[i].status->posture == POSTURE_OPEN    ? 0
										 : 1]++;
		else
			postures[3]++;
	if (localtime_r(&now, &local))
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	text_printf(out, "berm top %s  %zu runs: %u open, %u restricted, %u frozen, %u silent\n",
		clock, count, postures[0], postures[1], postures[2], postures[3]);
	ask_put_heading(out);
	if (count)
		qsort(answers, count, sizeof(*answers), compare);
	for (size_t i = 0; i < count; i++) {
		ask_put_row(out, &answers[i]);
		if (answers[i].status)
			put_last_denial(out, answers[i].status);
	}
	held_put_rows(held, out);
}

/* ---- a terminal ---- */

/* As many lines and columns as there are: a line that is too long must not push others out. All of
 * it is escaped, so that a byte is at most a column, but for printable UTF-8. */
static void cut(const struct text *all, struct text *out)
{
	struct winsize size = {0};
	unsigned rows = ROWS_DEFAULT, columns = COLUMNS_DEFAULT;
	const char *line = text_string(all);

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
		rows = size.ws_row;
		columns = size.ws_col;
	}
	for (unsigned row = 0; *line && row + 1 < rows; row++) {
		size_t length = strcspn(line, "\n"), at = 0;

		for (unsigned column = 0; at < length && column < columns; column++) {
			uint32_t point;
			size_t used = text_decode(line + at, length - at, &point);

			at += used ? used : 1;
		}
		text_append(out, line, at);
		text_puts(out, "\033[K\r\n");
		line += length + (line[length] == '\n');
	}
	text_puts(out, "\033[J");
}

/* True when somebody wants it to end. */
static bool wait_key(uint64_t every_ms)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char key = 0;
	int r = poll(&p, 1, (int)every_ms);

	if (told_to_end)
		return true;
	if (r <= 0)
		return false;
	return read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q' || key == 3;
}

static int show_once(
	const struct verb *verb, const struct top_options *options, bool json, struct text *out)
{
	struct ask_answer *answers = NULL;
	struct error err = {0};
	autoheld struct held_runs held = {0};
	size_t count = 0;

	if (ask_all(&answers, &count, &err) < 0)
		return verb_failed(verb, &err);
	held_read(options->state_dir, &held);
	for (size_t i = 0; i < count; i++)
		if (answers[i].status)
			held_name(&held, answers[i].status);
	if (json)
		ask_put_json(out, answers, count, &held);
	else
		put_all(out, answers, count, &held);
	ask_all_finish(answers, count);
	return CLI_GOOD;
}

static int show_again(const struct verb *verb, const struct top_options *options)
{
	static const char enter[] = "\033[?1049h\033[?25l", leave[] = "\033[?25h\033[?1049l";
	const struct sigaction action = {.sa_handler = on_signal};
	struct termios before, raw;
	int code = CLI_GOOD;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return verb_misused(verb, "needs a terminal to read keys from; --once needs none");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	raw = before;
	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	(void)!io_write_all(STDOUT_FILENO, enter, sizeof(enter) - 1);
	do {
		autotext struct text all = {0}, shown = {0};

		code = show_once(verb, options, false, &all);
		text_puts(&shown, "\033[H");
		cut(&all, &shown);
		if (code == CLI_GOOD &&
			(shown.failed ||
				io_write_all(STDOUT_FILENO, text_string(&shown), shown.length) < 0))
			code = CLI_HOST_CANNOT;
	} while (code == CLI_GOOD && !wait_key(options->every_ms));
	(void)!io_write_all(STDOUT_FILENO, leave, sizeof(leave) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return code;
}

static int top(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct top_options *options = values;
	autotext struct text out = {0};
	int code;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	if (options->json && !options->once)
		return verb_misused(verb, "--json needs --once");
	if (!options->once && !isatty(STDOUT_FILENO))
		return verb_misused(verb, "shows a terminal; --once is for files and pipes");
	if (!options->once)
		return show_again(verb, options);
	code = show_once(verb, options, options->json, &out);
	return code == CLI_GOOD ? verb_print(&out, CLI_GOOD) : code;
}

const struct verb verb_top = {
	.name = "top",
	.summary = "Watch the runs that last",
	.usage = "[--every TIME] [--once [--json]] [--state-dir DIR]",
	.details =
		"What does not answer comes first, then what is frozen or restricted, then what is "
		"nearest to a cap;\n"
		"under each the last thing that it was refused. q ends it.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct top_options),
		.defaults = &defaults},
	.function = top,
};
