/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/caller.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/pace-group.h"
#include "daemon/kill-client.h"
#include "daemon/kill-state.h"
#include "daemon/kill-switch.h"
#include "daemon/places.h"

#include <ctype.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 30000

struct killswitch_options {
	bool all, json;
	const char *reason, *key, *out, *order, *socket, *state_dir, *of;
};

/* clang-format off */
#define SWITCH(name, type, field, argument, help)                                                  \
	{(name), 0, (type), offsetof(struct killswitch_options, field), (argument), NULL, (help)}
#define SWITCH_ALL SWITCH("all", OPTION_FLAG, all, NULL, "every run of its user; of root's, every run on its host")
#define SWITCH_REASON SWITCH("reason", OPTION_TEXT, reason, "TEXT", "why, for the log")
#define SWITCH_OPTIONS_OF(rows)                                                                    \
	{.specs = (rows), .count = array_size(rows), .size = sizeof(struct killswitch_options)}

#define SWITCH_STATE(help)                                                                         \
	{"state-dir", 0, OPTION_TEXT, offsetof(struct killswitch_options, state_dir), "DIR", "BERM_STATE_DIR", (help)}

static const struct option_spec serve_specs[] = {
	SWITCH_STATE("whose agents, groups and log it knows"),
};
static const struct option_spec send_specs[] = {
	SWITCH_ALL,
	SWITCH_REASON,
	SWITCH("order", OPTION_TEXT, order, "FILE", "one that was signed, and nothing else"),
	SWITCH("socket", OPTION_TEXT, socket, "PATH", "of another kill switch than this user's or root's"),
	SWITCH("json", OPTION_FLAG, json, NULL, "one JSON object instead of a line"),
	SWITCH_STATE("whose runs are meant: the kill switch of another one refuses"),
};
static const struct option_spec id_specs[] = {
	SWITCH_STATE("of this one"),
};
static const struct option_spec sign_specs[] = {
	SWITCH("key", OPTION_TEXT, key, "FILE", "of \"berm pace key\""),
	SWITCH_ALL,
	SWITCH_REASON,
	SWITCH("out", OPTION_TEXT, out, "FILE", "write the order there and not to stdout"),
	SWITCH("for", OPTION_TEXT, of, "WORD", "the host's word of \"berm killswitch id\"; else that of a state directory here"),
	SWITCH_STATE("of this one, where there is no --for"),
};
/* clang-format on */

/* ---- serve ---- */

static int serve(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct killswitch_options *options = values;
	const struct places_request wanted = {.state_dir = options->state_dir};
	struct places places = {0};
	struct error err = {0};
	struct caller caller;
	int r;

	(void)argv;
	if (argc)
		return verb_misused(verb, "no words");
	caller_identify(&caller);
	r = sodium_init() < 0 ? error_set(&err, -ENOSYS, ERROR_INTERNAL, "no libsodium")
			      : places_find(&caller, &wanted, &places, &err);
	if (r == 0 && !places.state)
		r = error_set(&err, -ENOENT, ERROR_INTERNAL,
			"no state directory is known: name it with --state-dir");
	if (r == 0)
		r = kill_switch_serve(places.state, &err);
	places_finish(&places);
	return r < 0 ? verb_failed(verb, &err) : CLI_GOOD;
}

static const struct verb verb_serve = {
	.name = "killswitch serve",
	.summary = "Be the kill switch, until SIGTERM",
	.usage = "[--state-dir DIR]",
	.details = "Its socket is kill.sock in /run/berm for root, else beside the user's runs. "
		   "Exit: 3 one runs already.",
	.options = SWITCH_OPTIONS_OF(serve_specs),
	.function = serve,
};

/* ---- the words of an order ---- */

static bool take_word(
	const char *word, const struct killswitch_options *o, struct kill_order *order)
{
	static const struct {
		const char *lead;
		enum kill_scope scope;
	} leads[] = {{"agent:", KILL_AGENT}, {"group:", KILL_GROUP}, {"run:", KILL_RUN}};
	char id[KILL_ORDER_OF_BYTES] = "";

	for (size_t i = 0; i < array_size(leads); i++) {
		size_t length = strlen(leads[i].lead);

		if (strncmp(word, leads[i].lead, length) != 0)
			continue;
		if (leads[i].scope != KILL_RUN)
			return kill_order_make(leads[i].scope, word + length, o->reason, order);
		word += length;
		break;
	}
	for (size_t i = 0; word[i] && i + 1 < sizeof(id); i++)
		id[i] = (char)toupper((unsigned char)word[i]);
	return kill_order_make(KILL_RUN, id, o->reason, order);
}

