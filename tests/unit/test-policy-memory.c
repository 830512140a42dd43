/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "counted-malloc.h"
#include "loading.h"

#define HEAD "version: 1\nname: p\n"

/* Something of everything that reading, merging and narrowing allocates for. */
static const char base_text[] =
	HEAD "fs: {read: [/usr, /lib, /opt, /a, /b], deny: [\"${HOME}/.ssh\", \"/srv/**/.env*\"]}\n"
	     "env: {pass: [LANG, \"LC_*\"], set: {A: \"${WORKDIR}/x\"}}\n";
static const char profile_text[] = HEAD
	"extends: [base]\nremove: {fs.read: [/opt]}\n"
	"fs: {write: [\"${WORKDIR}\"], ask: [{path: /srv/q, access: write}], tmp: {size: 1MiB}}\n"
	"network:\n"
	"  allow: [{host: \"*.example.com\", ports: [443, \"1-99\"], by: [/usr/bin/git]}]\n"
	"  ask: [{cidr: 10.0.0.0/8}]\n"
	"  listen: [\"127.0.0.1:80\"]\n"
	"exec: {ask: [{command: [git, push], match: [git push x]}, /usr/bin/x]}\n"
	"syscalls: {allow: [ptrace], families: [unix]}\n"
	"blast_radius: {files_deleted: 5, tool_calls: 7}\n"
	"pace: {alternate: {when: [{event: blast_radius, above: 50%}, {event: escape_attempt}]}}\n"
	"tests: [{do: \"read ${HOME}/.ssh/x\", expect: deny}]\n";
static const char ceiling_text[] = HEAD
	"fs: {read: [/usr/bin, /lib, /srv, /a, /b], write: [/srv/repo/a], ask: [/usr/bin/y]}\n"
	"network:\n"
	"  allow: [{host: a.example.com, ports: [\"1-50\", 443]}, {cidr: 10.1.0.0/16},\n"
	"    {cidr: \"64:ff9b::/96\"}]\n"
	"exec: {default: ask, allow: [/usr/bin]}\n"
	"pace: {alternate: {when: [{event: denial, count: 1, within: 1m}], then: {exec: deny}}}\n"
	"env: {pass: [\"L*\"], set: {A: /srv/repo/x}}\n";

/* What must be the same whenever loading succeeds. */
static size_t entries_of(const struct profile *p)
{
	return p->fs.read.count + p->fs.write.count + p->fs.ask.count * 100 +
	       p->fs.deny.count * 1000 + p->network.allow.count * 10000 +
	       p->network.ask.count * 100000 + p->exec.allow.count * 1000000 +
	       p->exec.ask.count * 10000000 + p->env.pass.count * 100000000 +
	       p->env.set_count * 1000000000 + p->pending.count * 10000000000 +
	       p->tests.count * 100000000000 + p->pace.alternate.when.count * 1000000000000;
}

static void every_allocation_may_fail(void **state)
{
	autoloading struct loading l;
	char path[128];
	const char *ceilings[] = {path, NULL};
	size_t wanted;
	int r = -ENOMEM;
	long n;

	(void)state;
	loading_init(&l);
	snprintf(path, sizeof(path), "%s/ceiling.yaml", l.dir);
	l.request.ceilings = ceilings;
	loading_string(&l, "ceiling.yaml", ceiling_text);
	loading_string(&l, "base.yaml", base_text);
	if (loading_text(&l, profile_text) < 0)
		fail_msg("%s%s", text_string(&l.out), l.err.text);
	wanted = entries_of(l.profile);
	for (n = 0; r < 0 || l.out.failed; n++) {
		struct profile *profile = NULL;
		long before;

		text_finish(&l.out);
		before = live;
		allocations_left = n;
		r = profile_load(&l.request, &profile, &l.out, &l.err);
		allocations_left = -1;
		if (r == 0 && entries_of(profile) != wanted)
			fail_msg("allocation %ld: entries are missing", n);
		if (r < 0)
			assert_null(profile);
		profile_destroy(profile);
		if (live - before > (l.out.data != NULL))
			fail_msg("allocation %ld: %ld lost", n, live - before);
	}
	assert_true(n > 100);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
