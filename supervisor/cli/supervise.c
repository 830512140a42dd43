/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/caller.h"
#include "base/json.h"
#include "cli/verb.h"
#include "daemon/places.h"
#include "daemon/supervisor-client.h"
#include "daemon/supervisor.h"

#include <string.h>

struct supervise_options {
	const char *state_dir;
	const char *socket;
	bool status;
	bool json;
};

#define at(field) offsetof(struct supervise_options, field)

/* clang-format off */
static const struct option_spec specs[] = {
	{"state-dir", 0, OPTION_TEXT, at(state_dir), "DIR", "BERM_STATE_DIR", "where berm keeps its state"},
	{"socket", 0, OPTION_TEXT, at(socket), "PATH", "BERM_SOCKET",
		"listen there, or ask there, instead of at the usual place"},
	{"status", 0, OPTION_FLAG, at(status), NULL, NULL, "ask the supervisor that is there how it is"},
	{"json", 0, OPTION_FLAG, at(json), NULL, NULL, "with --status: one JSON object instead of a line"},
};
/* clang-format on */

static int status(const struct verb *verb, const struct supervise_options *options)
{
	Berm__Wire__SuperviseReply *reply = NULL;
	const Berm__Wire__SuperviseStatus *told;
	autotext struct text out = {0};
	struct json j = {.out = &out};
	struct error err = {0};

	if (supervisor_status(options->socket, &reply, &err) < 0 || !reply) {
		if (err.kind == ERROR_UNSUPPORTED)
			err.kind = ERROR_REFUSED;
		return verb_failed(verb, &err);
	}
	told = reply->status;
	if (options->json) {
		json_object_begin(&j, NULL);
		json_put_u64(&j, "pid", told->pid);
		json_put_string(&j, "version", told->version);
		json_put_u64(&j, "runs", told->sessions);
		json_put_u64(&j, "adopted", told->adopted);
		json_put_u64(&j, "users", told->users);
		json_put_u64(&j, "refused", told->refused);
		json_object_end(&j);
	} else {
		text_printf(&out, "process %u, berm ", told->pid);
		text_escape(&out, told->version, strlen(told->version), 64);
		text_printf(&out,
			": %llu runs (%llu from before it began), %llu users, %llu requests "
			"refused",
			(unsigned long long)told->sessions, (unsigned long long)told->adopted,
			(unsigned long long)told->users, (unsigned long long)told->refused);
	}
	text_puts(&out, "\n");
	berm__wire__supervise_reply__free_unpacked(reply, NULL);
	return verb_print(&out, CLI_GOOD);
}

static int supervise_verb(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct supervise_options *options = values;
	const struct places_request wanted = {.state_dir = options->state_dir};
	struct places places = {0};
	struct caller caller;
	struct error err = {0};
	int r;

	(void)argv;
	if (argc)
		return verb_misused(verb, "no words follow it");
	if (options->status)
		return status(verb, options);
	if (options->json)
		return verb_misused(verb, "--json is for --status");
	caller_identify(&caller);
	r = places_find(&caller, &wanted, &places, &err);
	if (r == 0 && !places.state)
		r = error_set(&err, -ENOENT, ERROR_INTERNAL,
			"no state directory is known, since there is no home directory");
	if (r == 0)
		r = supervisor_serve(&(struct supervisor_options){.state = places.state,
					     .socket = options->socket},
			&err);
	places_finish(&places);
	return r < 0 ? verb_failed(verb, &err) : CLI_GOOD;
}

const struct verb verb_supervise = {
	.name = "supervise",
	.summary = "Start runs of agents for those who may start them",
	.usage = "[--state-dir DIR] [--socket PATH] | --status [--json] [--socket PATH]",
	.details = "Stays in the foreground, and listens at /run/berm/supervisor.sock (as an "
		   "ordinary user in the runtime\n"
		   "directory). \"berm run --agent NAME\" of others goes there by itself. Of who "
		   "asks it takes the user and\n"
		   "the group, as the kernel has them, the agent, the command, the task, a time "
		   "limit, and the standard\n"
		   "streams; nothing else of them reaches the run. There is one for a state "
		   "directory. Runs go on when it\n"
		   "ends, and the next one finds them. Takes its socket from systemd where that "
		   "passes one.\n"
		   "SIGUSR2 makes it the version of the program that is on disk now; nobody is "
		   "turned away "
		   "meanwhile.\n"
		   "Exit: 0 it was told to end (SIGTERM, SIGINT), 1 there is one already, or none "
		   "answers --status,\n"
		   "2 wrong words, 3 this host cannot.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct supervise_options)},
	.function = supervise_verb,
};