static int make(const struct verb *verb, const struct killswitch_options *o, int argc, char **argv,
	struct kill_order *order)
{
	if (argc != (o->all ? 0 : 1))
		return verb_misused(verb, "run:ID, agent:NAME, group:NAME or --all");
	if (o->all ? !kill_order_make(KILL_EVERYTHING, NULL, o->reason, order)
		   : !take_word(argv[0], o, order))
		return verb_misused(verb,
			"run:ID with the whole id, agent:NAME or group:NAME, and a reason of one "
			"line with less than "
			"208 bytes");
	return CLI_GOOD;
}

/* ---- which state directory ---- */

static int id_here(
	const struct killswitch_options *o, uint8_t id[KILL_ORDER_STATE_BYTES], struct error *err)
{
	const struct places_request wanted = {.state_dir = o->state_dir};
	struct places places = {0};
	struct caller caller;
	int r;

	caller_identify(&caller);
	r = places_find(&caller, &wanted, &places, err);
	if (r == 0)
		r = places.state ? kill_state_id(places.state, false, id, err)
				 : error_set(err, -ENOENT, ERROR_NOT_FOUND,
					   "no state directory is known: name it with --state-dir");
	places_finish(&places);
	return r;
}

static int take_id(
	const struct killswitch_options *o, uint8_t id[KILL_ORDER_STATE_BYTES], struct error *err)
{
	size_t got = 0;

	if (!o->of)
		return id_here(o, id, err);
	if (strlen(o->of) == 2 * (size_t)KILL_ORDER_STATE_BYTES &&
		sodium_hex2bin(
			id, KILL_ORDER_STATE_BYTES, o->of, strlen(o->of), NULL, &got, NULL) == 0 &&
		got == KILL_ORDER_STATE_BYTES && !sodium_is_zero(id, KILL_ORDER_STATE_BYTES))
		return 0;
	return error_set(err, -EINVAL, ERROR_INPUT,
		"--for takes the %d letters and digits that \"berm killswitch id\" prints",
		2 * KILL_ORDER_STATE_BYTES);
}

static int show_id(const struct verb *verb, const void *values, int argc, char **argv)
{
	uint8_t id[KILL_ORDER_STATE_BYTES] = {0};
	char hex[2 * KILL_ORDER_STATE_BYTES + 1];
	autotext struct text out = {0};
	struct error err = {0};

	(void)argv;
	if (argc)
		return verb_misused(verb, "no words");
	if (sodium_init() < 0)
		return CLI_HOST_CANNOT;
	if (id_here(values, id, &err) < 0)
		return verb_failed(verb, &err);
	sodium_bin2hex(hex, sizeof(hex), id, sizeof(id));
	text_printf(&out, "%s\n", hex);
	return verb_print(&out, CLI_GOOD);
}

static const struct verb verb_id = {
	.name = "killswitch id",
	.summary = "Print which state directory of which host orders are signed for",
	.usage = "[--state-dir DIR]",
	.details = "For \"killswitch sign --for\" on another host. It is there when a kill switch "
		   "has served the directory.",
	.options = SWITCH_OPTIONS_OF(id_specs),
	.function = show_id,
};

/* ---- sign ---- */

static int sign(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct killswitch_options *options = values;
	uint8_t seed[crypto_sign_SEEDBYTES] = {0}, nonce[PACE_NONCE_BYTES];
	char text[KILL_ORDER_TEXT_MAX];
	autotext struct text out = {0};
	struct kill_order order;
	struct error err = {0};
	struct timespec now;
	int code = make(verb, options, argc, argv, &order);

	if (code)
		return code;
	if (!options->key)
		return verb_misused(verb, "--key with a file of \"berm pace key\"");
	if (sodium_init() < 0)
		return CLI_HOST_CANNOT;
	if (take_id(options, order.state, &err) < 0 || pace_key_read(options->key, seed, &err) < 0)
		return verb_failed(verb, &err);
	clock_gettime(CLOCK_REALTIME, &now);
	randombytes_buf(nonce, sizeof(nonce));
	kill_order_sign(
		&order, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, nonce, seed);
	sodium_memzero(seed, sizeof(seed));
	kill_order_write(&order, text);
	if (options->out && pace_write_new(options->out, text, &err) < 0)
		return verb_failed(verb, &err);
	log_line("killswitch sign: it holds once, for this state directory of this host alone, "
		 "within 10 minutes");
	if (!options->out)
		text_puts(&out, text);
	return verb_print(&out, CLI_GOOD);
}

static const struct verb verb_sign = {
	.name = "killswitch sign",
	.summary = "Sign an order to kill, for \"killswitch send --order\"",
	.usage = "--key FILE [--for WORD] [--reason TEXT] [--out FILE] "
		 "run:ID|agent:NAME|group:NAME|--all",
	.details = "Needs nothing but the key and the host's word. authority.yaml of the host has "
		   "to list it with the "
		   "role kill-key.",
	.options = SWITCH_OPTIONS_OF(sign_specs),
	.function = sign,
};

