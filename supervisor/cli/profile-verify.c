/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cli/profile.h"
#include "cli/sign-files.h"

#include <string.h>

struct verify_options {
	bool json;
	const char *public_key;
	const char *key;
	const char *keys;
	const char *signature;
	uint64_t at_least;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct verify_options, json), NULL, NULL,
		"one JSON object instead of a line"},
	{"public-key", 'P', OPTION_TEXT, offsetof(struct verify_options, public_key), "KEY", NULL,
		"the key to believe, as its 56 characters"},
	{"key", 'k', OPTION_TEXT, offsetof(struct verify_options, key), "FILE", NULL,
		"the file of the key to believe"},
	{"keys", 0, OPTION_TEXT, offsetof(struct verify_options, keys), "DIR", NULL,
		"believe each *.pub there; default: " SIGN_KEYS_DIRECTORY},
	{"signature", 'x', OPTION_TEXT, offsetof(struct verify_options, signature), "FILE", NULL,
		"default: PROFILE.minisig"},
	{"at-least", 0, OPTION_NUMBER, offsetof(struct verify_options, at_least), "N", NULL,
		"the counter that is the least to take, against an older profile"},
};

/* What is told about one file. */
struct answer {
	bool good;
	const char *file;
	const char *reason; /* why it is not good */
	const struct minisign_verdict *verdict;
};

static int find_trusted(
	const char *directory, struct minisign_key **ret_keys, size_t *ret_count, struct error *err)
{
	const char *from = directory ? directory : SIGN_KEYS_DIRECTORY;
	int r = sign_trusted_keys(from, geteuid(), ret_keys, ret_count, err);

	if ((r == 0 && *ret_count == 0) || (r == -ENOENT && !directory))
		return error_set(err, -ENOENT, ERROR_INPUT,
			"there is no key to believe: no *.pub in %s, and neither --key nor "
			"--public-key",
			from);
	return r;
}

static int find_keys(const struct verify_options *options, struct minisign_key **ret_keys,
	size_t *ret_count, struct error *err)
{
	autofree char *text = NULL;
	const char *words = options->public_key;
	size_t length = words ? strlen(words) : 0;
	struct minisign_key *key;
	int r = 0;

	if (!words && !options->key)
		return find_trusted(options->keys, ret_keys, ret_count, err);
	if (!words) {
		r = sign_read(options->key, &text, &length, err);
		words = text;
	}
	key = r < 0 ? NULL : calloc(1, sizeof(*key));
	if (r == 0 && !key)
		r = error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory");
	if (r == 0)
		r = minisign_read_public(words, length, key, err);
	if (r < 0) {
		free(key);
		return r;
	}
	*ret_keys = key;
	*ret_count = 1;
	return 0;
}

static void put_words(const struct answer *answer, struct text *out)
{
	const struct minisign_verdict *verdict = answer->verdict;
	char id[MINISIGN_ID_HEX];

	text_puts(out, answer->good ? "ok   " : "BAD  ");
	profile_put(out, answer->file);
	if (answer->good) {
		minisign_key_id(verdict->signature.id, id);
		text_printf(out, "  key %s  trusted comment: ", id);
		profile_put(out, verdict->signature.comment);
	} else {
		text_puts(out, ": ");
		profile_put(out, answer->reason);
	}
	text_puts(out, "\n");
}

static void put_number(struct json *j, const char *key, uint64_t number)
{
	if (number)
		json_put_u64(j, key, number);
	else
		json_put_null(j, key);
}

/* What the comment says is told of a good signature only. */
static void put_json(const struct answer *answer, struct text *out)
{
	static const struct minisign_claim nothing;
	const struct minisign_claim *claim = answer->good ? &answer->verdict->claim : &nothing;
	struct json j = {.out = out};
	char id[MINISIGN_ID_HEX] = "";

	if (answer->good)
		minisign_key_id(answer->verdict->signature.id, id);
	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "file", answer->file);
	json_put_bool(&j, "good", answer->good);
	json_put_string(&j, "reason", answer->good ? NULL : answer->reason);
	json_put_string(&j, "key", answer->good ? id : NULL);
	json_put_string(&j, "profile", claim->profile[0] ? claim->profile : NULL);
	put_number(&j, "profile_version", claim->version);
	put_number(&j, "counter", claim->counter);
	json_put_string(&j, "time", claim->time[0] ? claim->time : NULL);
	json_put_string(&j, "comment", claim->rest);
	json_object_end(&j);
	text_puts(out, "\n");
}

static int tell(const struct verify_options *options, const struct answer *answer)
{
	autotext struct text out = {0};

	if (options->json)
		put_json(answer, &out);
	else
		put_words(answer, &out);
	return verb_print(&out, answer->good ? CLI_GOOD : CLI_NO);
}

static int check_counter(
	const struct verify_options *options, const struct minisign_claim *claim, struct error *err)
{
	if (claim->counter >= options->at_least)
		return 0;
	if (claim->counter == 0)
		return error_set(err, -ESTALE, ERROR_INPUT, "it has no counter");
	return error_set(err, -ESTALE, ERROR_INPUT,
		"its counter is %llu: an older one than the least to take",
		(unsigned long long)claim->counter);
}

static int run(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct verify_options *options = values;
	autofree struct minisign_key *keys = NULL;
	autofree char *data = NULL, *signature = NULL, *path = NULL, *name = NULL;
	struct minisign_case question = {0};
	struct minisign_verdict verdict = {0};
	struct answer answer = {.verdict = &verdict};
	struct error err = {0};

	if (argc != 1)
		return verb_misused(verb, "wants the file of one profile");
	if (!!options->public_key + !!options->key + !!options->keys > 1)
		return verb_misused(verb, "one of --public-key, --key and --keys");
	answer.file = argv[0];
	if (find_keys(options, &keys, &question.key_count, &err) < 0 ||
		sign_read(argv[0], &data, &question.length, &err) < 0)
		return verb_failed(verb, &err);
	if (asprintf(&path, "%s" MINISIGN_SUFFIX, argv[0]) < 0)
		return CLI_HOST_CANNOT;
	name = sign_profile_name(argv[0], data, question.length);
	question.keys = keys;
	question.data = data;
	question.name = name;
	answer.reason = err.text;
	if (sign_read(options->signature ? options->signature : path, &signature,
		    &question.signature_length, &err) < 0)
		return err.code == -ENOENT ? tell(options, &answer) : verb_failed(verb, &err);
	question.signature = signature;
	answer.good = name && minisign_judge(&question, &verdict, &err) == 0 &&
		      check_counter(options, &verdict.claim, &err) == 0;
	if (!name)
		(void)!error_set(&err, -EINVAL, ERROR_INPUT, "it is no profile");
	return tell(options, &answer);
}

const struct verb verb_profile_verify = {
	.name = "profile verify",
	.summary = "Say whether a profile is signed with a key that is believed",
	.usage = "[-P KEY | -k FILE | --keys DIR] [--at-least N] FILE",
	.details = "Only the file itself is looked at, not what it extends: each file has its own "
		   "signature, of\n`berm profile sign` or of minisign(1). One of minisign's "
		   "legacy form, or one of which the\ntrusted comment names another "
		   "profile, is BAD.\n"
		   "Exit codes: 0 ok; 1 BAD, or not signed; 2 wrong words, file or key; 3 the host "
		   "failed.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct verify_options)},
	.function = run,
};
