/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#define ROOT_BYTES (4ULL << 20) /* directories, links and berm's small files only */
#define DEV_BYTES (64ULL << 10)
#define PRIVATE_BYTES_DEFAULT (256ULL << 20)
#define LINK_DEPTH_MAX 40 /* as the kernel's own bound, path_resolution(7) */

static bool area_holds(const struct area *a, const char *path)
{
	if (a->length == 1)
		return true;
	return strncmp(path, a->path, a->length) == 0 &&
	       (path[a->length] == '\0' || path[a->length] == '/');
}

/* Areas are in path order, so those that hold a path are nested and the last of them is the
 * innermost. */
const struct area *area_of(const struct compiler *c, const char *path)
{
	for (size_t i = c->area_count; i-- > 1;) {
		if (area_holds(&c->areas[i], path))
			return &c->areas[i];
	}
	return &c->areas[0];
}

const struct area *area_around(const struct compiler *c, const char *path)
{
	for (size_t i = c->area_count; i-- > 1;) {
		if (area_holds(&c->areas[i], path) && path[c->areas[i].length])
			return &c->areas[i];
	}
	return &c->areas[0];
}

/* Keeps the order. The pointer is good until the next area is added. */
static struct area *add_area(
	struct compiler *c, enum area_kind kind, const char *path, uint32_t rule)
{
	struct area *a = array_add(c, &c->areas, &c->area_count, &c->area_capacity, sizeof(*a));

	if (!a)
		return NULL;
	while (a > c->areas && path_order(a[-1].path, path) > 0) {
		*a = a[-1];
		a--;
	}
	*a = (struct area){.path = path,
		.length = strlen(path),
		.kind = kind,
		.rule = rule,
		.write = kind == AREA_TMPFS || kind == AREA_DEV};
	return a;
}

static void add_tmpfs(
	struct compiler *c, const char *path, uint64_t bytes, uint32_t mode, uint32_t rule)
{
	struct area *a = add_area(c, AREA_TMPFS, path, rule);

	if (!a)
		return;
	a->size_bytes = bytes;
	a->mode = mode;
	a->exec = path_may_exec(c, path);
}

/* A grant needs no mount where the one around it gives at least as much already. */
static bool grant_is_held(const struct area *around, const struct grant *g)
{
	if (g->fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_DEVICE)
		return false; /* binds are nodev */
	if (around->kind != AREA_GRANT)
		return false;
	if (around->write && !g->write && g->section == RULES_FS_READ && g->exec <= around->exec)
		return true;
	return around->write == g->write && around->exec == g->exec;
}

static bool grant_covers(const struct compiler *c, const char *path, bool root_too)
{
	for (size_t i = 0; i < c->grant_count; i++) {
		const struct grant *g = &c->grants[i];

		if (!g->dropped && path_is_beneath(path, g->path) && (root_too || g->path[1]))
			return true;
	}
	return false;
}

/* berm's own parts. What a grant covers stays as granted: but a private /tmp stands on a granted
 * "/", since next to no program works without a place to write. */
static void add_own(struct compiler *c)
{
	const struct profile *p = c->profile;
	const struct limit *size;

	if (!path_is_denied(c, "/proc"))
		add_area(c, AREA_PROC, "/proc", 0);
	if (!path_is_denied(c, "/dev")) {
		struct area *a = add_area(c, AREA_DEV, "/dev", 0);

		if (a) {
			a->size_bytes = DEV_BYTES;
			a->mode = 0755;
		}
		if (!path_is_denied(c, "/dev/shm")) {
			size = &p->fs.tmp.size_bytes;
			add_tmpfs(c, "/dev/shm", size->set ? size->value : PRIVATE_BYTES_DEFAULT,
				01777, rule_index(c, RULES_FS_TMP, 0));
		}
	}
	if (p->fs.tmp.private && !grant_covers(c, "/tmp", false) && !path_is_denied(c, "/tmp")) {
		size = &p->fs.tmp.size_bytes;
		add_tmpfs(c, "/tmp", size->set ? size->value : PRIVATE_BYTES_DEFAULT, 01777,
			rule_index(c, RULES_FS_TMP, 0));
	}
	if (p->fs.home.private && !grant_covers(c, c->home, true) && !path_is_denied(c, c->home) &&
		!path_is_beneath(c->home, "/proc") && !path_is_beneath(c->home, "/dev")) {
		size = &p->fs.home.size_bytes;
		add_tmpfs(c, c->home, size->set ? size->value : PRIVATE_BYTES_DEFAULT, 0700,
			rule_index(c, RULES_FS_HOME, 0));
	}
}

static void add_grants(struct compiler *c)
{
	for (size_t i = 0; i < c->grant_count; i++) {
		struct grant *g = &c->grants[i];
		struct area *a;

		if (g->dropped || g->path[1] == '\0')
			continue;
		/* Grants are in path order: whatever is around this one is an area already. */
		if (grant_is_held(area_around(c, g->path), g))
			continue;
		g->mounted = true;
		a = add_area(c, AREA_GRANT, g->path, g->rule);
		if (!a)
			return;
		a->grant = g;
		a->write = g->write;
		a->exec = g->exec;
	}
}

