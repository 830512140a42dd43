/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learn-internal.h"

#include "base/path.h"

#include <string.h>

#define WALL_TIME_LEAST_MS 10000
#define SECOND_MS 1000

struct proposer {
	const struct learn *learn;
	const struct learn_world *world;
	struct learn_proposal *out;
	struct candidates read, write, exec;
	bool no_memory;
};

static bool base_allows(const struct proposer *p, enum operation operation, const char *path)
{
	struct verdict verdict;

	decide(p->world->base, operation, path, &verdict);
	return verdict.decision == DECISION_ALLOW;
}

static struct candidate candidate_of(const struct learn_observation *seen)
{
	return (struct candidate){.path = seen->object,
		.rule = "as-opened",
		.reason = "the path itself",
		.runs = seen->runs,
		.names = 1,
		.of_root = seen->of_root};
}

static void keep(struct proposer *p, struct candidates *list, const struct candidate *candidate)
{
	p->no_memory |= !candidates_add(&p->out->arena, list, candidate);
}

static void take(struct proposer *p, const struct learn_observation *seen)
{
	struct candidate candidate = candidate_of(seen);
	char buffer[PATH_MAX];

	if (seen->operation == OPERATION_WRITE) {
		candidate.path = arena_string(&p->out->arena, learn_named(p->world, seen, buffer));
		candidate.tree = true;
		candidate.rule = "new-names";
		candidate.reason = "names are made, replaced and removed in a directory";
		p->no_memory |= !candidate.path;
		if (candidate.path)
			keep(p, &p->write, &candidate);
		return;
	}
	if (seen->operation == OPERATION_EXEC &&
		p->world->base->exec.default_decision != DECISION_ALLOW)
		keep(p, &p->exec, &candidate);
	if (base_allows(p, OPERATION_READ, seen->object))
		return;
	if (seen->there == LEARN_DIRECTORY) {
		candidate.tree = true;
		candidate.rule = "listed";
		candidate.reason = "the directory was listed";
	}
	keep(p, &p->read, &candidate);
}

/* A run cannot start in a directory that is not in it. */
static void take_start(struct proposer *p)
{
	const struct candidate start = {.path = p->world->workdir,
		.rule = "start",
		.reason = "a run starts in its work tree",
		.runs = UINT64_MAX >> (LEARN_RUNS_MAX - p->learn->runs),
		.names = 1,
		.tree = true};

	if (p->world->starts_there && p->learn->runs && !base_allows(p, OPERATION_READ, start.path))
		keep(p, &p->read, &start);
}

static void classify(struct proposer *p)
{
	const struct learn *learn = p->learn;

	take_start(p);
	for (size_t i = 0; i < learn->count; i++) {
		p->out->classes[i] = learn_classify(p->world, &learn->items[i]);
		if (p->out->classes[i] == LEARN_PROPOSED)
			take(p, &learn->items[i]);
	}
}

/* Grants are different by themselves; the lines behind them may be about the same path twice. */
static void add_line(struct proposer *p, const struct learn_line *line)
{
	struct learn_proposal *out = p->out;
	struct learn_line *grown;

	for (size_t i = out->proposed; i < out->count; i++) {
		if (strcmp(out->lines[i].key, line->key) == 0 &&
			strcmp(out->lines[i].path, line->path) == 0)
			return;
	}
	grown = arena_grow(&out->arena, out->lines, out->count, sizeof(*out->lines));
	p->no_memory |= !grown;
	if (!grown)
		return;
	out->lines = grown;
	grown[out->count++] = *line;
}

/* Reading what is granted for writing needs no line of its own. */
static void add_grants(struct proposer *p, const char *key, const struct candidates *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct candidate *c = &list->items[i];

		if (list == &p->read && candidates_cover(&p->write, c->path))
			continue;
		/* Files of the work tree come and go. */
		add_line(p, &(struct learn_line){.key = key,
				    .path = c->path,
				    .rule = c->rule,
				    .reason = c->reason,
				    .runs = c->runs,
				    .names = c->names,
				    .optional = !c->tree &&
						path_is_beneath(c->path, p->world->workdir)});
		p->out->proposed = p->out->count;
	}
}

