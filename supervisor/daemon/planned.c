/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planned.h"

#include "daemon/plan-guard.h"
#include "daemon/planner.h"
#include "policy/ceiling.h"
#include "policy/image.h"

#include <string.h>

#define PLANNED_CEILINGS_MAX 2 /* struct places */

static char *or_empty(const char *string)
{
	return (char *)(uintptr_t)(string ? string : "");
}

/* A list without its end; NULL has none. */
static char **strings_of(const char *const *list, size_t *ret_count)
{
	for (*ret_count = 0; list && list[*ret_count]; ++*ret_count)
		;
	return (char **)(uintptr_t)list;
}

static int no_answer(struct error *err, const char *what)
{
	planners_end();
	return error_set(err, -EPROTO, ERROR_INTERNAL, "the planner's answer %s", what);
}

static int take_no(const Berm__Wire__PlannerAnswer *answer, struct error *err)
{
	return error_set(err, -(int)answer->error, (enum error_kind)answer->kind, "%s",
		answer->reason[0] ? answer->reason : strerror((int)answer->error));
}

static int ask(const Berm__Wire__PlannerOrder *order, struct planner_files *files,
	struct text *said, Berm__Wire__PlannerAnswer **ret_answer, struct error *err)
{
	Berm__Wire__PlannerAnswer *answer = NULL;
	int r = planners_ask(order, files, &answer, err);

	if (r < 0 || !answer)
		return r < 0 ? r : -EIO;
	text_append(
		said, (const char *)answer->diagnostics->text.data, answer->diagnostics->text.len);
	if (answer->error == 0) {
		*ret_answer = answer;
		return 0;
	}
	r = take_no(answer, err);
	berm__wire__planner_answer__free_unpacked(answer, NULL);
	return r;
}

/* ---- a profile ---- */

static int check_profile(
	struct planner_files *files, const struct profile *profile, struct error *err)
{
	uint8_t digest[sizeof(profile->digest)];

	profile_digest_end(&files->digest, digest);
	if (memcmp(digest, profile->digest, sizeof(digest)) != 0)
		return no_answer(err, "is not of the files that were opened for it");
	if (profile->of_operator != files->of_operator || profile->of_run)
		return no_answer(err, "says that the profile is somebody else's");
	return 0;
}

static int take_profile(struct planner_files *files, const Berm__Wire__PlannerAnswer *answer,
	struct profile **ret_profile, struct error *err)
{
	autoprofile struct profile *profile = NULL;
	int r;

	if (!answer->profile.len || answer->diagnostics->errors)
		return no_answer(err, "has no profile");
	if (!planner_files_all_were_read(files))
		return no_answer(err, "leaves out a ceiling");
	r = profile_image_read(answer->profile.data, answer->profile.len, files->sources,
		&files->arena, &profile, err);
	if (r == -EPROTO || (r == 0 && !profile))
		return no_answer(err, "has a profile that is none");
	if (r == 0)
		r = check_profile(files, profile, err);
	if (r == 0)
		*ret_profile = take_ptr(&profile);
	return r;
}

/* By a planner that has seen nothing else, and sees nothing after. */
static int load(const struct profile_request *request, struct profile **ret_profile,
	struct text *diagnostics, struct error *err)
{
	const struct profile_variables *v = &request->variables;
	Berm__Wire__PlannerAnswer *answer = NULL;
	Berm__Wire__PlannerOrder order;
	Berm__Wire__PlannerLoad load;
	struct planner_files files;
	int r;

	berm__wire__planner_order__init(&order);
	berm__wire__planner_load__init(&load);
	order.version = PLANNER_VERSION;
	order.load = &load;
	load.profile = or_empty(request->profile);
	load.search_path = strings_of(request->search_path, &load.n_search_path);
	load.ceilings = strings_of(request->ceilings, &load.n_ceilings);
	load.home = or_empty(v->home);
	load.workdir = or_empty(v->workdir);
	load.tmpdir = or_empty(v->tmpdir);
	load.state = or_empty(v->state);
	load.run_id = or_empty(v->run_id);
	load.uid = or_empty(v->uid);
	load.as_ceiling = request->as_ceiling;
	load.operator_uid = request->operator_uid;
	load.trusted_uid = request->trusted_uid;
	planner_files_begin(&files, request);
	r = planners_done(err);
	if (r == 0)
		r = ask(&order, &files, diagnostics, &answer, err);
	if (r == 0 && answer)
		r = take_profile(&files, answer, ret_profile, err);
	if (answer)
		berm__wire__planner_answer__free_unpacked(answer, NULL);
	planner_files_finish(&files);
	if (r == 0)
		r = planners_done(err);
	if (r < 0 || *ret_profile)
		return r;
	(void)!no_answer(err, "has no profile");
	return -EPROTO;
}

/* ---- its ceilings ---- */