static void add_root(struct compiler *c)
{
	struct area *root = NULL;

	for (size_t i = 0; i < c->grant_count && !root; i++) {
		struct grant *g = &c->grants[i];

		if (g->dropped || g->path[1])
			continue;
		g->mounted = true;
		root = add_area(c, AREA_GRANT, "/", g->rule);
		if (!root)
			return;
		root->grant = g;
		root->write = g->write;
		root->exec = g->exec;
	}
	if (root)
		return;
	root = add_area(c, AREA_ROOT, "/", 0);
	if (root) {
		root->size_bytes = ROOT_BYTES;
		root->mode = 0755;
	}
}

static bool link_known(const struct compiler *c, const char *path)
{
	for (size_t i = 0; i < c->link_count; i++) {
		if (strcmp(c->links[i].path, path) == 0)
			return true;
	}
	return false;
}

/* The path after the links that the new root has so far; kept by the compiler or path itself. */
static const char *follow_links(struct compiler *c, const char *path)
{
	for (unsigned depth = 0; depth < LINK_DEPTH_MAX; depth++) {
		const struct link *hit = NULL;
		autotext struct text t = {0};

		for (size_t i = 0; i < c->link_count && !hit; i++) {
			if (strcmp(c->links[i].path, path) &&
				path_is_beneath(path, c->links[i].path))
				hit = &c->links[i];
		}
		if (!hit)
			return path;
		text_printf(&t, "%s%s", hit->target, path + strlen(hit->path));
		path = keep(c, text_take(&t));
		if (!path)
			return "/";
	}
	return path;
}

/* The words of the host's own link where they lead to the real path at once, else the real path. */
static const char *link_content(const char *path, const Berm__Wire__PathFact *fact)
{
	autofree char *parent = NULL, *joined = NULL;

	if (*fact->link_target == '\0' || strcmp(fact->path, path))
		return fact->resolved;
	parent = path_parent(path);
	joined = parent ? path_join(parent, fact->link_target) : NULL;
	return joined && strcmp(joined, fact->resolved) == 0 ? fact->link_target : fact->resolved;
}

/* Make the path that was written lead to the real one inside. */
static void add_link(struct compiler *c, const Berm__Wire__PathFact *fact, uint32_t rule)
{
	const char *path = follow_links(c, fact->path);
	const struct area *around;
	struct link *l;

	if (strcmp(path, fact->resolved) == 0 || link_known(c, path) || path_is_denied(c, path))
		return;
	around = area_around(c, path);
	/* A bind shows the host's own link. */
	if (around->kind != AREA_ROOT && around->kind != AREA_TMPFS)
		return;
	/* Something of berm's own stands there, or beneath it: the real path has to do. */
	for (size_t i = 1; i < c->area_count; i++) {
		if (path_is_beneath(c->areas[i].path, path))
			return;
	}
	l = array_add(c, &c->links, &c->link_count, &c->link_capacity, sizeof(*l));
	if (l)
		*l = (struct link){path, fact->resolved, link_content(path, fact), rule};
}

/* Systems with a merged /usr name their programs and the ELF interpreter by these links; where the
 * tree they lead to is granted, the links are given too. They say nothing that the tree does not.
 */
static const char *const merged_usr[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

/* A name that shall lead to a real path. */
struct alias {
	const Berm__Wire__PathFact *fact;
	uint32_t rule;
};

/* Shorter names first, since a link serves all that is beneath it; of two for one name the
 * profile's. */
static int compare_aliases(const void *a, const void *b)
{
	const struct alias *aa = a, *ab = b;
	int order = path_order(aa->fact->path, ab->fact->path);

	if (order)
		return order;
	return aa->rule > ab->rule ? -1 : aa->rule < ab->rule;
}

static int add_links(struct compiler *c)
{
	autofree struct alias *aliases =
		calloc(c->grant_count + array_size(merged_usr) + 1, sizeof(*aliases));
	const Berm__Wire__PathFact *home = fact_find(c, c->request->home ? c->request->home : "");
	size_t count = 0;

	if (!aliases)
		return -ENOMEM;
	for (size_t i = 0; i < c->grant_count; i++) {
		const struct grant *g = &c->grants[i];

		/* A grant that another one replaced still has its own name. */
		if (strcmp(g->written, g->path) && !path_is_denied(c, g->path))
			aliases[count++] = (struct alias){g->fact, g->rule};
	}
	for (size_t i = 0; i < array_size(merged_usr); i++) {
		const Berm__Wire__PathFact *fact = fact_find(c, merged_usr[i]);

		if (fact && fact->kind == BERM__WIRE__FILE_KIND__FILE_SYMLINK && *fact->resolved &&
			area_of(c, fact->resolved)->kind == AREA_GRANT)
			aliases[count++] = (struct alias){fact, 0};
	}
	if (home && *home->resolved && strcmp(home->resolved, home->path))
		aliases[count++] = (struct alias){home, 0};
	if (count)
		qsort(aliases, count, sizeof(*aliases), compare_aliases);
	for (size_t i = 0; i < count; i++)
		add_link(c, aliases[i].fact, aliases[i].rule);
	return 0;
}

int plan_areas(struct compiler *c)
{
	add_root(c);
	add_own(c);
	if (c->out_of_memory)
		return -ENOMEM;
	add_grants(c);
	if (c->out_of_memory)
		return -ENOMEM;
	return add_links(c);
}
