/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planner-files.h"

#include <limits.h>
#include <string.h>

#define QUESTIONS_MAX 4096
#define FILES_MAX 256

void planner_files_begin(struct planner_files *files, const struct profile_request *request)
{
	*files = (struct planner_files){.request = request, .of_operator = true};
	profile_digest_begin(&files->digest);
}

void planner_files_finish(struct planner_files *files)
{
	arena_finish(&files->arena);
}

void planner_file_free(Berm__Wire__PlannerFile *reply)
{
	free(reply->real.data);
	free(reply->data.data);
	if (reply->reason != protobuf_c_empty_string)
		free(reply->reason);
}

/* ---- paths that may be asked about ---- */

static bool ends_as_a_profile(const char *path)
{
	size_t length = strlen(path);

	return length > 5 && strcmp(path + length - 5, ".yaml") == 0;
}

/* DIR/NAME.yaml of a directory that is searched. */
static bool is_searched_for(const struct planner_files *files, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash || !ends_as_a_profile(path))
		return false;
	for (const char *const *dir = files->request->search_path; dir && *dir; dir++)
		if (strlen(*dir) == (size_t)(slash - path) &&
			strncmp(*dir, path, (size_t)(slash - path)) == 0)
			return true;
	return false;
}

static bool is_a_place(const struct planner_files *files, const char *path)
{
	const char *state = files->request->variables.state;

	for (const char *const *dir = files->request->search_path; dir && *dir; dir++)
		if (strcmp(*dir, path) == 0)
			return true;
	return state && strcmp(state, path) == 0;
}

/* The first file of each tree is the one that was named; which it extends only they say. */
static bool begins_a_tree(const struct planner_files *files, unsigned tree, const char *path)
{
	const struct profile_request *request = files->request;

	if (tree == 0)
		return strcmp(path, request->profile) == 0 || is_searched_for(files, path);
	return request->ceilings && strcmp(path, request->ceilings[tree - 1]) == 0;
}

static unsigned count_ceilings(const struct profile_request *request)
{
	unsigned count = 0;

	while (request->ceilings && request->ceilings[count])
		count++;
	return count;
}

bool planner_files_all_were_read(const struct planner_files *files)
{
	return files->trees == 1 + count_ceilings(files->request) && files->tree_files > 0 &&
	       !files->missing;
}

/* ---- reading ---- */

/* As policy/load.c has it: each once in a tree. */
static bool is_known(const struct planner_files *files, const struct source_file *file)
{
	const struct source_file *known = files->sources;

	for (unsigned i = 0; i < files->tree_files; i++, known = known->next)
		if (strcmp(known->real, file->real) == 0)
			return true;
	return false;
}

static void take_note(struct planner_files *files, struct source_file *file)
{
	if (is_known(files, file))
		return;
	file->next = files->sources;
	files->sources = file;
	files->count++;
	profile_digest_file(&files->digest, file);
	if (files->trees == 1)
		files->of_operator &= file->of_root ||
				      files->request->trusted_uid == files->request->operator_uid;
	/* What a ceiling of root's extends is root's as well. */
	if ((files->trees > 1 || files->request->as_ceiling) && files->tree_files == 0 &&
		file->of_root)
		files->trusted_uid = 0;
	files->tree_files++;
}

static int copy(ProtobufCBinaryData *to, const char *bytes, size_t length)
{
	to->data = malloc(length + 1);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, bytes, length);
	to->len = length;
	return 0;
}

static int refuse(Berm__Wire__PlannerFile *reply, int code, const struct error *why)
{
	reply->error = (uint32_t)-code;
	reply->kind = why->kind;
	reply->reason = strdup(why->text);
	return reply->reason ? 0 : -ENOMEM;
}

static int no_planner(struct error *err)
{
	return error_set(err, -EPROTO, ERROR_INTERNAL,
		"the planner asks about files that the profile has nothing to do with");
}

static int read_one(struct planner_files *files, unsigned tree, const char *path,
	Berm__Wire__PlannerFile *reply, struct error *err)
{
	struct source_file *file = NULL;
	struct error why = {0};
	bool linked = false;
	int r;

	if (tree == files->trees && tree <= count_ceilings(files->request) &&
		begins_a_tree(files, tree, path)) {
		files->missing |= tree > 0 && files->tree_files == 0;
		files->trees++;
		files->tree_files = 0;
		files->trusted_uid = files->request->trusted_uid;
	} else if (tree + 1 != files->trees || !ends_as_a_profile(path) ||
		   files->count >= FILES_MAX || files->tree_files == 0) {
		return no_planner(err);
	}
	r = profile_files_here.read(NULL, &(struct profile_wanted){path, tree, files->trusted_uid},
		&files->arena, &file, &linked, &why);
	if (r < 0 || !file)
		return r == -ENOMEM ? r : refuse(reply, r, &why);
	take_note(files, file);
	reply->yes = true;
	reply->of_root = file->of_root;
	reply->linked = linked;
	r = copy(&reply->real, file->real, strlen(file->real));
	return r < 0 ? r : copy(&reply->data, file->data, file->length);
}

static int find_place(const struct planner_files *files, const char *path,
	Berm__Wire__PlannerFile *reply, struct error *err)
{
	autofree char *real = NULL;

	if (!is_a_place(files, path))
		return no_planner(err);
	real = profile_files_here.real(NULL, path);
	reply->yes = real != NULL;
	return real ? copy(&reply->real, real, strlen(real)) : 0;
}

static int look(const struct planner_files *files, const Berm__Wire__PlannerQuestion *question,
	const char *path, Berm__Wire__PlannerFile *reply, struct error *err)
{
	bool trusted = question->want == BERM__WIRE__PLANNER_WANT__PLANNER_WANT_HAS_TRUSTED;

	if (question->want == BERM__WIRE__PLANNER_WANT__PLANNER_WANT_ABSENT) {
		if (strcmp(path, files->request->profile) != 0)
			return no_planner(err);
		reply->yes = profile_files_here.is_absent(NULL, path);
		return 0;
	}
	if (!is_searched_for(files, path))
		return no_planner(err);
	reply->yes = profile_files_here.has(NULL, path, trusted ? &files->trusted_uid : NULL);
	return 0;
}

int planner_files_answer(struct planner_files *files, const Berm__Wire__PlannerQuestion *question,
	Berm__Wire__PlannerFile *reply, struct error *err)
{
	char path[PATH_MAX];
	int r;

	berm__wire__planner_file__init(reply);
	if (++files->questions > QUESTIONS_MAX || question->path.len >= sizeof(path))
		return no_planner(err);
	memcpy(path, question->path.data, question->path.len);
	path[question->path.len] = '\0';
	if (question->want == BERM__WIRE__PLANNER_WANT__PLANNER_WANT_READ)
		r = read_one(files, question->tree, path, reply, err);
	else if (question->want == BERM__WIRE__PLANNER_WANT__PLANNER_WANT_REAL)
		r = find_place(files, path, reply, err);
	else
		r = look(files, question, path, reply, err);
	return r == -ENOMEM ? error_set(err, r, ERROR_INTERNAL, "out of memory") : r;
}
