/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planner-work.h"

#include "plan/plan.h"
#include "policy/files.h"
#include "policy/image.h"
#include "policy/load.h"

#include <string.h>

static ProtobufCBinaryData bytes_of(const char *string)
{
	return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}

static const char *or_none(const char *string)
{
	return string[0] ? string : NULL;
}

/* A list with its end, of strings that are borrowed. */
static const char **list_of(char **strings, size_t count)
{
	const char **list = calloc(count + 1, sizeof(*list));

	for (size_t i = 0; list && i < count; i++)
		list[i] = strings[i];
	return list;
}

static void take_text(struct text *text, ProtobufCBinaryData *to)
{
	to->len = text->failed ? 0 : text->length;
	to->data = (uint8_t *)text_take(text);
}

/* ---- a document ---- */

static char *copy(struct arena *arena, const ProtobufCBinaryData *bytes)
{
	return arena_copy(arena, bytes->len ? (const char *)bytes->data : "", bytes->len);
}

static int parse(const Berm__Wire__PlannerDocument *document, Berm__Wire__PlannerAnswer *answer)
{
	Berm__Wire__PlannerDiagnostics *said = answer->diagnostics;
	autoarena struct arena arena = {0};
	autotext struct text out = {0};
	struct source_file file = {.name = copy(&arena, &document->name),
		.data = copy(&arena, &document->data),
		.length = document->data.len};
	struct diagnostics d = {.out = &out, .files = &file};
	struct node *root = NULL;
	int r = file.name && file.data ? document_parse(&arena, &d, &file, &root) : -ENOMEM;

	said->errors = d.errors;
	said->warnings = d.warnings;
	said->notes = d.notes;
	take_text(&out, &said->text);
	return r == 0 ? planner_nodes_put(root, answer) : r;
}

/* ---- a profile: files are the session's ---- */

static Berm__Wire__PlannerOrder *ask(
	const int *fd, Berm__Wire__PlannerWant want, unsigned tree, const char *path)
{
	Berm__Wire__PlannerQuestion question;
	Berm__Wire__PlannerOrder *order = NULL;
	Berm__Wire__PlannerAnswer answer;
	autofree uint8_t *bytes = NULL;
	size_t length = 0;

	berm__wire__planner_answer__init(&answer);
	berm__wire__planner_question__init(&question);
	answer.version = PLANNER_VERSION;
	answer.question = &question;
	question.want = want;
	question.path = bytes_of(path);
	question.tree = tree;
	if (planner_send(*fd, &answer.base, PLANNER_MESSAGE_MAX, 0) == 0 &&
		planner_receive(*fd, PLANNER_MESSAGE_MAX, 0, &bytes, &length) == 0)
		order = planner_order_read(bytes, length);
	/* Without its session it is for nobody. */
	if (!order || !order->file)
		_exit(1);
	return order;
}

static bool yes(const int *fd, Berm__Wire__PlannerWant want, const char *path)
{
	Berm__Wire__PlannerOrder *order = ask(fd, want, 0, path);
	bool answer = order->file->yes;

	berm__wire__planner_order__free_unpacked(order, NULL);
	return answer;
}

static bool has(void *context, const char *path, const uid_t *owner)
{
	return yes(context,
		owner ? BERM__WIRE__PLANNER_WANT__PLANNER_WANT_HAS_TRUSTED
		      : BERM__WIRE__PLANNER_WANT__PLANNER_WANT_HAS,
		path);
}

static bool is_absent(void *context, const char *path)
{
	return yes(context, BERM__WIRE__PLANNER_WANT__PLANNER_WANT_ABSENT, path);
}

static char *real(void *context, const char *path)
{
	Berm__Wire__PlannerOrder *order =
		ask(context, BERM__WIRE__PLANNER_WANT__PLANNER_WANT_REAL, 0, path);
	const Berm__Wire__PlannerFile *file = order->file;
	char *answer = file->yes ? strndup((const char *)file->real.data, file->real.len) : NULL;

	berm__wire__planner_order__free_unpacked(order, NULL);
	return answer;
}

static int make_file(struct arena *arena, const char *path, const Berm__Wire__PlannerFile *from,
	struct source_file **ret_file, struct error *err)
{
	struct source_file *file = arena_alloc(arena, sizeof(*file));

	if (from->error)
		return error_set(
			err, -(int)from->error, (enum error_kind)from->kind, "%s", from->reason);
	if (file) {
		file->name = arena_string(arena, path);
		file->real = copy(arena, &from->real);
		file->data = copy(arena, &from->data);
		file->length = from->data.len;
		file->of_root = from->of_root;
		*ret_file = file;
	}
	return file && file->name && file->real && file->data
		       ? 0
		       : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

/* Whom a tree trusts the session knows better. */
static int read_file_of(void *context, const struct profile_wanted *wanted, struct arena *arena,
	struct source_file **ret_file, bool *ret_linked, struct error *err)
{
	Berm__Wire__PlannerOrder *order = ask(
		context, BERM__WIRE__PLANNER_WANT__PLANNER_WANT_READ, wanted->tree, wanted->path);
	int r = make_file(arena, wanted->path, order->file, ret_file, err);

