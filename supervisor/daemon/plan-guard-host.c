/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/plan-guard-internal.h"

#include "base/path.h"
#include "plan/compile.h"

#include <string.h>

/* What is done on the host with this process's rights because a plan says so: trees are bound and
 * id-mapped, directories are made, files of a cgroup are written, a link is set up. */

/* ---- mounts ---- */

static bool grants_all(const struct path_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (strcmp(rules->items[i].path, "/") == 0)
			return true;
	return false;
}

static bool is_read_only(const Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY &&
			strcmp(plan->mounts[i]->target, "/") == 0)
			return true;
	return false;
}

/* The object that this process found at the source of a mount before the plan was made; NULL where
 * it found another one, or did not look. */
static const Berm__Wire__PathFact *find_source(
	const struct guarded *g, const Berm__Wire__Mount *mount)
{
	for (size_t i = 0; i < g->facts->n_paths; i++) {
		const Berm__Wire__PathFact *fact = g->facts->paths[i];

		if (fact->resolved_kind == mount->source_kind && fact->dev == mount->source_dev &&
			fact->ino == mount->source_ino &&
			strcmp(fact->resolved, mount->source) == 0)
			return fact;
	}
	return NULL;
}

/* The bind that is around a path: the innermost one. */
static const Berm__Wire__Mount *find_bind(const struct guarded *g, const char *path)
{
	const Berm__Wire__Mount *found = NULL;

	for (size_t i = 0; i < g->plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = g->plan->mounts[i];

		if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND &&
			path_is_beneath(path, m->target) &&
			(!found || path_is_beneath(m->target, found->target)))
			found = m;
	}
	return found;
}

static bool is_its_owner(const Berm__Wire__Mount *mount, const Berm__Wire__PathFact *fact)
{
	return mount->owner_uid == fact->owner_uid && mount->owner_gid == fact->owner_gid;
}

static int check_bind(const struct guarded *g, const Berm__Wire__Mount *m)
{
	const Berm__Wire__HostFacts *f = g->facts;
	const Berm__Wire__PathFact *source = find_source(g, m);

	if (!source || strcmp(m->source, m->target) != 0 ||
		m->source_kind == BERM__WIRE__FILE_KIND__FILE_DEVICE)
		return guard_wrong(g, "shows what this host does not have there");
	if (!m->read_only && !g->profile->fs.write.count)
		return guard_wrong(g, "writes where the profile does not");
	if (m->id_mapped && (!f->privileged || f->caller_uid != 0 || !f->id_mapped_mounts ||
				    !is_its_owner(m, source)))
		return guard_wrong(g, "gives away what belongs to somebody else");
	return 0;
}

/* Neither a tree nor a file: those are binds, of which more is asked. */
static int check_device(const struct guarded *g, const Berm__Wire__Mount *m)
{
	if (m->source_kind != BERM__WIRE__FILE_KIND__FILE_DEVICE || m->id_mapped ||
		strcmp(m->source, m->target) != 0 ||
		(!path_is_own_device(m->source) && !find_source(g, m)))
		return guard_wrong(g, "has a device that is none");
	return 0;
}

/* A directory is made on the host: in a tree that the run writes, of the owner of that tree. */
static int check_reserve(const struct guarded *g, const Berm__Wire__Mount *m)
{
	const Berm__Wire__Mount *around = find_bind(g, m->target);
	const Berm__Wire__PathFact *source = around ? find_source(g, around) : NULL;

	if (m->staged)
		return 0;
	if (!source || around->read_only || strcmp(m->source, m->target) != 0 ||
		!is_its_owner(m, source))
		return guard_wrong(g, "makes a directory where it may not");
	return 0;
}

static int check_stage(const struct guarded *g, const Berm__Wire__Mount *m)
{
	const Berm__Wire__Mount *bind = find_bind(g, m->target);

	if (!bind || strcmp(bind->target, m->target) != 0)
		return guard_wrong(g, "stages what it does not show");
	return 0;
}

static int check_mount(const struct guarded *g, const Berm__Wire__Mount *m)
{
	if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND)
		return check_bind(g, m);
	if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE)
		return check_device(g, m);
	if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE)
		return check_reserve(g, m);
	if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_STAGE)
		return check_stage(g, m);
	return 0;
}

/* A root of its own that is not changed. What is seen in it, and where on
 * the host it comes from, are whole paths. */
int guard_mounts(const struct guarded *g)
{
	const Berm__Wire__Plan *plan = g->plan;
	bool all = grants_all(&g->profile->fs.read) || grants_all(&g->profile->fs.write);
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = plan->mounts[i];

		if (!path_is_normal(m->target) || (m->source[0] && !path_is_normal(m->source)))
			return guard_wrong(g, "has a mount of no plain path");
		if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND && !m->target[1] && !all)
			return guard_wrong(g, "has the host's root for its own");
		r = check_mount(g, m);
	}
	if (r == 0 && !all && !is_read_only(plan))
		return guard_wrong(g, "has no root of its own");
	return r;
}

/* ---- the network ---- */

int guard_network(const struct guarded *g)
{
	const Berm__Wire__Network *network = g->plan->network;
	const Berm__Wire__Meter *meter = g->plan->meter;

	if (!network || network->mode == BERM__WIRE__NETWORK_MODE__NETWORK_UNSPECIFIED ||
		(network->mode == BERM__WIRE__NETWORK_MODE__NETWORK_HOST &&
			g->profile->network.mode != NETWORK_MODE_HOST &&
			!guard_is_degraded(g, "netns")))
		return guard_wrong(g, "has the host's network");
	if (network->mode != BERM__WIRE__NETWORK_MODE__NETWORK_LINK)
		return 0;
	if (strcmp(network->pool, g->facts->network_pool) != 0 ||
		strcmp(network->pool6, g->facts->network_pool6) != 0 ||
		strcmp(network->uplink, g->facts->network_uplink) != 0)
		return guard_wrong(g, "has a link that is not the operator's");
	if (!meter || meter->programs == BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE)
		return guard_wrong(g, "has a link that nothing looks at");
	return 0;
}

/* ---- its cgroup ---- */

/* Written as this process: nothing else than what bounds a run, and no two words of a line. */
static bool is_a_bound(const Berm__Wire__CgroupValue *value)
{
	static const char *const files[] = {"memory.max", "memory.swap.max", "memory.oom.group",
		"pids.max", "cpu.max", "io.weight"};

	for (size_t i = 0; i < array_size(files); i++)
		if (strcmp(value->file, files[i]) == 0)
			return !strchr(value->value, '\n');
	return false;
}

int guard_cgroup(const struct guarded *g)
{
	const Berm__Wire__Cgroup *cgroup = g->plan->cgroup;

	if (cgroup && cgroup->use && strcmp(cgroup->parent, g->facts->cgroup_parent) != 0)
		return guard_wrong(g, "is in a cgroup that is not its own");
	for (size_t i = 0; cgroup && i < cgroup->n_values; i++)
		if (!is_a_bound(cgroup->values[i]))
			return guard_wrong(g, "writes files of a cgroup that bound no run");
	return 0;
}