static bool is_granted(const struct proposer *p, const char *path)
{
	return candidates_cover(&p->write, path) || candidates_cover(&p->read, path);
}

/* What has no name of its own in a profile may lie in a directory that has. */
static void adopt_nameless(struct proposer *p)
{
	for (size_t i = 0; i < p->learn->count; i++) {
		const struct learn_observation *seen = &p->learn->items[i];
		bool writes = seen->operation == OPERATION_WRITE;

		if (p->out->classes[i] == LEARN_NAMELESS &&
			(writes ? candidates_cover(&p->write, seen->object) != NULL
				: is_granted(p, seen->object)))
			p->out->classes[i] = LEARN_PROPOSED;
	}
}

static const char *nearest_named(struct proposer *p, const char *path)
{
	char buffer[PATH_MAX];
	const char *name = arena_string(&p->out->arena, learn_nearest_name(path, buffer));

	p->no_memory |= !name;
	return name;
}

/* Credentials that lie in a directory that is proposed stay out of it by a line of their own. */
static void add_denied(struct proposer *p)
{
	const struct learn *learn = p->learn;
	const char *const *secret = p->world->secrets;
	struct learn_line line = {.key = "fs.deny", .rule = "credentials", .reason = "credentials"};

	for (; secret && *secret; secret++) {
		line.path = *secret;
		if (is_granted(p, *secret) && !base_allows(p, OPERATION_READ, *secret))
			add_line(p, &line);
	}
	for (size_t i = 0; i < learn->count; i++) {
		line.path = p->out->classes[i] == LEARN_SECRET
				    ? nearest_named(p, learn->items[i].object)
				    : NULL;
		line.runs = learn->items[i].runs;
		line.optional = learn->items[i].there == LEARN_ABSENT;
		if (line.path && learn_is_secret(line.path) && is_granted(p, line.path))
			add_line(p, &line);
	}
}

/* Programs that the run was refused because it could write them: they do not start now because it
 * no longer can. */
static void add_programs(struct proposer *p)
{
	for (size_t i = 0; i < p->learn->count; i++) {
		const struct learn_observation *seen = &p->learn->items[i];
		struct learn_line line = {.key = "exec.deny",
			.rule = "program",
			.reason = "not looked at yet",
			.runs = seen->runs};

		if (p->out->classes[i] != LEARN_PROGRAM ||
			!candidates_cover(&p->read, seen->object) ||
			candidates_cover(&p->write, seen->object))
			continue;
		line.path = nearest_named(p, seen->object);
		if (line.path)
			add_line(p, &line);
	}
}

static void add_doors(struct proposer *p)
{
	struct learn_line line = {.key = "fs.protect",
		.rule = "door",
		.reason = "programs outside the run execute or obey it"};
	const char *name;

	for (size_t i = 0; (name = learn_door(i, &line.optional)); i++) {
		size_t n = strlen(p->world->workdir) + strlen(name) + 2;
		char *path = arena_alloc(&p->out->arena, n);

		p->no_memory |= !path;
		if (!path)
			return;
		snprintf(path, n, "%s/%s", p->world->workdir, name);
		line.path = path;
		if (candidates_cover(&p->write, path) && !base_allows(p, OPERATION_WRITE, path))
			add_line(p, &line);
	}
}

static const struct limit *cap_of(const struct profile *base, enum learn_cap cap)
{
	switch (cap) {
	case LEARN_FILES_CHANGED:
		return &base->blast_radius.files_changed;
	case LEARN_FILES_DELETED:
		return &base->blast_radius.files_deleted;
	case LEARN_BYTES_WRITTEN:
		return &base->blast_radius.bytes_written;
	case LEARN_PROCESSES_STARTED:
		return &base->blast_radius.processes_started;
	case LEARN_MEMORY:
		return &base->limits.memory_bytes;
	case LEARN_PIDS:
		return &base->limits.pids;
	case LEARN_WALL_TIME:
	case LEARN_CAP_COUNT:
		break;
	}
	return &base->limits.wall_time_ms;
}

