/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"
#include "policy/recorded.h"

#include <sys/socket.h>

/* What programs in the kernel hold of files: the places of the run with their rights (anchors) and
 * names that no mount can hold. The mounts stay underneath. */

bool meter_holds_pattern(const char *pattern)
{
	if (strchr(pattern, '['))
		return false;
	for (const char *at = pattern; *at; at += strcspn(at, "/")) {
		at += strspn(at, "/");
		if (strcspn(at, "/") == 1 && *at == '*')
			return false;
	}
	return true;
}

void meter_name(struct compiler *c, const char *pattern, enum protection_kind kind, bool canary,
	uint32_t rule)
{
	Berm__Wire__Meter *m = c->plan->meter;
	Berm__Wire__MeterName *name;

	for (size_t i = 0; i < m->n_names; i++) {
		if (strcmp(m->names[i]->pattern, pattern) == 0 &&
			m->names[i]->no_read >= (kind == PROTECTION_HIDE) &&
			m->names[i]->canary >= canary)
			return;
	}
	name = METER_ADD(c, names, berm__wire__meter_name__init);
	if (!name)
		return;
	name->pattern = message_string(c, pattern);
	name->no_read = kind == PROTECTION_HIDE;
	name->no_write = true;
	name->canary = canary;
	name->rule = rule;
}

static void add_anchor(struct compiler *c, const char *path, uint32_t rights, uint32_t rule)
{
	Berm__Wire__Meter *m = c->plan->meter;
	Berm__Wire__MeterAnchor *a;

	/* Of two steps at one place the later one lies on top. */
	for (size_t i = 0; i < m->n_anchors; i++) {
		if (strcmp(m->anchors[i]->path, path) == 0) {
			m->anchors[i]->rights = rights;
			m->anchors[i]->rule = rule;
			return;
		}
	}
	a = METER_ADD(c, anchors, berm__wire__meter_anchor__init);
	if (!a)
		return;
	a->path = message_string(c, path);
	a->rights = rights;
	a->rule = rule;
}

static uint32_t exec_rights(const struct compiler *c, const char *path)
{
	/* Libraries are mapped from wherever programs could be: what may be started is less. */
	bool exec = c->profile->exec.default_decision == DECISION_ALLOW || path_may_exec(c, path);

	return ANCHOR_MAP_EXEC | (exec ? (uint32_t)ANCHOR_EXEC : 0);
}

static uint32_t mount_rights(const struct compiler *c, const Berm__Wire__Mount *m)
{
	switch (m->kind) {
	case BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS:
		return ANCHOR_READ | ANCHOR_WRITE | ANCHOR_CONNECT | ANCHOR_SCRATCH |
		       (m->no_exec ? 0 : exec_rights(c, m->target));
	case BERM__WIRE__MOUNT_KIND__MOUNT_BIND:
		return ANCHOR_READ | ANCHOR_CONNECT | (m->read_only ? 0 : (uint32_t)ANCHOR_WRITE) |
		       (m->no_exec ? 0 : exec_rights(c, m->target));
	case BERM__WIRE__MOUNT_KIND__MOUNT_COPY:
		return ANCHOR_READ | ANCHOR_CONNECT | exec_rights(c, m->target);
	case BERM__WIRE__MOUNT_KIND__MOUNT_STAGE:
		return ANCHOR_READ | ANCHOR_CONNECT | ANCHOR_WRITE |
		       (m->no_exec ? 0 : exec_rights(c, m->target));
	case BERM__WIRE__MOUNT_KIND__MOUNT_PROC:
		return ANCHOR_READ | ANCHOR_SCRATCH;
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVPTS:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE:
		return ANCHOR_READ | ANCHOR_WRITE | ANCHOR_SCRATCH;
	case BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE:
		return ANCHOR_READ;
	/* No anchor above it: nothing can be done there, which is what it is for. */
	case BERM__WIRE__MOUNT_KIND__MOUNT_HIDE:
	/* In the file system of a mount around them, under its anchor. */
	case BERM__WIRE__MOUNT_KIND__MOUNT_DIR:
	case BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK:
	case BERM__WIRE__MOUNT_KIND__MOUNT_FILE:
	case BERM__WIRE__MOUNT_KIND__MOUNT_SEAL:
	case BERM__WIRE__MOUNT_KIND__MOUNT_PIN:
	case BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY:
	case BERM__WIRE__MOUNT_KIND__MOUNT_UNSPECIFIED:
	case _BERM__WIRE__MOUNT_KIND_IS_INT_SIZE:
		break;
	}
	return 0;
}

