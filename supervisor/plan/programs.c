/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include "base/number.h"

#include <errno.h>

/* exec.hash: pin. Each program that exec.allow names runs as it was when the plan was made: when
 * the run starts, the file is copied and hashed in one go, what it holds must have the digest of
 * the plan, and the copy is mounted over it, read-only. What another name or another file offers is
 * not the copy, and may not be run: this is what exec.default: deny, and noexec where the run can
 * write, are for. pinned.c asks the finished plan whether it came out so. A file put in the place
 * of the pinned one takes the mount away with the old name (rename(2) in another mount namespace);
 * what is there then was never allowed to run. */

#define PROGRAMS_BYTES_MAX (512ULL << 20) /* the copies are memory while the run lasts */

static bool is_file(const Berm__Wire__PathFact *fact)
{
	return fact && fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_REGULAR;
}

bool program_is_pinned(const struct compiler *c, const char *path)
{
	const struct exec_rules *allow = &c->profile->exec.allow;

	for (size_t i = 0; c->profile->exec.hash == EXEC_HASH_PIN && i < allow->count; i++) {
		const char *named = allow->items[i].path;
		const Berm__Wire__PathFact *fact = named ? fact_find(c, named) : NULL;

		if (is_file(fact) && strcmp(fact->resolved, path) == 0)
			return true;
	}
	return false;
}

static int cannot(struct compiler *c, int result, uint32_t rule, const char *why)
{
	return error_set(c->err, result, ERROR_INPUT,
		"%s cannot be pinned: %s (exec.hash: pin is %s:%u)", rule_text(c, rule), why,
		c->profile->exec.hash_at.file, c->profile->exec.hash_at.line);
}

/* An entry that is, or in the run becomes, a directory makes programs of all that is beneath it:
 * grants, and the run's own places. It is refused also where it lies outside of every grant now. */
static int check_is_no_directory(
	struct compiler *c, const char *path, const Berm__Wire__PathFact *fact, uint32_t rule)
{
	if (fact && fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_DIRECTORY)
		return cannot(c, -EISDIR, rule,
			"it is a directory, and what is in it can become more; name the programs "
			"one by one");
	for (size_t i = 0; i < c->area_count; i++) {
		if (c->areas[i].kind != AREA_GRANT && path_is_beneath(c->areas[i].path, path))
			return cannot(c, -EISDIR, rule,
				"it is a directory of the run's own, and what is in it can become "
				"more; name the programs one by one");
	}
	return 0;
}

/* What is in the file has to be known. */
static int check_program(struct compiler *c, const Berm__Wire__PathFact *fact, uint32_t rule)
{
	char why[256], bytes[32];

	if (!is_file(fact))
		return cannot(c, -EINVAL, rule, "it is no regular file");
	if (fact->content_error == EFBIG || fact->size_bytes > PROGRAMS_BYTES_MAX) {
		snprintf(why, sizeof(why), "it is larger than %s, and a copy of it is memory",
			number_format_size(PROGRAMS_BYTES_MAX, bytes, sizeof(bytes)));
		return cannot(c, -EFBIG, rule, why);
	}
	if (fact->content_error) {
		snprintf(why, sizeof(why), "it cannot be read: %s",
			strerror((int)fact->content_error));
		return cannot(c, -(int)fact->content_error, rule, why);
	}
	if (fact->content.len != PLAN_DIGEST_BYTES)
		return error_set(c->err, -EINVAL, ERROR_INTERNAL,
			"no fact about the content of %s was gathered", fact->path);
	return 0;
}

static int pin(struct compiler *c, const Berm__Wire__PathFact *fact, uint32_t rule)
{
	struct program *added;
	int r = check_program(c, fact, rule);

	if (r < 0)
		return r;
	if (fact->links > 1)
		note(c, "%s: the file has %u names; only this one can be run", rule_text(c, rule),
			fact->links);
	added = array_add(c, &c->programs, &c->program_count, &c->program_capacity, sizeof(*added));
	if (added)
		*added = (struct program){fact, rule};
	return 0;
}

