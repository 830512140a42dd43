/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cli/profile.h"
#include "cli/sign-files.h"
#include "policy/diagnostics.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#define COUNTER_MOST (UINT64_MAX / 2)

struct sign_options {
	struct profile_options common;
	const char *key;
	const char *comment;
	const char *new_key;
	uint64_t counter;
};

static const struct option_spec specs[] = {
	PROFILE_OPTION_ROWS(struct sign_options),
	{"key", 'k', OPTION_TEXT, offsetof(struct sign_options, key), "FILE", "BERM_SIGN_KEY",
		"the secret key (of minisign, without a password)"},
	{"comment", 'c', OPTION_TEXT, offsetof(struct sign_options, comment), "WORDS", NULL,
		"words to sign with it: who reviewed it, which ticket"},
	{"counter", 0, OPTION_NUMBER, offsetof(struct sign_options, counter), "N", NULL,
		"number of this signature; default: one more than that of the one there"},
	{"new-key", 0, OPTION_TEXT, offsetof(struct sign_options, new_key), "FILE", NULL,
		"instead make a key: FILE, and FILE.pub for those who verify"},
};

/* The counter behind the one in the signature that is there, or 1. */
static int next_counter(const char *path, uint64_t *ret_counter, struct error *err)
{
	autofree char *text = NULL;
	struct minisign_signature signature = {0};
	struct minisign_claim claim = {0};
	size_t length = 0;
	int r;

	*ret_counter = 1;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	r = sign_read(path, &text, &length, err);
	if (r == 0)
		r = minisign_read_signature(text, length, &signature, err);
	if (r == 0)
		r = minisign_read_claim(signature.comment, &claim, err);
	if (r == 0 && claim.counter >= COUNTER_MOST)
		r = error_set(err, -ERANGE, ERROR_INPUT, "its counter is at its end");
	if (r < 0)
		return error_wrap(err, "%s is there, and --counter is not given", path);
	*ret_counter = claim.counter + 1;
	return 0;
}

static void put_comment(
	struct text *out, const struct profile *profile, uint64_t counter, const char *words)
{
	char time_words[32] = "";
	time_t now = time(NULL);
	struct tm utc;

	if (gmtime_r(&now, &utc))
		strftime(time_words, sizeof(time_words), "%Y-%m-%dT%H:%M:%SZ", &utc);
	text_printf(out, "profile=%s version=1 time=%s counter=%llu%s%s", profile->name, time_words,
		(unsigned long long)counter, words ? " " : "", words ? words : "");
}

/* The file that was asked for: the list is newest first. */
static const struct source_file *own_file(const struct profile *profile)
{
	const struct source_file *file = profile->sources;

	for (size_t i = profile->file_count; file && i > 1; i--)
		file = file->next;
	return file;
}

static int print(const struct sign_options *options, const char *path, const char *comment,
	const uint8_t *key_id)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};
	char id[MINISIGN_ID_HEX];

	minisign_key_id(key_id, id);
	if (!options->common.json) {
		text_puts(&out, "wrote ");
		profile_put(&out, path);
		text_printf(&out, "  key %s  ", id);
		profile_put(&out, comment);
		text_puts(&out, "\n");
		return verb_print(&out, CLI_GOOD);
	}
	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "file", path);
	json_put_string(&j, "key", id);
	json_put_string(&j, "trusted_comment", comment);
	json_object_end(&j);
	text_puts(&out, "\n");
	return verb_print(&out, CLI_GOOD);
}

static int make_key(const struct verb *verb, const struct sign_options *options)
{
	autotext struct text out = {0}, public = {0};
	struct json j = {.out = &out};
	struct error err = {0};
	struct minisign_key key = {0};
	char id[MINISIGN_ID_HEX];

	if (sign_new_key(options->new_key, &key, &err) < 0)
		return verb_failed(verb, &err);
	minisign_key_id(key.id, id);
	minisign_put_public(&public, &key);
	if (options->common.json) {
		json_object_begin(&j, NULL);
		json_put_u64(&j, "version", 1);
		json_put_string(&j, "file", options->new_key);
		json_put_string(&j, "key", id);
		json_put_string(&j, "public_key", text_string(&public));
		json_object_end(&j);
	} else {
		text_puts(&out, "wrote ");
		profile_put(&out, options->new_key);
		text_printf(&out, " and its .pub  key %s  %s", id, text_string(&public));
	}
	text_puts(&out, "\n");
	return verb_print(&out, CLI_GOOD);
}

/* Exactly the bytes that were checked. */
static int sign(const struct sign_options *options, const struct profile *profile, const char *path,
	struct text *comment, struct minisign_secret *secret, struct error *err)
{
	const struct source_file *file = own_file(profile);
	autotext struct text signature = {0};
	uint64_t counter = options->counter;
	int r = counter ? 0 : next_counter(path, &counter, err);

	if (r < 0)
		return r;
	put_comment(comment, profile, counter, options->comment);
	r = sign_make(secret, file->data, file->length, text_string(comment), &signature, err);
	return r < 0 ? r : sign_write(path, &signature, err);
}

static int run(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct sign_options *options = values;
	autosession struct session session = {0};
	struct session_request request;
	autotext struct text comment = {0};
	struct minisign_secret *secret = NULL;
	autofree char *path = NULL;
	struct error err = {0};
	uint8_t id[MINISIGN_KEY_ID_BYTES];
	int r;

	if (options->new_key)
		return argc > 0 ? verb_misused(verb, "--new-key takes no profile")
				: make_key(verb, options);
	if (argc != 1 || !options->key)
		return verb_misused(verb, "wants a profile and --key FILE");
	for (const char *c = options->comment; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return verb_misused(verb, "--comment is one line of text");
	request = profile_request_of(&options->common, argv[0]);
	if (session_load(&request, &session, &err) < 0)
		return profile_report_failure(verb, &session, &err);
	if (asprintf(&path, "%s" MINISIGN_SUFFIX, session.profile->file) < 0)
		return CLI_HOST_CANNOT;
	r = sign_read_secret(options->key, &secret, &err);
	if (r == -EKEYREJECTED)
		log_line("%s: minisign -S -s KEY -m FILE -t \"profile=%s version=1 counter=N\" "
			 "asks for it, and makes a signature that berm takes",
			verb->name, session.profile->name);
	if (r < 0)
		return verb_failed(verb, &err);
	memcpy(id, secret->id, sizeof(id));
	r = sign(options, session.profile, path, &comment, secret, &err);
	sodium_free(secret);
	return r < 0 ? verb_failed(verb, &err) : print(options, path, text_string(&comment), id);
}

const struct verb verb_profile_sign = {
	.name = "profile sign",
	.summary = "Sign a profile, so that others know that it is the one that was reviewed",
	.usage = "-k KEY [-c WORDS] PROFILE | --new-key FILE",
	.details = "Checks the profile and writes PROFILE.minisig, which minisign(1) verifies too. "
		   "The signature covers\nthe file's bytes, its name, the version of the language, "
		   "the time and a counter. What it extends is\nsigned by itself.\n"
		   "Exit codes: 0 signed; 2 wrong words, profile or key; 3 the host failed.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct sign_options)},
	.function = run,
};