static const struct source_file *find_file(const struct profile *profile, const char *real)
{
	const struct source_file *file = profile->sources;

	while (file && strcmp(file->real, real) != 0)
		file = file->next;
	return file;
}

/* Between two readings its operator may have written another one. */
static int check_same_files(
	const struct profile *ceiling, const struct profile *profile, struct error *err)
{
	for (const struct source_file *file = ceiling->sources; file; file = file->next) {
		const struct source_file *then = find_file(profile, file->real);

		if (!then)
			return no_answer(err, "leaves out a file of a ceiling");
		if (then->length != file->length ||
			memcmp(then->data, file->data, file->length) != 0)
			return error_set(err, -EAGAIN, ERROR_REFUSED,
				"the ceiling %s was changed while the run was prepared; start it "
				"again",
				file->name);
	}
	return 0;
}

/* Each by itself: what somebody else wrote was in no process that reads it. */
static int load_ceilings(const struct profile_request *request, const struct profile *profile,
	struct profile *ceilings[PLANNED_CEILINGS_MAX], size_t *ret_count, struct error *err)
{
	struct profile_request each = *request;
	autotext struct text said = {0};
	int r = 0;

	each.ceilings = NULL;
	each.as_ceiling = true;
	for (*ret_count = 0; r == 0 && request->ceilings && request->ceilings[*ret_count];
		++*ret_count) {
		if (*ret_count == PLANNED_CEILINGS_MAX)
			return error_set(err, -E2BIG, ERROR_INTERNAL, "too many ceilings");
		each.profile = request->ceilings[*ret_count];
		r = load(&each, &ceilings[*ret_count], &said, err);
		if (r == 0)
			r = check_same_files(ceilings[*ret_count], profile, err);
	}
	return r;
}

static int check_ceilings(
	const struct profile_request *request, const struct profile *profile, struct error *err)
{
	struct profile *ceilings[PLANNED_CEILINGS_MAX] = {NULL};
	autoarena struct arena arena = {0};
	const char *wrong = NULL;
	size_t count;
	int r = load_ceilings(request, profile, ceilings, &count, err);

	if (r == 0 && ceilings_hold(profile, (const struct profile *const *)ceilings, count, &arena,
			      &wrong) < 0)
		r = error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (r == 0 && wrong)
		r = no_answer(err, wrong);
	for (size_t i = 0; i < PLANNED_CEILINGS_MAX; i++)
		profile_destroy(ceilings[i]);
	return r;
}

int planned_load(const struct profile_request *request, struct profile **ret_profile,
	struct text *diagnostics, struct error *err)
{
	autoprofile struct profile *profile = NULL;
	int r = load(request, &profile, diagnostics, err);

	if (r == 0)
		r = check_ceilings(request, profile, err);
	if (r == 0)
		*ret_profile = take_ptr(&profile);
	return r;
}

/* ---- a plan ---- */

static void fill(const struct plan_request *request, Berm__Wire__PlannerCompile *compile)
{
	compile->argv = strings_of(request->argv, &compile->n_argv);
	compile->has_argv = request->argv != NULL;
	compile->home = or_empty(request->home);
	compile->working_directory = or_empty(request->working_directory);
	compile->working_directory_explicit = request->working_directory_explicit;
	compile->environment = strings_of(request->environment, &compile->n_environment);
	compile->env_extra = strings_of(request->env_extra, &compile->n_env_extra);
	compile->wall_time_ms = request->wall_time_ms;
	compile->allow_degraded = strings_of(request->allow_degraded, &compile->n_allow_degraded);
	compile->run_id = or_empty(request->run_id);
	compile->trace_denials = request->trace_denials;
	compile->agent = (Berm__Wire__Agent *)(uintptr_t)request->agent;
}

int planned_compile(const struct profile *profile, const Berm__Wire__HostFacts *facts,
	const struct plan_request *request, Berm__Wire__Plan **ret_plan, struct text *notes,
	struct error *err)
{
	Berm__Wire__PlannerAnswer *answer = NULL;
	Berm__Wire__PlannerCompile compile;
	Berm__Wire__PlannerOrder order;
	autotext struct text image = {0};
	int r;

	profile_image_write(profile, &image);
	if (image.failed)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	berm__wire__planner_order__init(&order);
	berm__wire__planner_compile__init(&compile);
	order.version = PLANNER_VERSION;
	order.compile = &compile;
	compile.profile = (ProtobufCBinaryData){image.length, (uint8_t *)image.data};
	compile.facts = (Berm__Wire__HostFacts *)(uintptr_t)facts;
	fill(request, &compile);
	r = ask(&order, NULL, notes, &answer, err);
	if (r < 0 || !answer)
		return r;
	r = answer->plan ? plan_guard(answer->plan, profile, facts, request, err)
			 : no_answer(err, "has no plan");
	if (r < 0)
		planners_end();
	else
		*ret_plan = take_ptr(&answer->plan);
	berm__wire__planner_answer__free_unpacked(answer, NULL);
	return r;
}
