/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/staging.h"

#include "base/log.h"
#include "base/path.h"
#include "daemon/changes-hold.h"

#include <string.h>
#include <sys/stat.h>

struct guards {
	Berm__Wire__ChangeHead *head;
	bool failed;
};

static const Berm__Wire__Mount *step_of(
	const Berm__Wire__Plan *plan, Berm__Wire__MountKind kind, const char *target)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == kind &&
			(!target || strcmp(plan->mounts[i]->target, target) == 0))
			return plan->mounts[i];
	return NULL;
}

static void push(struct guards *g, ProtobufCBinaryData **items, size_t *count, const char *path)
{
	ProtobufCBinaryData *grown = reallocarray(*items, *count + 1, sizeof(*grown));

	if (!grown) {
		g->failed = true;
		return;
	}
	*items = grown;
	memset(&grown[*count], 0, sizeof(*grown));
	if (changes_bytes(&grown[*count], path) < 0)
		g->failed = true;
	else
		(*count)++;
}

static void guard(struct guards *g, const char *path)
{
	push(g, &g->head->guarded, &g->head->n_guarded, path);
}

/* Through a link to the workspace the profile has another name for what lies in it. */
static void guard_rules(struct guards *g, const struct path_rules *rules, const struct profile *p,
	const Berm__Wire__Mount *bind)
{
	const char *written = p->workspace.path ? p->workspace.path : bind->target;
	struct stat st;

	for (size_t i = 0; i < rules->count; i++) {
		const struct path_rule *rule = &rules->items[i];
		autofree char *there = NULL;

		/* One that counts only where it exists when the run starts. */
		if (rule->optional && !rule->is_glob && lstat(rule->path, &st) < 0)
			continue;
		guard(g, rule->path);
		if (strcmp(written, bind->source) == 0 || !path_is_beneath(rule->path, written))
			continue;
		if (asprintf(&there, "%s%s", bind->source, rule->path + strlen(written)) < 0)
			there = NULL;
		if (there)
			guard(g, there);
		else
			g->failed = true;
	}
}

/* As the profile names them, for names that do not exist yet, and as the plan does, where links
 * lead. */
static void guard_all(
	struct guards *g, const struct session *session, const Berm__Wire__Mount *bind)
{
	const struct profile *p = session->profile;
	const Berm__Wire__Plan *plan = session->plan;

	guard_rules(g, &p->fs.deny, p, bind);
	guard_rules(g, &p->fs.protect, p, bind);
	guard_rules(g, &p->fs.ask, p, bind);
	guard_rules(g, &p->fs.canaries, p, bind);
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = plan->mounts[i];

		if (!m->staged || m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_PIN)
			continue;
		guard(g, m->target);
		if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE)
			push(g, &g->head->reserved, &g->head->n_reserved, m->target);
	}
}

static int describe(const struct session *session, const Berm__Wire__Mount *bind,
	Berm__Wire__ChangeHead *head, struct error *err)
{
	const Berm__Wire__Agent *agent = session_agent(session);
	struct guards g = {.head = head};

	head->ino = bind->source_ino;
	head->run = strdup(session->run_id);
	head->profile = strdup(session->plan->profile_name);
	head->plan_digest.data = malloc(PLAN_DIGEST_BYTES);
	if (head->plan_digest.data) {
		head->plan_digest.len = PLAN_DIGEST_BYTES;
		memcpy(head->plan_digest.data, session->plan_digest, PLAN_DIGEST_BYTES);
	}
	guard_all(&g, session, bind);
	if (agent && agent->group[0]) {
		head->agent = strdup(agent->id);
		head->group = strdup(agent->group);
		g.failed |= !head->agent || !head->group;
	}
	g.failed |= changes_hold_keep(session, head) < 0;
	if (g.failed || !head->run || !head->profile || !head->plan_digest.data ||
		changes_bytes(&head->workspace, bind->source) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	return 0;
}

bool staging_is_full(struct staging *staging)
{
	const char *why = staging->full ? NULL : staging_room_shortage(&staging->room);

	if (!why)
		return false;
	staging->full = true;
	log_line("run %s is ended: %s, and berm needs the rest for itself (--state-dir names "
		 "another one)",
		staging->set.run, why);
	return true;
}

static int make_set(const struct session *session, const Berm__Wire__Mount *bind,
	const Berm__Wire__ChangeHead *head, struct staging *staging, struct error *err)
{
	const Berm__Wire__Identity *id = session->plan->identity;
	autoclose int place = -1;
	int r = changes_place(session->places.state, true, &place, err);
	struct error why = {0};

	if (r == 0 && staging_room_keep(place, &staging->room, &why) < 0)
		return error_set(err, why.code, why.kind, "%s: %s; --state-dir names another one",
			session->places.state, why.text);
	if (r == 0)
		r = changes_begin(
			place, head, id->outside_uid, id->outside_gid, &staging->set, err);
	if (r < 0)
		return r;
	if (staging->set.work_dev != bind->source_dev)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s is another directory than when the run was planned", bind->source);
	if (asprintf(&staging->layers, "%s/%s/%s/%s", session->places.state, CHANGES_DIRECTORY,
		    staging->set.run, CHANGES_LAYERS) < 0) {
		staging->layers = NULL;
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	return 0;
}

int staging_begin(const struct session *session, struct staging *staging, struct error *err)
{
	const Berm__Wire__Plan *plan = session->plan;
	const Berm__Wire__Mount *step = step_of(plan, BERM__WIRE__MOUNT_KIND__MOUNT_STAGE, NULL);
	const Berm__Wire__Mount *bind =
		step ? step_of(plan, BERM__WIRE__MOUNT_KIND__MOUNT_BIND, step->target) : NULL;
	Berm__Wire__ChangeHead *head;
	int r;

	if (!step)
		return 0;
	if (!bind)
		return error_set(err, -EINVAL, ERROR_INTERNAL, "nothing beneath the overlay");
	if (!session->places.state)
		return error_set(err, -ENOENT, ERROR_INPUT,
			"there is no home directory to stage writes in: name a place with "
			"--state-dir");
	head = malloc(sizeof(*head));
	if (!head)
		return error_errno(err, "the change set");
	berm__wire__change_head__init(head);
	r = describe(session, bind, head, err);
	if (r == 0)
		r = make_set(session, bind, head, staging, err);
	changes_message_free(head);
	return r;
}

static int drop(struct change_set *set, struct error *err)
{
	int r = changes_rollback(set, err);

	return r < 0 ? r : changes_clean(set, err);
}

void staging_over(struct staging *staging, bool keep)
{
	staging->keep = keep;
	staging_room_leave(&staging->room);
}

void staging_end(struct staging *staging)
{
	struct change_set *set = &staging->set;
	struct error err = {0};
	bool empty = true;
	int r = 0;

	if (set->fd >= 0)
		r = staging->keep ? changes_seal(set, &empty, &err) : drop(set, &err);
	if (r < 0)
		log_line("the changes of run %s: %s", set->run, err.text);
	else if (!empty)
		log_line("run %s: %zu %s staged; \"berm changes show %s\" lists them", set->run,
			set->manifest->n_changes,
			set->manifest->n_changes == 1 ? "change is" : "changes are", set->run);
	change_set_finish(set);
	own_free(&staging->layers);
}
