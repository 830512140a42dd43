/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/path.h"
#include "cli/paint.h"
#include "cli/profile.h"
#include "policy/decide.h"
#include "policy/schema.h"

#include <limits.h>
#include <string.h>

#define LINKS_MAX 40 /* path_resolution(7) */

struct explain_options {
	struct profile_options common;
};

static const struct option_spec specs[] = {PROFILE_OPTION_ROWS(struct explain_options)};

static const struct {
	const char *word;
	enum paint paint;
} shown[DECISION_COUNT] = {
	[DECISION_DENY] = {"DENY", PAINT_BAD},
	[DECISION_ASK] = {"ASK", PAINT_WARN},
	[DECISION_ALLOW] = {"ALLOW", PAINT_GOOD},
};

static bool takes_path(enum operation operation, const char *object)
{
	return operation == OPERATION_READ || operation == OPERATION_WRITE ||
	       (operation == OPERATION_EXEC && strchr(object, '/') && !strchr(object, ' '));
}

/* Put what a link says before the rest of a path: new string, the old one is freed. */
static char *prepend(const char *target, char *rest, size_t used)
{
	char *joined = NULL;

	if (asprintf(&joined, "%s/%s", target, rest + used) < 0)
		joined = NULL;
	free(rest);
	return joined;
}

/* The real path of what an absolute path names, as the run would meet it: links are followed also
 * where they lead to what is not there yet. NULL where memory ran out or links go in circles. */
static char *follow(const char *path)
{
	autofree char *rest = strdup(path), *done = strdup("/");
	unsigned links = 0;

	while (rest && done) {
		char *at = rest + strspn(rest, "/"), target[PATH_MAX];
		size_t length = strcspn(at, "/");
		autofree char *name = strndup(at, length), *next = NULL;
		ssize_t n;

		if (length == 0)
			return take_ptr(&done);
		if (!name)
			return NULL;
		if (strcmp(name, "..") == 0)
			next = strcmp(done, "/") == 0 ? strdup("/") : path_parent(done);
		else
			next = strcmp(name, ".") == 0 ? strdup(done) : path_join(done, name);
		n = next ? readlink(next, target, sizeof(target) - 1) : -1;
		if (n > 0 && ++links > LINKS_MAX)
			return NULL;
		if (n > 0) {
			size_t used = (size_t)(at + length - rest);

			target[n] = '\0';
			rest = prepend(target, take_ptr(&rest), used);
			if (target[0] != '/')
				continue;
			free(next);
			next = strdup("/");
		} else {
			memmove(rest, at + length, strlen(at + length) + 1);
		}
		free(done);
		done = take_ptr(&next);
	}
	return NULL;
}

/* The object as decide() wants it: paths absolute, normal and real; everything else as it is. "~"
 * is not expanded. */
static char *real_object(
	enum operation operation, const char *object, const char *directory, struct error *err)
{
	autofree char *absolute = NULL, *normal = NULL;
	char *real;

	if (!takes_path(operation, object))
		real = strdup(object);
	else {
		absolute = object[0] == '/' ? strdup(object) : path_join(directory, object);
		normal = absolute ? path_normalise(absolute) : NULL;
		if (absolute && !normal) {
			error_set(
				err, -EINVAL, ERROR_INPUT, "%s: a path here has no \"..\"", object);
			return NULL;
		}
		real = normal ? follow(normal) : NULL;
	}
	if (!real)
		error_set(err, -ELOOP, ERROR_INPUT, "%s: links in a circle, or out of memory",
			object);
	return real;
}