	*ret_linked = order->file->linked;
	berm__wire__planner_order__free_unpacked(order, NULL);
	return r;
}

static int load(int fd, const Berm__Wire__PlannerLoad *from, Berm__Wire__PlannerAnswer *answer,
	struct error *err)
{
	const struct profile_files files = {&fd, has, is_absent, real, read_file_of};
	autofree const char **search = list_of(from->search_path, from->n_search_path);
	autofree const char **ceilings = list_of(from->ceilings, from->n_ceilings);
	const struct profile_request request = {.profile = from->profile,
		.search_path = search,
		.ceilings = ceilings,
		.as_ceiling = from->as_ceiling,
		.variables = {or_none(from->home), or_none(from->workdir), or_none(from->tmpdir),
			or_none(from->state), or_none(from->run_id), or_none(from->uid)},
		.files = &files,
		.operator_uid = from->operator_uid,
		.trusted_uid = from->trusted_uid};
	autoprofile struct profile *profile = NULL;
	autotext struct text said = {0}, image = {0};
	int r = search && ceilings ? profile_load(&request, &profile, &said, err) : -ENOMEM;

	take_text(&said, &answer->diagnostics->text);
	if (r < 0)
		return r;
	profile_image_write(profile, &image);
	if (image.failed || image.length > PROFILE_IMAGE_MAX)
		return error_set(err, -EFBIG, ERROR_INPUT, "the profile is too large");
	take_text(&image, &answer->profile);
	return 0;
}

/* ---- a plan ---- */

static int compile(const Berm__Wire__PlannerCompile *from, Berm__Wire__PlannerAnswer *answer,
	struct error *err)
{
	autofree const char **argv = list_of(from->argv, from->n_argv);
	autofree const char **environment = list_of(from->environment, from->n_environment);
	autofree const char **extra = list_of(from->env_extra, from->n_env_extra);
	autofree const char **degraded = list_of(from->allow_degraded, from->n_allow_degraded);
	const struct plan_request request = {.argv = from->has_argv ? argv : NULL,
		.home = or_none(from->home),
		.working_directory = or_none(from->working_directory),
		.working_directory_explicit = from->working_directory_explicit,
		.environment = environment,
		.env_extra = extra,
		.wall_time_ms = from->wall_time_ms,
		.allow_degraded = degraded,
		.run_id = or_none(from->run_id),
		.trace_denials = from->trace_denials,
		.agent = from->agent};
	autoprofile struct profile *profile = NULL;
	autotext struct text notes = {0};
	int r = argv && environment && extra && degraded ? 0 : -ENOMEM;

	if (r == 0)
		r = profile_image_read(
			from->profile.data, from->profile.len, NULL, NULL, &profile, err);
	if (r == 0 && profile && from->facts)
		r = plan_compile(profile, from->facts, &request, &answer->plan, &notes, err);
	take_text(&notes, &answer->diagnostics->text);
	return r;
}

/* ---- */

static Berm__Wire__PlannerAnswer *make_answer(void)
{
	Berm__Wire__PlannerAnswer *answer = malloc(sizeof(*answer));

	if (!answer)
		return NULL;
	berm__wire__planner_answer__init(answer);
	answer->version = PLANNER_VERSION;
	answer->diagnostics = malloc(sizeof(*answer->diagnostics));
	if (answer->diagnostics) {
		berm__wire__planner_diagnostics__init(answer->diagnostics);
		return answer;
	}
	free(answer);
	return NULL;
}

/* Nothing but the reason is left of it. */
static int make_no(Berm__Wire__PlannerAnswer *answer, int code, const struct error *why)
{
	for (size_t i = 0; i < answer->n_nodes; i++)
		berm__wire__planner_node__free_unpacked(answer->nodes[i], NULL);
	own_free(&answer->nodes);
	answer->n_nodes = 0;
	plan_destroy(answer->plan);
	answer->plan = NULL;
	answer->error = (uint32_t)-code;
	answer->kind = why->kind;
	answer->reason = strdup(why->text);
	return answer->reason ? 0 : -ENOMEM;
}

Berm__Wire__PlannerAnswer *planner_work(int fd, const Berm__Wire__PlannerOrder *order)
{
	Berm__Wire__PlannerAnswer *answer = make_answer();
	struct error err = {0};
	int r;

	if (!answer)
		return NULL;
	if (order->document)
		r = parse(order->document, answer);
	else if (order->load)
		r = load(fd, order->load, answer, &err);
	else if (order->compile)
		r = compile(order->compile, answer, &err);
	else
		r = -EPROTO;
	if (r == 0 || make_no(answer, r, &err) == 0)
		return answer;
	answer->reason = (char *)(uintptr_t)protobuf_c_empty_string;
	berm__wire__planner_answer__free_unpacked(answer, NULL);
	return NULL;
}