/* ---- send ---- */

static int read_order(const char *path, struct kill_order *order, struct error *err)
{
	autofree char *text = NULL;
	size_t length = 0;
	int r = io_read_file(AT_FDCWD, path, KILL_ORDER_TEXT_MAX, &text, &length, err);

	if (r == 0 && text)
		r = kill_order_read(text, length, order, err);
	if (r < 0)
		err->kind = ERROR_INPUT;
	return r;
}

static void put(const struct kill_answer *answer, bool json, struct text *out)
{
	static const char *const results[KILL_RESULT_COUNT] = {
		[KILL_DONE] = "done",
		[KILL_LEFT] = "left",
		[KILL_REFUSED] = "refused",
		[KILL_BUSY] = "busy",
		[KILL_FAILED] = "failed",
	};
	struct json j = {.out = out};

	if (!json) {
		text_printf(out, "%u gone, %u left, %u processes", answer->gone, answer->left,
			answer->processes);
		if (answer->t_boot_ns)
			text_printf(out, ", the last after %.1f ms",
				(double)(answer->t_boot_ns - answer->asked_boot_ns) / 1e6);
		text_puts(out, "\n");
		return;
	}
	json_object_begin(&j, NULL);
	json_put_string(&j, "result", results[answer->result]);
	json_put_u64(&j, "gone", answer->gone);
	json_put_u64(&j, "left", answer->left);
	json_put_u64(&j, "processes", answer->processes);
	json_put_u64(&j, "asked_boot_ns", answer->asked_boot_ns);
	json_put_u64(&j, "t_boot_ns", answer->t_boot_ns);
	json_put_string(&j, "words", answer->words[0] ? answer->words : NULL);
	json_object_end(&j);
	text_puts(out, "\n");
}

static int send_order(const struct verb *verb, const void *values, int argc, char **argv)
{
	static const int codes[KILL_RESULT_COUNT] = {
		[KILL_DONE] = CLI_GOOD,
		[KILL_LEFT] = CLI_NO,
		[KILL_REFUSED] = CLI_NO,
		[KILL_BUSY] = CLI_HOST_CANNOT,
		[KILL_FAILED] = CLI_HOST_CANNOT,
	};
	const struct killswitch_options *options = values;
	autotext struct text out = {0}, words = {0};
	struct kill_answer answer = {0};
	struct kill_order order;
	struct error err = {0};
	int code = CLI_GOOD;

	if (sodium_init() < 0)
		return CLI_HOST_CANNOT;
	if (options->order && (argc || options->all || options->reason))
		return verb_misused(verb, "--order says what and why");
	if (options->order && read_order(options->order, &order, &err) < 0)
		return verb_failed(verb, &err);
	if (!options->order)
		code = make(verb, options, argc, argv, &order);
	if (code)
		return code;
	/* Who has no state directory of their own that was ever served says none. */
	if (!options->order && id_here(options, order.state, &err) < 0 && options->state_dir)
		return verb_failed(verb, &err);
	if (kill_switch_ask(options->socket, &order, WAIT_MS, &answer, &err) < 0)
		return verb_failed(verb, &err);
	if (answer.words[0]) {
		text_escape(&words, answer.words, strlen(answer.words), KILL_WORDS_BYTES);
		log_line("killswitch send: %s", text_string(&words));
	}
	if (options->json || answer.result == KILL_DONE || answer.result == KILL_LEFT)
		put(&answer, options->json, &out);
	return verb_print(&out, codes[answer.result]);
}

static const struct verb verb_send = {
	.name = "killswitch send",
	.summary = "Have the kill switch end runs, at once",
	.usage = "[--state-dir DIR] [--json] [--socket PATH] [--reason TEXT] "
		 "run:ID|agent:NAME|group:NAME|--all, or "
		 "--order FILE",
	.details = "The owner of its state directory and root need no signature; everybody else "
		   "brings an order that\n"
		   "\"berm killswitch sign\" wrote. \"berm kill\" does the same without a kill "
		   "switch.\n"
		   "Exit: 0 all are gone, 1 some are not or it was refused, 2 wrong words or no "
		   "kill switch, 3 it failed.",
	.options = SWITCH_OPTIONS_OF(send_specs),
	.function = send_order,
};

static const struct verb *const children[] = {&verb_serve, &verb_send, &verb_sign, &verb_id, NULL};

const struct verb verb_killswitch = {
	.name = "killswitch",
	.summary = "A process of its own that ends runs when somebody with the key says so",
	.children = children,
};