static bool is_known(const struct compiler *c, const char *path)
{
	for (size_t i = 0; i < c->program_count; i++) {
		if (strcmp(c->programs[i].fact->resolved, path) == 0)
			return true;
	}
	return false;
}

static int check_bytes(struct compiler *c, uint64_t total, uint32_t rule)
{
	const struct limit *memory = &c->profile->limits.memory_bytes;
	char bytes[32], most[32];
	bool limited = memory->set && memory->value < PROGRAMS_BYTES_MAX;
	uint64_t limit = limited ? memory->value : PROGRAMS_BYTES_MAX;

	if (total <= limit)
		return 0;
	return error_set(c->err, -EFBIG, ERROR_INPUT,
		"%s: the copies of the programs are %s, more than %s%s", rule_text(c, rule),
		number_format_size(total, bytes, sizeof(bytes)),
		number_format_size(limit, most, sizeof(most)), limited ? " (limits.memory)" : "");
}

static void pinned_words(struct compiler *c, uint32_t rule)
{
	if (!c->program_count) {
		note(c, "%s: exec.allow names no program that the run can see, so none can be run",
			rule_text(c, rule));
		rule_enforced(c, rule,
			c->facts->landlock_abi
				? "mount+landlock (no program is named, so none is run)"
				: "nothing (no program is named, and landlock is missing)");
	} else if (!c->facts->landlock_abi) {
		rule_enforced(c, rule,
			"mount (hashed copies) (weaker without landlock: whatever else the run can "
			"read and not write is run too, also a file put in the place of a "
			"program)");
	} else {
		rule_enforced(c, rule,
			"mount (hashed copies)+landlock (weaker: not the libraries that a program "
			"loads, nor what ld.so is told to run)");
	}
}

int plan_programs(struct compiler *c)
{
	const struct exec_rules *allow = &c->profile->exec.allow;
	uint32_t rule = rule_index(c, RULES_EXEC_HASH, 0);
	uint64_t total = 0;

	if (c->profile->exec.hash != EXEC_HASH_PIN)
		return 0;
	if (c->profile->exec.default_decision == DECISION_ALLOW)
		return error_set(c->err, -EINVAL, ERROR_INPUT,
			"%s: exec.default allows every other program too, so nothing would be "
			"pinned; write exec.default: deny, and name the programs in exec.allow",
			rule_text(c, rule));
	for (size_t i = 0; i < allow->count; i++) {
		const char *path = allow->items[i].path;
		const Berm__Wire__PathFact *fact = path ? fact_find(c, path) : NULL;
		uint32_t named = rule_index(c, RULES_EXEC_ALLOW, i);
		int r = path ? check_is_no_directory(c, path, fact, named) : 0;

		if (r < 0)
			return r;
		/* A file that cannot be run anyway: not there, in no grant, or denied. */
		if (!fact || !*fact->resolved || is_known(c, fact->resolved) ||
			area_of(c, fact->resolved)->kind != AREA_GRANT ||
			path_may_not_exec(c, fact->resolved) || path_is_denied(c, fact->resolved))
			continue;
		r = pin(c, fact, named);
		if (r < 0)
			return r;
		total += fact->size_bytes;
	}
	if (!c->program_count && c->request->argv && *c->request->argv)
		return error_set(c->err, -EACCES, ERROR_REFUSED,
			"%s: exec.allow names no program that the run can see, so nothing could be "
			"run; name the programs, as files that are granted",
			rule_text(c, rule));
	pinned_words(c, rule);
	return check_bytes(c, total, rule);
}

void plan_program_mounts(struct compiler *c)
{
	for (size_t i = 0; i < c->program_count; i++) {
		const Berm__Wire__PathFact *fact = c->programs[i].fact;
		Berm__Wire__Mount *m = message_mount(
			c, BERM__WIRE__MOUNT_KIND__MOUNT_COPY, fact->resolved, c->programs[i].rule);

		m->source_kind = fact->resolved_kind;
		m->size_bytes = fact->size_bytes;
		m->mode = fact->mode & 0777;
		m->read_only = true;
		message_bytes(c, &m->digest, fact->content.data, fact->content.len);
	}
}