/* For each cap: the most that a profile can hold, the least that is proposed (what a run needs by
 * the way differs from day to day), and to what it is rounded up. */
#define VALUE_MOST 1000000000000ULL
static const struct {
	uint64_t most, least, step;
} cap_bounds[LEARN_CAP_COUNT] = {
	[LEARN_FILES_CHANGED] = {VALUE_MOST, 0, 1},
	[LEARN_FILES_DELETED] = {VALUE_MOST, 0, 1},
	[LEARN_BYTES_WRITTEN] = {VALUE_MOST, 0, 1},
	[LEARN_PROCESSES_STARTED] = {VALUE_MOST, 0, 1},
	[LEARN_MEMORY] = {VALUE_MOST, 64ULL << 20, 1ULL << 20},
	[LEARN_PIDS] = {4194304, 16, 1},
	[LEARN_WALL_TIME] = {365ULL * 24 * 3600 * 1000, WALL_TIME_LEAST_MS, SECOND_MS},
};

/* Two and a half times the most that was seen, rounded up. */
static uint64_t cap_value(enum learn_cap cap, uint64_t peak)
{
	uint64_t value = peak / 2 * 5 + (peak % 2 ? 3 : 0), step = cap_bounds[cap].step;

	if (value < cap_bounds[cap].least)
		return cap_bounds[cap].least;
	return (value + step - 1) / step * step;
}

static void add_caps(struct proposer *p)
{
	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		const struct learn_peak *peak = &p->learn->peaks[cap];

		if (!peak->known || peak->value > cap_bounds[cap].most / 3 ||
			cap_of(p->world->base, cap)->set)
			continue;
		p->out->caps[cap] = (struct learn_peak){true, cap_value(cap, peak->value)};
	}
}

static int by_key(const void *a, const void *b)
{
	const struct learn_line *left = a, *right = b;
	int order = strcmp(left->key, right->key);

	return order ? order : strcmp(left->path, right->path);
}

static int check_size(const struct proposer *p, struct error *err)
{
	size_t bytes = 0;

	for (size_t i = 0; i < p->out->count; i++)
		bytes += strlen(p->out->lines[i].path);
	if (p->out->count <= LEARN_LINES_MAX && bytes <= LEARN_LINES_BYTES_MAX)
		return 0;
	return error_set(err, -E2BIG, ERROR_REFUSED,
		"the runs needed %zu different places, more than anybody reads line by line (at "
		"most %d lines, %d bytes of paths); let the base grant the directories that they "
		"are in",
		p->out->count, LEARN_LINES_MAX, LEARN_LINES_BYTES_MAX);
}

int learn_propose(const struct learn *learn, const struct learn_world *world,
	struct learn_proposal *ret_proposal, struct error *err)
{
	struct proposer p = {.learn = learn, .world = world, .out = ret_proposal};
	int r;

	*ret_proposal = (struct learn_proposal){0};
	ret_proposal->classes = arena_alloc(
		&ret_proposal->arena, (learn->count + 1) * sizeof(*ret_proposal->classes));
	if (!ret_proposal->classes)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	classify(&p);
	p.no_memory |= !candidates_settle(&ret_proposal->arena, &p.write, world);
	p.no_memory |= !candidates_settle(&ret_proposal->arena, &p.read, world);
	add_grants(&p, "fs.read", &p.read);
	add_grants(&p, "fs.write", &p.write);
	add_grants(&p, "exec.allow", &p.exec);
	r = check_size(&p, err);
	if (r < 0)
		return r;
	adopt_nameless(&p);
	add_denied(&p);
	add_programs(&p);
	add_doors(&p);
	add_caps(&p);
	if (p.no_memory)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = check_size(&p, err);
	if (ret_proposal->count)
		qsort(ret_proposal->lines, ret_proposal->count, sizeof(*ret_proposal->lines),
			by_key);
	return r;
}

void learn_proposal_finish(struct learn_proposal *proposal)
{
	arena_finish(&proposal->arena);
	*proposal = (struct learn_proposal){0};
}
