/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

/* Steps at one path: what makes it, then what takes away from it. */
enum step_phase { STEP_MAKE, STEP_STAGE, STEP_PROTECT, STEP_COPY };

static enum step_phase step_phase(const Berm__Wire__Mount *m)
{
	switch (m->kind) {
	case BERM__WIRE__MOUNT_KIND__MOUNT_HIDE:
	case BERM__WIRE__MOUNT_KIND__MOUNT_SEAL:
	case BERM__WIRE__MOUNT_KIND__MOUNT_PIN:
	case BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE:
		return STEP_PROTECT;
	case BERM__WIRE__MOUNT_KIND__MOUNT_STAGE:
		return STEP_STAGE;
	case BERM__WIRE__MOUNT_KIND__MOUNT_COPY:
		return STEP_COPY;
	case BERM__WIRE__MOUNT_KIND__MOUNT_UNSPECIFIED:
	case BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS:
	case BERM__WIRE__MOUNT_KIND__MOUNT_BIND:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DIR:
	case BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK:
	case BERM__WIRE__MOUNT_KIND__MOUNT_FILE:
	case BERM__WIRE__MOUNT_KIND__MOUNT_PROC:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVPTS:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE:
	case BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY:
	case _BERM__WIRE__MOUNT_KIND_IS_INT_SIZE:
		break;
	}
	return STEP_MAKE;
}

static int compare_steps(const void *a, const void *b)
{
	const Berm__Wire__Mount *const *ma = a, *const *mb = b;
	int order = path_order((*ma)->target, (*mb)->target);

	if (order)
		return order;
	return (int)step_phase(*ma) - (int)step_phase(*mb);
}

static void set_owner(Berm__Wire__Mount *m, const Berm__Wire__PathFact *fact)
{
	m->owner_uid = fact->owner_uid;
	m->owner_gid = fact->owner_gid;
}

static void bind_area(struct compiler *c, const struct area *a)
{
	const Berm__Wire__PathFact *fact = a->grant->fact;
	bool device = fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_DEVICE;
	Berm__Wire__Mount *m = message_mount(c,
		device ? BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE : BERM__WIRE__MOUNT_KIND__MOUNT_BIND,
		a->path, a->rule);

	m->source = message_string(c, a->path);
	m->source_kind = fact->resolved_kind;
	m->source_dev = fact->dev;
	m->source_ino = fact->ino;
	m->read_only = (!a->write || a->staged) && !device;
	m->no_exec = !a->exec || device;
	if (a->write && !device && identity_maps(c)) {
		m->id_mapped = true;
		set_owner(m, fact);
	}
	if (a->staged)
		message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_STAGE, a->path,
			rule_index(c, RULES_WORKSPACE_MODE, 0))
			->no_exec = !a->exec;
}

static void emit_area(struct compiler *c, const struct area *a)
{
	Berm__Wire__Mount *m;

	switch (a->kind) {
	case AREA_ROOT:
	case AREA_TMPFS:
	case AREA_DEV:
		m = message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS, a->path, a->rule);
		m->size_bytes = a->size_bytes;
		m->mode = a->mode;
		m->no_exec = !a->exec;
		return;
	case AREA_GRANT:
		return bind_area(c, a);
	case AREA_PROC:
		message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_PROC, a->path, a->rule);
		return;
	}
}

static void emit_links(struct compiler *c)
{
	for (size_t i = 0; i < c->link_count; i++) {
		const struct link *l = &c->links[i];
		Berm__Wire__Mount *m =
			message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK, l->path, l->rule);

		message_bytes(c, &m->content, l->content, strlen(l->content));
	}
}

static void emit_protections(struct compiler *c)
{
	static const Berm__Wire__MountKind kinds[] = {
		[PROTECTION_PIN] = BERM__WIRE__MOUNT_KIND__MOUNT_PIN,
		[PROTECTION_RESERVE] = BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE,
		[PROTECTION_SEAL] = BERM__WIRE__MOUNT_KIND__MOUNT_SEAL,
		[PROTECTION_HIDE] = BERM__WIRE__MOUNT_KIND__MOUNT_HIDE,
	};

	for (size_t i = 0; i < c->protection_count; i++) {
		const struct protection *p = &c->protections[i];
		Berm__Wire__Mount *m;

		if (p->merged)
			continue;
		m = message_mount(c, kinds[p->kind], p->path, p->rule);
		m->source_kind = p->file_kind;
		m->source_dev = p->dev;
		m->source_ino = p->ino;
		m->optional = p->may_go;
		m->staged = area_around(c, p->path)->staged;
		if (p->kind == PROTECTION_RESERVE && !m->staged) {
			m->source = message_string(c, p->path);
			set_owner(m, area_around(c, p->path)->grant->fact);
		}
	}
}

/* The bytes that two paths have in common as whole components. */
static size_t common_directory(const char *a, const char *b)
{
	size_t last = 0, i = 0;

	while (a[i] && a[i] == b[i]) {
		if (a[i] == '/')
			last = i;
		i++;
	}
	if ((!a[i] || a[i] == '/') && (!b[i] || b[i] == '/'))
		last = i;
	return last;
}

/* Directories that lead to a target, where they lie on berm's own file systems. In a bind they are
 * there, since every target there is a real path of the host. The steps are in path order, so that
 * only what the step before does not share is missing. */
static void emit_parents(struct compiler *c)
{
	size_t count = c->plan->n_mounts;

	for (size_t i = 1; i < count && !c->out_of_memory; i++) {
		const char *target = c->plan->mounts[i]->target;
		const char *before = c->plan->mounts[i - 1]->target;
		size_t shared = common_directory(before, target);

		for (size_t at = shared; target[at]; at++) {
			autofree char *parent = NULL;
			const struct area *area;

			if (target[at] != '/' || at == shared)
				continue;
			parent = strndup(target, at);
			if (!parent) {
				c->out_of_memory = true;
				return;
			}
			area = area_of(c, parent);
			if (area->kind != AREA_ROOT && area->kind != AREA_TMPFS &&
				area->kind != AREA_DEV)
				continue;
			message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_DIR, parent, 0)->mode = 0755;
		}
	}
}

static void sort_steps(struct compiler *c)
{
	if (c->plan->n_mounts && !c->out_of_memory)
		qsort(c->plan->mounts, c->plan->n_mounts, sizeof(*c->plan->mounts), compare_steps);
}

int plan_mounts(struct compiler *c)
{
	for (size_t i = 0; i < c->area_count; i++)
		emit_area(c, &c->areas[i]);
	emit_links(c);
	emit_protections(c);
	plan_program_mounts(c);
	plan_devices(c);
	plan_synthetic_files(c);
	sort_steps(c);
	emit_parents(c);
	sort_steps(c);
	if (area_of(c, "/dev")->kind == AREA_DEV)
		message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY, "/dev", 0);
	if (c->areas[0].kind == AREA_ROOT)
		message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY, "/", 0);
	return c->out_of_memory ? -ENOMEM : 0;
}
