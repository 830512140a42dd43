/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "cli/pace-group.h"
#include "govern/pace-words.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Keys and signatures of people. Nothing here needs the host whose groups they are about. */

#define KEY_HEAD "berm pace key 1\nseed: "
#define KEY_TEXT_MAX 256

struct sign_options {
	const char *key, *as, *evidence, *reason, *agent, *out;
	struct word_list review;
};

#define SIGN(name, type, field, argument, help)                                                    \
	{                                                                                          \
		name, 0, type, offsetof(struct sign_options, field), argument, NULL, help          \
	}

static const struct option_spec sign_specs[] = {
	SIGN("key", OPTION_TEXT, key, "FILE", "of \"berm pace key\""),
	SIGN("as", OPTION_TEXT, as, "ROLE",
		"observer, operator, security, incident-commander, risk-owner or kill-key"),
	SIGN("reason", OPTION_TEXT, reason, "TEXT", "why, for the log"),
	SIGN("evidence", OPTION_TEXT, evidence, "TRIGGER",
		"what is signed, where the phases do not say it"),
	SIGN("agent", OPTION_TEXT, agent, "ID", "the id of the agent concerned: it is isolated"),
	SIGN("review", OPTION_COMMA_WORDS, review, "ITEM,…",
		"what the review found: root-cause, gap-closed, baselines, sign-off"),
	SIGN("out", OPTION_TEXT, out, "FILE", "write the statement there and not to stdout"),
};

int pace_key_read(const char *path, uint8_t seed[crypto_sign_SEEDBYTES], struct error *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	autofree char *text = NULL;
	size_t length = 0, got = 0;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		error_errno(err, "%s", path);
		err->kind = ERROR_INPUT;
		return err->code;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 077) || !S_ISREG(st.st_mode))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s: a secret key is a file of your own that nobody else may read (mode "
			"0600)",
			path);
	r = io_read_fd(fd, path, KEY_TEXT_MAX, &text, &length, err);
	if (r < 0)
		return r;
	if (!text || length != strlen(KEY_HEAD) + 65 || strncmp(text, KEY_HEAD, strlen(KEY_HEAD)) ||
		text[length - 1] != '\n' ||
		sodium_hex2bin(seed, crypto_sign_SEEDBYTES, text + strlen(KEY_HEAD), 64, NULL, &got,
			NULL) != 0 ||
		got != crypto_sign_SEEDBYTES)
		r = error_set(
			err, -EINVAL, ERROR_INPUT, "%s: is no key of \"berm pace key\"", path);
	if (text)
		sodium_memzero(text, length);
	return r;
}

int pace_write_new(const char *path, const char *text, struct error *err)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : io_write_all(fd, text, strlen(text));

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	return error_set(err, r, ERROR_INPUT, "%s: %s", path, strerror(-r));
}

static int make_statement(const struct verb *verb, const struct sign_options *o, char **argv,
	struct authority_statement *s)
{
	struct error err = {0};
	bool is_answer = false;

	*s = (struct authority_statement){.trigger = PACE_DECLARED};
	if (authority_about_read(argv[0], s, &is_answer, &err) < 0)
		return verb_failed(verb, &err);
	if (!pace_phase_parse(argv[1], &s->to))
		return verb_misused(verb, "\"%s\" is no phase", argv[1]);
	if (o->agent && !agent_id_is_good(o->agent))
		return verb_misused(verb, "\"%s\" is no agent's id (berm agent show)", o->agent);
	snprintf(s->agent, sizeof(s->agent), "%s", o->agent ? o->agent : "");
	if (!o->as || !pace_authority_parse(o->as, &s->role) || !(AUTHORITY_ROLES & 1U << s->role))
		return verb_misused(verb, "--as with a role");
	if (s->to < s->from)
		s->trigger = PACE_REVIEWED;
	else if (s->to == PHASE_EMERGENCY && s->from != s->to)
		s->trigger = PACE_KILL;
	if (o->evidence && !pace_trigger_parse(o->evidence, &s->trigger))
		return verb_misused(verb, "\"%s\" is no trigger", o->evidence);
	if (is_answer != (s->trigger == PACE_DISMISSED || s->trigger == PACE_EXPLAINED))
		return verb_misused(verb, is_answer ? "what ends in a question's digest is for "
						      "--evidence dismissed or explained"
						    : "an answer is to be about what is asked: "
						      "\"berm pace show\" tells its digest");
	for (size_t i = 0; i < o->review.count; i++) {
		unsigned item;

		if (!pace_review_parse(o->review.items[i], &item))
			return verb_misused(
				verb, "\"%s\" is no item of a review", o->review.items[i]);
		s->review |= item;
	}
	if (o->reason && strlen(o->reason) > AUTHORITY_REASON_MAX)
		return verb_misused(
			verb, "the reason is longer than %d bytes", AUTHORITY_REASON_MAX);
	snprintf(s->reason, sizeof(s->reason), "%s", o->reason ? o->reason : "");
	if (!authority_statement_is_good(s))
		return verb_misused(verb, "the reason is one line of UTF-8 without controls");
	return CLI_GOOD;
}

