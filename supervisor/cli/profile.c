/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/profile.h"

#include "base/io.h"

#include <string.h>

#define WORDS_MAX 400

struct session_request profile_request_of(
	const struct profile_options *options, const char *profile)
{
	return (struct session_request){
		.profile = profile,
		.directory = options->directory,
		.ceiling = options->ceiling,
		.state_dir = options->state_dir,
		.thorough = true,
	};
}

int profile_report_failure(
	const struct verb *verb, const struct session *session, const struct error *err)
{
	const struct text *diagnostics = &session->diagnostics;

	if (diagnostics->length)
		(void)!io_write_all(STDERR_FILENO, diagnostics->data, diagnostics->length);
	return verb_failed(verb, err);
}

void profile_put(struct text *out, const char *words)
{
	text_escape(out, words, strlen(words), WORDS_MAX);
}

void profile_put_place(struct text *out, const char *file, uint32_t line)
{
	if (!file || !file[0]) {
		text_puts(out, "berm");
		return;
	}
	profile_put(out, file);
	if (line)
		text_printf(out, ":%u", line);
}

static const struct verb *const children[] = {
	&verb_profile_check,
	&verb_profile_show,
	&verb_profile_explain,
	&verb_profile_diff,
	&verb_profile_test,
	&verb_profile_try,
	&verb_profile_sign,
	&verb_profile_verify,
	&verb_profile_schema,
	&verb_profile_reference,
	NULL,
};

const struct verb verb_profile = {
	.name = "profile",
	.summary = "Check, show, test, compare, explain and sign profiles",
	.children = children,
};
