/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-denial.h"

#include "base/json.h"
#include "daemon/session.h"
#include "policy/decide.h"

#include <limits.h>
#include <string.h>

/* The object as a string: what decide() takes. Longer ones, and those with a NUL, are no object. */
static bool object_of(const Berm__Wire__Denial *denial, char ret_object[PATH_MAX])
{
	if (!denial->has_target || denial->target.len >= PATH_MAX ||
		memchr(denial->target.data, '\0', denial->target.len))
		return false;
	memcpy(ret_object, denial->target.data, denial->target.len);
	ret_object[denial->target.len] = '\0';
	return true;
}

static void decide_again(
	const struct profile *profile, const Berm__Wire__Denial *denial, struct advice *advice)
{
	enum operation operation = operation_from_name(denial->operation ? denial->operation : "");
	char object[PATH_MAX];
	struct verdict verdict;

	if (operation == OPERATION_COUNT || !object_of(denial, object))
		return;
	decide(profile, operation, object, &verdict);
	advice->allowed = verdict.decision == DECISION_ALLOW;
	advice->keep_denied = verdict.keep_denied;
	snprintf(advice->hint, sizeof(advice->hint), "%s", verdict.hint);
	if (verdict.reason)
		snprintf(advice->reason, sizeof(advice->reason), "%s", verdict.reason);
}

/* The working directory of the run, which ${WORKDIR} was; NULL where it is not known. */
static char *directory_of(const struct refusal *refusal)
{
	const Berm__Wire__RunStart *start = refusal->start ? refusal->start->run_start : NULL;

	if (!start || !start->has_working_directory || start->working_directory.len == 0)
		return NULL;
	return strndup((const char *)start->working_directory.data, start->working_directory.len);
}

/* A relative path of the log begins where the run did. */
static char *path_of_rule(const struct refusal *refusal)
{
	autofree char *directory = directory_of(refusal);
	const char *file = refusal->rule_file;
	char *path = NULL;

	if (file[0] == '/')
		return strdup(file);
	if (file[0] == '\0' || !directory || asprintf(&path, "%s/%s", directory, file) < 0)
		return NULL;
	return path;
}

/* A rule's file can also be one that the profile extends: that is not the profile. */
static bool is_named_so(const struct refusal *refusal, const struct profile *profile)
{
	const char *name = refusal->start ? refusal->start->run_start->profile : NULL;

	return name && strcmp(name, profile->name) == 0;
}

/* Take the advice from this profile. certain: it was named, or is where the run's was, so that it
 * counts also where it has another name. True where it is the very one that the run had. */
static bool try_profile(const struct explain_words *words, const struct refusal *refusal,
	const char *profile, bool certain, struct advice *advice)
{
	autofree char *directory = directory_of(refusal);
	struct session_request request = {
		.profile = profile, .directory = directory, .state_dir = words->request.state_dir};
	const Berm__Wire__Record *record = refusal->first;
	autosession struct session session = {0};
	struct error err = {0};
	struct advice found = {0};
	bool same;

	if (directory && access(directory, X_OK) < 0)
		request.directory = NULL;
	if (session_load(&request, &session, &err) < 0) {
		if (advice->state == ADVICE_NONE && advice->file[0] == '\0')
			snprintf(advice->file, sizeof(advice->file), "%s; --profile names it",
				err.text);
		return false;
	}
	same = record->has_profile_digest &&
	       record->profile_digest.len == sizeof(session.profile->digest) &&
	       memcmp(record->profile_digest.data, session.profile->digest,
		       sizeof(session.profile->digest)) == 0;
	if (!same && (advice->state != ADVICE_NONE ||
			     (!certain && !is_named_so(refusal, session.profile))))
		return false;
	found.state = same ? ADVICE_SAME : ADVICE_CHANGED;
	snprintf(found.file, sizeof(found.file), "%s", session.profile->file);
	decide_again(session.profile, record->denial, &found);
	*advice = found;
	return same;
}

/* The log has the path of the profile; older ones only its name and the file of the rule, of which
 * one leads to the profile, or to one that was changed since. */
void explain_advise(
	const struct explain_words *words, const struct refusal *refusal, struct advice *ret_advice)
{
	const Berm__Wire__RunStart *start = refusal->start ? refusal->start->run_start : NULL;
	autofree char *recorded = words->profile ? NULL : explain_profile_path(refusal);
	autofree char *of_rule = words->profile ? NULL : path_of_rule(refusal);
	const char *const candidates[] = {words->profile, recorded,
		!words->profile && start ? start->profile : NULL, of_rule};
	struct advice advice = {.state = ADVICE_NONE};

	for (size_t i = 0; i < array_size(candidates); i++)
		if (candidates[i] && try_profile(words, refusal, candidates[i], i < 2, &advice))
			break;
	if (advice.state == ADVICE_NONE && advice.file[0] == '\0')
		snprintf(advice.file, sizeof(advice.file),
			"the log does not say where it is; --profile names it");
	*ret_advice = advice;
}
