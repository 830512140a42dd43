/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "facts-text.h"
#include "plan/compile.h"
#include "profile-build.h"

#include <errno.h>
#include <linux/landlock.h>

/* exec.hash: pin, asked of a finished plan: whatever line of a profile, or mistake of the compiler,
 * made a mount or a right, a plan under which something else can be executed is refused. */

#define INTERPRETER "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"

static const char host_text[] =
	"audit_arch 0xc000003e\n"
	"landlock_abi 7\n"
	"seccomp_filter 1\n"
	"seccomp_notify 1\n"
	"user_namespaces 1\n"
	"network_namespaces 1\n"
	"caller_uid 1000\n"
	"caller_gid 1000\n"
	"caller_name u\n"
	"caller_home /srv/u\n"
	"path /usr\n"
	"path /opt/tool kind=regular content=32*a4 size_bytes=2000\n"
	"path /usr/bin/git kind=regular content=32*a1 size_bytes=3000\n"
	"path /lib64/ld-linux-x86-64.so.2 kind=symlink resolved=" INTERPRETER
	" resolved_kind=regular\n"
	"path /srv/u\n"
	"path /srv/u/w\n"
	"path /srv/u/w/tool kind=regular content=32*a5 size_bytes=8000\n";

static const char *const command[] = {"true", NULL};
static const struct plan_request request = {.argv = command, .home = "/srv/u"};

struct fixture {
	struct built b;
	Berm__Wire__HostFacts *facts;
	Berm__Wire__Plan *plan;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct profile *p;
	struct error err = {0};

	if (!f)
		return -1;
	built_init(&f->b);
	p = &f->b.profile;
	p->exec.default_decision = DECISION_DENY;
	p->exec.hash = EXEC_HASH_PIN;
	built_path(&f->b, &p->fs.read, "/usr", PATH_READ);
	built_path(&f->b, &p->fs.read, "/opt/tool", PATH_READ);
	built_path(&f->b, &p->fs.write, "/srv/u/w", PATH_READ);
	built_exec_path(&f->b, &p->exec.allow, "/usr/bin/git");
	built_exec_path(&f->b, &p->exec.allow, "/opt/tool");
	built_exec_path(&f->b, &p->exec.allow, "/srv/u/w/tool");
	f->facts = facts_from_text(host_text);
	if (plan_compile(p, f->facts, &request, &f->plan, NULL, &err) < 0)
		fail_msg("%s", err.text);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	plan_destroy(f->plan);
	berm__wire__host_facts__free_unpacked(f->facts, NULL);
	free(f);
	return 0;
}

static void holds(const struct fixture *f)
{
	struct error err = {0};

	if (pinned_holds(f->plan, f->facts, &err) < 0)
		fail_msg("%s", err.text);
}

/* Refused, with the path that is meant. */
static void broken(const struct fixture *f, const char *path)
{
	char wanted[256];
	struct error err = {0};

	if (pinned_holds(f->plan, f->facts, &err) != -EINVAL)
		fail_msg("%s: the plan was let through", path);
	snprintf(wanted, sizeof(wanted), "exec.hash: pin does not hold: %s ", path);
	if (strncmp(err.text, wanted, strlen(wanted)) != 0 || !strstr(err.text, "one by one"))
		fail_msg("%s: %s", path, err.text);
}

static Berm__Wire__Mount *find(
	const struct fixture *f, Berm__Wire__MountKind kind, const char *target)
{
	for (size_t i = 0; i < f->plan->n_mounts; i++)
		if (f->plan->mounts[i]->kind == kind &&
			strcmp(f->plan->mounts[i]->target, target) == 0)
			return f->plan->mounts[i];
	fail_msg("no mount at %s", target);
	return NULL;
}

static void the_compiler_s_own_plan_holds(void **state)
{
	holds(*state);
}

static void every_place_that_can_be_written_has_to_be_noexec(void **state)
{
	const struct fixture *f = *state;
	unsigned tried = 0;

	for (size_t i = 0; i < f->plan->n_mounts; i++) {
		Berm__Wire__Mount *m = f->plan->mounts[i];
		bool place = m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS ||
			     m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE ||
			     (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND && !m->read_only);

		if (!place)
			continue;
		assert_true(m->no_exec);
		m->no_exec = false;
		broken(f, m->target);
		m->no_exec = true;
		tried++;
	}
	/* The root, /dev, its nodes and /dev/shm, /tmp, the home and the work. */
	assert_int_equal(tried, 12);
	holds(f);
}

static void the_overlay_of_a_staged_workspace_has_to_be_noexec(void **state)
{
	const struct fixture *f = *state;
	unsigned tried = 0;

	for (size_t i = 0; i < f->plan->n_mounts; i++) {
		Berm__Wire__Mount *m = f->plan->mounts[i];

		if (m->kind != BERM__WIRE__MOUNT_KIND__MOUNT_BIND || m->read_only)
			continue;
		m->kind = BERM__WIRE__MOUNT_KIND__MOUNT_STAGE;
		m->no_exec = false;
		broken(f, m->target);
		m->no_exec = true;
		holds(f);
		m->kind = BERM__WIRE__MOUNT_KIND__MOUNT_BIND;
		tried++;
	}
	assert_true(tried);
}

static void a_read_grant_that_becomes_a_write_grant_is_refused(void **state)
{
	const struct fixture *f = *state;
	Berm__Wire__Mount *usr = find(f, BERM__WIRE__MOUNT_KIND__MOUNT_BIND, "/usr");

	usr->read_only = false;
	broken(f, "/usr");
}