static void print_json(const struct session *session, enum operation operation, const char *object,
	const struct verdict *verdict, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "profile", session->profile->name);
	json_put_string(&j, "operation", operation_name(operation));
	json_put_string(&j, "object", object);
	json_put_string(&j, "decision", decision_name(verdict->decision));
	json_put_string(&j, "rule", verdict->rule);
	json_put_string(&j, "value", verdict->value);
	json_put_string(&j, "reason", verdict->reason);
	json_put_string(&j, "file", verdict->at.line ? verdict->at.file : NULL);
	json_put_u64(&j, "line", verdict->at.line);
	json_put_string(&j, "enforced_by", profile_enforced_by(verdict->rule));
	json_put_string(&j, "hint", verdict->hint[0] ? verdict->hint : NULL);
	json_put_bool(&j, "keep_denied", verdict->keep_denied);
	json_object_end(&j);
	text_puts(out, "\n");
}

static void print_lines(enum operation operation, const char *object, const struct verdict *verdict,
	struct text *out)
{
	const char *by = profile_enforced_by(verdict->rule);

	paint_word(out, paint_wanted(STDOUT_FILENO), shown[verdict->decision].paint,
		shown[verdict->decision].word, 0);
	text_printf(out, "  %s ", operation_name(operation));
	profile_put(out, object);
	text_printf(out, "\n  rule:      %s", verdict->rule);
	if (verdict->value) {
		text_puts(out, " ");
		profile_put(out, verdict->value);
	}
	if (verdict->at.line) {
		text_puts(out, "  (");
		profile_put_place(out, verdict->at.file, verdict->at.line);
		text_puts(out, ")");
	}
	if (verdict->reason) {
		text_puts(out, "\n  reason:    ");
		profile_put(out, verdict->reason);
	}
	if (by)
		text_printf(out, "\n  by:        %s", by);
	if (verdict->hint[0]) {
		text_puts(out, verdict->keep_denied ? "\n  advice:    " : "\n  allow it:  ");
		profile_put(out, verdict->hint);
	}
	text_puts(out, "\n");
}

static int answer(const struct verb *verb, const struct explain_options *options,
	const struct session *session, enum operation operation, const char *words)
{
	autotext struct text out = {0};
	struct error err = {0};
	autofree char *object = real_object(operation, words, session->directory, &err);
	struct verdict verdict;

	if (!object)
		return verb_failed(verb, &err);
	decide(session->profile, operation, object, &verdict);
	if (options->common.json)
		print_json(session, operation, object, &verdict, &out);
	else
		print_lines(operation, object, &verdict, &out);
	return verb_print(&out, verdict.decision == DECISION_ALLOW ? CLI_GOOD : CLI_NO);
}

static int explain(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct explain_options *options = values;
	struct session_request request;
	autosession struct session session = {0};
	struct error err = {0};
	enum operation operation;
	const char *near, *names[OPERATION_COUNT];

	if (argc != 3)
		return verb_misused(verb, "wants a profile, an operation and an object");
	operation = operation_from_name(argv[1]);
	for (enum operation i = 0; i < OPERATION_COUNT; i++)
		names[i] = operation_name(i);
	if (operation == OPERATION_COUNT) {
		near = text_nearest(argv[1], names, OPERATION_COUNT);
		return verb_misused(verb, "\"%s\" is not an operation%s%s%s", argv[1],
			near ? "; did you mean \"" : ": read, write, exec, connect, syscall, env",
			near ? near : "", near ? "\"?" : "");
	}
	request = profile_request_of(&options->common, argv[0]);
	if (session_load(&request, &session, &err) < 0)
		return profile_report_failure(verb, &session, &err);
	return answer(verb, options, &session, operation, argv[2]);
}

const struct verb verb_profile_explain = {
	.name = "profile explain",
	.summary = "Tell what a profile says about one operation, and why",
	.usage = "[OPTIONS] PROFILE read|write|exec|connect|syscall|env OBJECT",
	.details = "OBJECT is a path, a command line, HOST:PORT or unix:/PATH, the name of a "
		   "system call or of a\n"
		   "variable. A relative path begins here; links are followed; \"~\" is the "
		   "shell's business.\n"
		   "Exit: 0 allowed, 1 denied or to be asked, 2 wrong words or profile.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct explain_options)},
	.function = explain,
};