static int sign(const struct sign_options *o, struct authority_signed *s,
	char ret_text[AUTHORITY_TEXT_MAX], struct error *err)
{
	uint8_t seed[crypto_sign_SEEDBYTES] = {0}, secret[crypto_sign_SECRETKEYBYTES];
	uint8_t bytes[AUTHORITY_STATEMENT_BYTES_MAX];
	struct timespec now;
	size_t length;
	int r = pace_key_read(o->key, seed, err);

	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	s->statement.signed_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	randombytes_buf(s->statement.nonce, sizeof(s->statement.nonce));
	crypto_sign_seed_keypair(s->key, secret, seed);
	length = authority_encode(&s->statement, bytes);
	crypto_sign_detached(s->signature, NULL, bytes, length, secret);
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(seed, sizeof(seed));
	r = authority_write(s, ret_text);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "the statement cannot be written") : 0;
}

static int pace_sign(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct sign_options *options = values;
	char text[AUTHORITY_TEXT_MAX];
	autotext struct text out = {0}, said = {0};
	struct authority_signed s = {0};
	struct error err = {0};
	int r;

	if (argc != 2 || !options->key)
		return verb_misused(verb, "--key, what \"berm pace show\" tells to sign, and a "
					  "phase");
	r = make_statement(verb, options, argv, &s.statement);
	if (r != CLI_GOOD)
		return r;
	if (sodium_init() < 0)
		return CLI_HOST_CANNOT;
	if (sign(options, &s, text, &err) < 0 ||
		(options->out && pace_write_new(options->out, text, &err) < 0))
		return verb_failed(verb, &err);
	text_printf(&said, "signed as %s: the group %s from %s to %s (%s)%s%s%s%s\n",
		pace_authority_name(s.statement.role), s.statement.group,
		phase_name(s.statement.from), phase_name(s.statement.to),
		pace_trigger_name(s.statement.trigger), s.statement.agent[0] ? ", agent " : "",
		s.statement.agent, s.statement.reason[0] ? ", since " : "", s.statement.reason);
	text_puts(&said, "It holds once, within 10 minutes, for this group of this host, until its "
			 "phase changes.\n");
	(void)!io_write_all(STDERR_FILENO, text_string(&said), said.length);
	if (!options->out)
		text_puts(&out, text);
	return verb_print(&out, CLI_GOOD);
}

const struct verb verb_pace_sign = {
	.name = "pace sign",
	.summary = "Sign a statement about the phase of a group",
	.usage = "--key FILE --as ROLE [OPTIONS] ABOUT TO",
	.details =
		"Needs nothing but the key: sign on another host, and bring the statement to the "
		"one "
		"of the group\n"
		"(berm pace declare|recover|explain|dismiss --signature FILE). ABOUT is what "
		"\"berm "
		"pace show\" tells\n"
		"there as \"to sign\": the group, its phase, how often that changed, the group's "
		"id "
		"on that host. A way\n"
		"back is \"reviewed\", the way to emergency \"kill\"; --evidence says otherwise: "
		"cascade, exfiltration,\n"
		"coordination, rogue. Answers have an ABOUT of their own (\"to say no\", \"to "
		"explain\"): --evidence\n"
		"dismissed with the phase that was asked for, --evidence explained with the one "
		"that the group is in.",
	.options = {.specs = sign_specs,
		.count = array_size(sign_specs),
		.size = sizeof(struct sign_options)},
	.function = pace_sign,
};

static int pace_key(const struct verb *verb, const void *values, int argc, char **argv)
{
	uint8_t seed[crypto_sign_SEEDBYTES], key[crypto_sign_PUBLICKEYBYTES];
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	char hex[2 * crypto_sign_SEEDBYTES + 1], text[KEY_TEXT_MAX];
	autotext struct text out = {0};
	struct error err = {0};
	int r;

	(void)values;
	if (argc != 1)
		return verb_misused(verb, "a file that is not there yet");
	if (sodium_init() < 0)
		return CLI_HOST_CANNOT;
	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(key, secret, seed);
	snprintf(text, sizeof(text), KEY_HEAD "%s\n",
		sodium_bin2hex(hex, sizeof(hex), seed, sizeof(seed)));
	r = pace_write_new(argv[0], text, &err);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(text, sizeof(text));
	if (r < 0)
		return verb_failed(verb, &err);
	text_printf(&out, "%s\n", sodium_bin2hex(hex, sizeof(hex), key, sizeof(key)));
	return verb_print(&out, CLI_GOOD);
}

const struct verb verb_pace_key = {
	.name = "pace key",
	.summary = "Make a key for \"berm pace sign\"",
	.usage = "FILE",
	.details = "Writes a new secret key to FILE (mode 0600) and prints its public key, the one "
		   "for authority.yaml.",
	.function = pace_key,
};