static void every_right_to_execute_something_else_is_refused(void **state)
{
	const struct fixture *f = *state;
	const Berm__Wire__Landlock *l = f->plan->landlock;
	unsigned tried = 0, given = 0;

	for (size_t i = 0; i < l->n_paths; i++) {
		if (l->paths[i]->access & LANDLOCK_ACCESS_FS_EXECUTE) {
			given++;
			continue;
		}
		l->paths[i]->access |= LANDLOCK_ACCESS_FS_EXECUTE;
		broken(f, l->paths[i]->path);
		l->paths[i]->access &= ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
		tried++;
	}
	assert_true(tried > 5);
	assert_int_equal(given, 4); /* three copies and the interpreter */
	holds(f);
}

static void a_right_that_nobody_handles_is_refused(void **state)
{
	const struct fixture *f = *state;

	f->plan->landlock->handled_fs &= ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
	broken(f, "/");
}

static void a_copy_has_a_digest_and_cannot_be_written(void **state)
{
	const struct fixture *f = *state;
	Berm__Wire__Mount *copy = find(f, BERM__WIRE__MOUNT_KIND__MOUNT_COPY, "/usr/bin/git");

	copy->digest.len--;
	broken(f, "/usr/bin/git");
	copy->digest.len++;
	copy->read_only = false;
	broken(f, "/usr/bin/git");
	copy->read_only = true;
	copy->source_kind = BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	broken(f, "/usr/bin/git");
}

static void what_takes_the_place_of_a_copy_or_covers_it_is_no_copy(void **state)
{
	const struct fixture *f = *state;
	Berm__Wire__Mount *copy = find(f, BERM__WIRE__MOUNT_KIND__MOUNT_COPY, "/usr/bin/git");
	Berm__Wire__Mount *last = f->plan->mounts[f->plan->n_mounts - 1];
	size_t usr = 0;

	copy->kind = BERM__WIRE__MOUNT_KIND__MOUNT_BIND;
	broken(f, "/usr/bin/git");
	copy->kind = BERM__WIRE__MOUNT_KIND__MOUNT_COPY;
	/* The tree is mounted once more, over its copy. */
	while (strcmp(f->plan->mounts[usr]->target, "/usr"))
		usr++;
	f->plan->mounts[f->plan->n_mounts - 1] = f->plan->mounts[usr];
	f->plan->mounts[usr] = last;
	broken(f, "/usr/bin/git");
	f->plan->mounts[usr] = f->plan->mounts[f->plan->n_mounts - 1];
	f->plan->mounts[f->plan->n_mounts - 1] = last;
	holds(f);
}

static void an_interpreter_that_is_no_file_is_refused(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 0; i < f->facts->n_paths; i++)
		if (strcmp(f->facts->paths[i]->resolved, INTERPRETER) == 0)
			f->facts->paths[i]->resolved_kind = BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	broken(f, INTERPRETER);
}

static void a_kind_of_mount_that_nobody_knows_is_refused(void **state)
{
	const struct fixture *f = *state;

	find(f, BERM__WIRE__MOUNT_KIND__MOUNT_PROC, "/proc")->kind =
		BERM__WIRE__MOUNT_KIND__MOUNT_UNSPECIFIED;
	broken(f, "/proc");
}

static void a_file_of_berm_s_own_that_could_be_executed_is_refused(void **state)
{
	const struct fixture *f = *state;

	find(f, BERM__WIRE__MOUNT_KIND__MOUNT_FILE, "/etc/passwd")->mode = 0555;
	broken(f, "/etc/passwd");
}

/* The check is a step of the compiler: a grant that no line refuses, and that may be written and
 * executed, would be made by a fact that contradicts itself. */
static void the_compiler_asks_it_of_its_own_plan(void **state)
{
	struct fixture *f = *state;
	Berm__Wire__Plan *plan = NULL;
	struct error err = {0};

	for (size_t i = 0; i < f->facts->n_paths; i++)
		if (strcmp(f->facts->paths[i]->resolved, INTERPRETER) == 0)
			f->facts->paths[i]->resolved_kind = BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	assert_int_equal(
		plan_compile(&f->b.profile, f->facts, &request, &plan, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "exec.hash: pin does not hold: " INTERPRETER));
	f->b.profile.exec.hash = EXEC_HASH_OFF;
	assert_int_equal(plan_compile(&f->b.profile, f->facts, &request, &plan, NULL, &err), 0);
	plan_destroy(plan);
}

#define row(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest list[] = {
		row(the_compiler_s_own_plan_holds),
		row(every_place_that_can_be_written_has_to_be_noexec),
		row(the_overlay_of_a_staged_workspace_has_to_be_noexec),
		row(a_read_grant_that_becomes_a_write_grant_is_refused),
		row(every_right_to_execute_something_else_is_refused),
		row(a_right_that_nobody_handles_is_refused),
		row(a_copy_has_a_digest_and_cannot_be_written),
		row(what_takes_the_place_of_a_copy_or_covers_it_is_no_copy),
		row(an_interpreter_that_is_no_file_is_refused),
		row(a_kind_of_mount_that_nobody_knows_is_refused),
		row(a_file_of_berm_s_own_that_could_be_executed_is_refused),
		row(the_compiler_asks_it_of_its_own_plan),
	};

	return cmocka_run_group_tests_name("plan-pinned", list, NULL, NULL);
}
