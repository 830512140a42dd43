/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planned.h"

#include "daemon/plan-guard.h"
#include "daemon/planner.h"
#include "policy/image.h"

#include <string.h>

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

int planned_load(const struct profile_request *request, struct profile **ret_profile,
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
	load.operator_uid = request->operator_uid;
	load.trusted_uid = request->trusted_uid;
	planner_files_begin(&files, request);
	r = ask(&order, &files, diagnostics, &answer, err);
	if (r == 0 && answer)
		r = take_profile(&files, answer, ret_profile, err);
	if (answer)
		berm__wire__planner_answer__free_unpacked(answer, NULL);
	planner_files_finish(&files);
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
