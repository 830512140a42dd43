/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <errno.h>
#include <linux/landlock.h>

/* What exec.hash: pin promises, asked of the finished plan. The steps before refuse each line of a
 * profile that would break it, with better words. This is for the line that they do not know yet:
 * whatever made a mount or a right, the plan is refused unless nothing can be executed but
 *
 * - the copies of pinned programs (MOUNT_COPY), as the last mount at their path;
 * - the ELF interpreters (interpreter_name_is_known()), without which no program starts;
 * - where Landlock is degraded, which the profile or the caller allowed, what is mounted
 *   read-only: no mount can be noexec that libraries are loaded from.
 *
 * Where the run can write, the mount itself is noexec, so that Landlock is a second wall. */

static int broken(const Berm__Wire__Plan *plan, const char *path, uint32_t rule, const char *why,
	struct error *err)
{
	const Berm__Wire__Rule *r = rule < plan->n_rules ? plan->rules[rule] : NULL;

	return error_set(err, -EINVAL, ERROR_REFUSED,
		"exec.hash: pin does not hold: %s %s (%s%s%s, %s:%u); name the programs in "
		"exec.allow one by one, as files",
		path, why, r ? r->key : "", r ? " " : "", r ? r->value : "",
		r && *r->file ? r->file : "berm", r ? r->line : 0);
}

/* True where what is mounted last at the path is a copy of that very path. */
static bool is_copy(const Berm__Wire__Plan *plan, const char *path)
{
	const Berm__Wire__Mount *last = NULL;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = plan->mounts[i];

		if (m->kind != BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY &&
			path_is_beneath(path, m->target))
			last = m;
	}
	return last && last->kind == BERM__WIRE__MOUNT_KIND__MOUNT_COPY &&
	       strcmp(last->target, path) == 0;
}

static bool is_interpreter(const Berm__Wire__HostFacts *facts, const char *path)
{
	for (size_t i = 0; i < facts->n_paths; i++) {
		const Berm__Wire__PathFact *fact = facts->paths[i];

		if (interpreter_name_is_known(fact->path) && strcmp(fact->resolved, path) == 0)
			return fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_REGULAR;
	}
	return false;
}

static int check_mount(const Berm__Wire__Plan *plan, const Berm__Wire__Mount *m, struct error *err)
{
	switch (m->kind) {
	case BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE:
		if (!m->no_exec)
			return broken(plan, m->target, m->rule,
				"is a place of the run whose files could be executed", err);
		return 0;
	case BERM__WIRE__MOUNT_KIND__MOUNT_BIND:
		if (!m->no_exec && !m->read_only)
			return broken(plan, m->target, m->rule,
				"can be written and its files executed", err);
		return 0;
	case BERM__WIRE__MOUNT_KIND__MOUNT_STAGE:
		if (!m->no_exec)
			return broken(plan, m->target, m->rule,
				"can be written and its files executed", err);
		return 0;
	case BERM__WIRE__MOUNT_KIND__MOUNT_COPY:
		if (m->digest.len != PLAN_DIGEST_BYTES || !m->read_only ||
			m->source_kind != BERM__WIRE__FILE_KIND__FILE_REGULAR)
			return broken(plan, m->target, m->rule,
				"is a copy without a digest, or one that can be written", err);
		return 0;
	/* They make no file that can be executed: apply/ mounts procfs, devpts and covers noexec,
	 * and binds on itself what is there, with the flags that it has. */
	case BERM__WIRE__MOUNT_KIND__MOUNT_DIR:
	case BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK:
	case BERM__WIRE__MOUNT_KIND__MOUNT_PROC:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVPTS:
	case BERM__WIRE__MOUNT_KIND__MOUNT_HIDE:
	case BERM__WIRE__MOUNT_KIND__MOUNT_SEAL:
	case BERM__WIRE__MOUNT_KIND__MOUNT_PIN:
	case BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE:
	case BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY:
		return 0;
	case BERM__WIRE__MOUNT_KIND__MOUNT_FILE:
		if (m->mode & 0111)
			return broken(plan, m->target, m->rule,
				"is a file of berm's own that could be executed", err);
		return 0;
	case BERM__WIRE__MOUNT_KIND__MOUNT_UNSPECIFIED:
	case _BERM__WIRE__MOUNT_KIND_IS_INT_SIZE:
		break;
	}
	return broken(plan, m->target, m->rule, "is mounted in a way that nobody knows", err);
}

static int check_landlock(
	const Berm__Wire__Plan *plan, const Berm__Wire__HostFacts *facts, struct error *err)
{
	const Berm__Wire__Landlock *l = plan->landlock;

	if (!l || !l->abi)
		return 0;
	if (!(l->handled_fs & LANDLOCK_ACCESS_FS_EXECUTE))
		return broken(plan, "/", 0, "may be executed, all of it", err);
	for (size_t i = 0; i < l->n_paths; i++) {
		const Berm__Wire__LandlockPath *p = l->paths[i];

		if ((p->access & LANDLOCK_ACCESS_FS_EXECUTE) && !is_copy(plan, p->path) &&
			!is_interpreter(facts, p->path))
			return broken(plan, p->path, p->rule,
				"may be executed and is no hashed copy", err);
	}
	return 0;
}

int pinned_holds(
	const Berm__Wire__Plan *plan, const Berm__Wire__HostFacts *facts, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->n_mounts; i++)
		r = check_mount(plan, plan->mounts[i], err);
	return r < 0 ? r : check_landlock(plan, facts, err);
}

int plan_pinned(struct compiler *c)
{
	if (c->profile->exec.hash != EXEC_HASH_PIN)
		return 0;
	return pinned_holds(c->plan, c->facts, c->err);
}
