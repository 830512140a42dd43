/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/own-state.h"

#include "base/path.h"
#include "daemon/recorder-place.h"
#include "daemon/runs.h"
#include "daemon/state-directory.h"

#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum own_path {
	OWN_STATE,
	OWN_USUAL_STATE,
	OWN_RUNS,       /* as root, or of XDG_RUNTIME_DIR */
	OWN_RUNS_OTHER, /* where that is not set, as for cron(8) */
	OWN_RUNS_LEAST, /* where neither is */
	/* Of whom root works for: the tool has the rights of that user on files. */
	OWN_CALLERS_STATE,
	OWN_CALLERS_RUNS,
	OWN_CALLERS_RUNS_LEAST,
	OWN_PATHS
};
static_assert(OWN_PATHS == SESSION_OWN_PATHS, "one place each");

static const struct {
	const char *reason;
	bool is_state, of_caller;
} rows[OWN_PATHS] = {
	[OWN_STATE] = {"berm's own records and keys", .is_state = true},
	[OWN_USUAL_STATE] = {"berm's own records and keys", .is_state = true},
	[OWN_RUNS] = {"where berm finds its runs"},
	[OWN_RUNS_OTHER] = {"where berm finds its runs"},
	[OWN_RUNS_LEAST] = {"where berm finds its runs"},
	[OWN_CALLERS_STATE] = {"the caller's own records and keys of berm", true, true},
	[OWN_CALLERS_RUNS] = {"where the caller's own berm finds its runs", .of_caller = true},
	[OWN_CALLERS_RUNS_LEAST] = {"where the caller's own berm finds its runs",
		.of_caller = true},
};

static char *numbered(const char *head, uid_t uid, const char *tail)
{
	char *path = NULL;

	return asprintf(&path, "%s%u%s", head, (unsigned)uid, tail) < 0 ? NULL : path;
}

/* Where places.c has these for that user; what the user's own environment says is not known here.
 */
static bool find_of_caller(const struct caller *caller, char **own)
{
	if (caller->uid == geteuid())
		return true;
	if (caller->home[0])
		own[OWN_CALLERS_STATE] = path_join(caller->home, ".local/state/berm");
	own[OWN_CALLERS_RUNS] = numbered("/run/user/", caller->uid, "/" RUNS_PARENT);
	own[OWN_CALLERS_RUNS_LEAST] = numbered(RUNS_LEAST_PARENT, caller->uid, "");
	return own[OWN_CALLERS_RUNS] && own[OWN_CALLERS_RUNS_LEAST] &&
	       (own[OWN_CALLERS_STATE] || !caller->home[0]);
}

int own_state_find(struct session *session, struct error *err)
{
	const struct places *places = &session->places;
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char **own = session->own_paths;
	bool failed;

	own[OWN_STATE] = places->state ? strdup(places->state) : NULL;
	if (places->usual_state &&
		(!places->state || strcmp(places->state, places->usual_state) != 0))
		own[OWN_USUAL_STATE] = strdup(places->usual_state);
	if (geteuid() == 0)
		own[OWN_RUNS] = strdup(RUNS_ROOT_PARENT);
	else if (runtime && path_is_normal(runtime))
		own[OWN_RUNS] = path_join(runtime, RUNS_PARENT);
	own[OWN_RUNS_OTHER] = numbered("/run/user/", geteuid(), "/" RUNS_PARENT);
	own[OWN_RUNS_LEAST] = numbered(RUNS_LEAST_PARENT, geteuid(), "");
	failed = !own[OWN_RUNS_OTHER] || !own[OWN_RUNS_LEAST] ||
		 (places->state && !own[OWN_STATE]) || !find_of_caller(&session->caller, own);
	return failed ? error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory") : 0;
}

void own_state_finish(struct session *session)
{
	for (size_t i = 0; i < OWN_PATHS; i++)
		own_free(&session->own_paths[i]);
}

static bool overlap(const char *a, const char *b)
{
	return path_is_beneath(a, b) || path_is_beneath(b, a);
}

static bool is_among(const struct path_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->count; i++)
		if (overlap(rules->items[i].path, path))
			return true;
	return false;
}

/* A run could make it, or read it as soon as it is made. */
static bool is_granted(const struct session *session, const char *path)
{
	const struct profile *p = session->profile;

	return is_among(&p->fs.write, path) || is_among(&p->fs.read, path);
}

static void make(const char *path, bool is_state)
{
	struct error ignored = {0};
	int fd = -1;

	/* A runtime directory that is absent is nobody's to make. */
	if (!is_state)
		(void)!mkdir(path, 0700);
	else
		fd = state_directory_open(path, &ignored);
	own_close(&fd);
}

/* With the rights of that user alone, in a process of its own: the way there is the user's, who
 * could have laid links on it. */
static void make_as(const struct caller *caller, const char *path, bool is_state)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (setgroups(0, NULL) == 0 &&
			setresgid(caller->gid, caller->gid, caller->gid) == 0 &&
			setresuid(caller->uid, caller->uid, caller->uid) == 0)
			make(path, is_state);
		_exit(0);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
}

void own_state_prepare(const struct session *session)
{
	struct recorder_place place = RECORDER_PLACE_NONE;
	struct error ignored = {0};

	for (size_t i = 0; i < OWN_PATHS; i++) {
		const char *path = session->own_paths[i];

		if (!path || access(path, F_OK) == 0)
			continue;
		if (i == OWN_STATE) {
			if (recorder_place_open(path, &place, &ignored) == 0)
				recorder_place_close(&place);
		} else if (is_granted(session, path)) {
			if (rows[i].of_caller)
				make_as(&session->caller, path, rows[i].is_state);
			else
				make(path, rows[i].is_state);
		}
	}
}

static bool is_reached(const struct session *session, const char *path)
{
	const Berm__Wire__Plan *plan = session->plan;
	autofree char *real = path ? realpath(path, NULL) : NULL;

	for (size_t i = 0; real && i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND &&
			overlap(plan->mounts[i]->source, real))
			return true;
	return false;
}

bool own_state_is_reached(const struct session *session)
{
	for (size_t i = 0; i < OWN_PATHS; i++)
		if (is_reached(session, session->own_paths[i]))
			return true;
	return false;
}

int own_state_deny(struct session *session, struct error *err)
{
	struct path_rules *deny = &session->profile->fs.deny;

	session->own_deny = calloc(deny->count + OWN_PATHS, sizeof(*session->own_deny));
	if (!session->own_deny)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (deny->count)
		memcpy(session->own_deny, deny->items, deny->count * sizeof(*deny->items));
	deny->items = session->own_deny;
	for (size_t i = 0; i < OWN_PATHS; i++) {
		const char *path = session->own_paths[i];

		if (!is_reached(session, path))
			continue;
		session->own_deny[deny->count++] = (struct path_rule){.path = path,
			.written = path,
			.reason = rows[i].reason,
			.at = {.file = ""}};
	}
	return 0;
}