static uint32_t rights_above(const struct compiler *c, const char *path)
{
	const Berm__Wire__Meter *m = c->plan->meter;
	const Berm__Wire__MeterAnchor *nearest = NULL;

	for (size_t i = 0; i < m->n_anchors; i++) {
		if (path_is_beneath(path, m->anchors[i]->path) &&
			(!nearest || strlen(m->anchors[i]->path) > strlen(nearest->path)))
			nearest = m->anchors[i];
	}
	return nearest ? nearest->rights : 0;
}

/* exec.default: deny. The kernel looks at what is started, so an interpreter that maps a program
 * itself starts nothing that is not listed. */
static void add_programs(struct compiler *c)
{
	const struct exec_rules *allow = &c->profile->exec.allow;

	if (c->profile->exec.default_decision == DECISION_ALLOW)
		return;
	for (size_t i = 0; i < allow->count; i++) {
		const char *path = allow->items[i].path;
		const Berm__Wire__PathFact *fact = path ? fact_find(c, path) : NULL;
		uint32_t rights;

		if (!fact || !*fact->resolved || area_of(c, fact->resolved)->kind != AREA_GRANT ||
			path_may_not_exec(c, fact->resolved))
			continue;
		rights = rights_above(c, fact->resolved);
		if (rights & ANCHOR_MAP_EXEC)
			add_anchor(c, fact->resolved, rights | ANCHOR_EXEC,
				rule_index(c, RULES_EXEC_ALLOW, i));
	}
	rule_enforced(c, rule_index(c, RULES_EXEC_DEFAULT, 0), "mount");
	rule_enforced(c, rule_index(c, RULES_EXEC_DEFAULT, 0), meter_words(c));
}

static void add_anchors(struct compiler *c)
{
	Berm__Wire__Plan *plan = c->plan;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = plan->mounts[i];
		uint32_t rights = mount_rights(c, m);

		if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_SEAL)
			rights = rights_above(c, m->target) & ~(uint32_t)ANCHOR_WRITE;
		/* Made read-only last: berm's own root and /dev. */
		if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY)
			rights = rights_above(c, m->target) & ~(uint32_t)ANCHOR_WRITE;
		if (rights)
			add_anchor(c, m->target, rights, m->rule);
	}
	add_programs(c);
}

static void add_families(struct compiler *c)
{
	static const struct {
		const char *name;
		uint32_t number;
	} families[] = {
		{"unix", AF_UNIX}, {"inet", AF_INET}, {"inet6", AF_INET6}, {"netlink", AF_NETLINK}};
	const struct string_rules *list = &c->profile->syscalls.families;
	Berm__Wire__Meter *m = c->plan->meter;

	m->families = calloc(array_size(families), sizeof(*m->families));
	c->out_of_memory |= !m->families;
	for (size_t i = 0; m->families && i < array_size(families); i++) {
		for (size_t k = 0; k < list->count; k++) {
			if (strcmp(list->items[k].text, families[i].name) == 0) {
				m->families[m->n_families++] = families[i].number;
				break;
			}
		}
	}
}

static bool is_idle(const struct compiler *c, const Berm__Wire__Meter *m)
{
	bool sees = m->programs != BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE || m->gate;

	return !meter_holds_writes(c->profile) && !m->n_caps && !m->n_breakers && !m->n_names &&
	       !m->n_addresses && !(sees && recorded_needs_meter(c->profile));
}

int plan_meter_scope(struct compiler *c)
{
	Berm__Wire__Meter *m = c->plan->meter;

	if (!m)
		return 0;
	/* The patterns of the profile concern nothing that this run could touch. */
	if (is_idle(c, m)) {
		berm__wire__meter__free_unpacked(m, NULL);
		c->plan->meter = NULL;
		return 0;
	}
	if (meter_sees_all(c))
		add_anchors(c);
	if (m->programs != BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE)
		add_families(c);
	return c->out_of_memory ? -ENOMEM : 0;
}
