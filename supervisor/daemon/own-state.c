/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/own-state.h"

#include "base/path.h"
#include "daemon/recorder-place.h"
#include "daemon/runs.h"
#include "daemon/state-directory.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum own_path {
	OWN_STATE,
	OWN_USUAL_STATE,
	OWN_RUNS,       /* as root, or of XDG_RUNTIME_DIR */
	OWN_RUNS_OTHER, /* where that is not set, as for cron(8) */
	OWN_RUNS_LEAST, /* where neither is */
	OWN_PATHS
};
static_assert(OWN_PATHS == SESSION_OWN_PATHS, "one place each");

static const char *const reasons[OWN_PATHS] = {
	[OWN_STATE] = "berm's own records and keys",
	[OWN_USUAL_STATE] = "berm's own records and keys",
	[OWN_RUNS] = "where berm finds its runs",
	[OWN_RUNS_OTHER] = "where berm finds its runs",
	[OWN_RUNS_LEAST] = "where berm finds its runs",
};

static char *numbered(const char *format_head, const char *tail)
{
	char *path = NULL;

	return asprintf(&path, "%s%u%s", format_head, (unsigned)geteuid(), tail) < 0 ? NULL : path;
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
	own[OWN_RUNS_OTHER] = numbered("/run/user/", "/" RUNS_PARENT);
	own[OWN_RUNS_LEAST] = numbered(RUNS_LEAST_PARENT, "");
	failed = !own[OWN_RUNS_OTHER] || !own[OWN_RUNS_LEAST] || (places->state && !own[OWN_STATE]);
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

/* A run could make it. */
static bool is_granted(const struct session *session, const char *path)
{
	const struct path_rules *write = &session->profile->fs.write;

	for (size_t i = 0; i < write->count; i++)
		if (overlap(write->items[i].path, path))
			return true;
	return false;
}

static void make_state(const char *state)
{
	struct error ignored = {0};
	int fd = state_directory_open(state, &ignored);

	own_close(&fd);
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
			/* A runtime directory that is absent is nobody's to make. */
			if (i == OWN_USUAL_STATE)
				make_state(path);
			else
				(void)!mkdir(path, 0700);
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
		session->own_deny[deny->count++] = (struct path_rule){
			.path = path, .written = path, .reason = reasons[i], .at = {.file = ""}};
	}
	return 0;
}
