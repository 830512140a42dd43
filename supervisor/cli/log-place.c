/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-place.h"

#include "base/io.h"
#include "base/log.h"
#include "daemon/anchors.h"
#include "daemon/places.h"
#include "record/anchor.h"
#include "record/keys.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static char *beneath(const char *directory, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

int log_place_open(
	const struct log_request *request, struct log_place *ret_place, struct error *err)
{
	const struct places_request wanted = {.state_dir = request->state_dir};
	struct log_place place = {.dir = -1};
	struct places places;
	struct caller caller;
	int r;

	caller_identify(&caller);
	r = places_find(&caller, &wanted, &places, err);
	if (r < 0)
		return r;
	if (places.state) {
		place.state = strdup(places.state);
		place.path = beneath(places.state, "log");
		place.keys = beneath(places.state, "keys");
	}
	if (!places.state)
		r = error_set(err, -ENOENT, ERROR_INPUT,
			"there is no home directory to look for the log in: name it with "
			"--state-dir");
	else if (!place.state || !place.path || !place.keys)
		r = error_errno(err, "the log");
	else
		place.dir = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && place.dir < 0 && errno != ENOENT)
		r = error_errno(err, "open %s", place.path);
	else if (r == 0 && place.dir < 0 && request->state_dir &&
		 faccessat(AT_FDCWD, request->state_dir, F_OK, AT_EACCESS) < 0)
		r = error_set(err, -ENOENT, ERROR_INPUT, "there is no %s", request->state_dir);
	places_finish(&places);
	if (r < 0)
		log_place_close(&place);
	else
		*ret_place = place;
	return r;
}

void log_place_close(struct log_place *place)
{
	own_free(&place->state);
	own_free(&place->path);
	own_free(&place->keys);
	own_close(&place->dir);
}

void log_place_say_empty(const struct verb *verb, const struct log_place *place)
{
	log_line("%s: nothing was ever recorded here: there is no log in %s", verb->name,
		place->path);
}

/* True where the file lies in the log, or beneath it. */
static bool is_in_log(const struct log_place *place, const char *path)
{
	char log[PATH_MAX], file[PATH_MAX];
	size_t length;

	if (!realpath(place->path, log) || !realpath(path, file))
		return false;
	length = strlen(log);
	return strncmp(file, log, length) == 0 && file[length] == '/';
}

static int read_pin(
	const char *path, struct log_check *check, struct stat *ret_st, struct error *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	autofree char *line = NULL;
	size_t length;
	int r;

	if (fd < 0 || fstat(fd, ret_st) < 0)
		return error_errno(err, "the key %s", path);
	r = io_read_fd(fd, path, LOG_LINE_BYTES, &line, &length, err);
	if (r == 0)
		r = log_pin_parse(line, length, &check->pin, err);
	if (r < 0)
		return error_wrap(err, "the key %s", path);
	check->key_owner = ret_st->st_uid;
	check->key_path = strdup(path);
	return check->key_path ? 0 : error_errno(err, "the key");
}

static int own_key(const struct log_request *request, const struct log_place *place,
	struct log_check *check, struct error *err)
{
	struct stat st;
	int r;

	if (is_in_log(place, request->key))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"the key %s is in the log itself: who can change the log can change it; "
			"use a copy that was taken when the log began",
			request->key);
	r = read_pin(request->key, check, &st, err);
	if (r < 0)
		err->kind = ERROR_INPUT;
	check->pinned = r == 0;
	return r;
}

/* Nobody but root, who reads, or who owns the log may be able to put another key there. */
static bool is_guarded(const struct stat *st, const struct stat *log)
{
	return (st->st_uid == 0 || st->st_uid == geteuid() || st->st_uid == log->st_uid) &&
	       (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* The key that was written when the log began. */
static int default_key(const struct log_place *place, struct log_check *check, struct error *err)
{
	autofree char *path = beneath(place->keys, KEYS_PIN_FILE);
	struct stat st = {0}, dir, log;

	if (!path)
		return error_errno(err, "the key");
	if (is_in_log(place, path)) {
		error_set(err, -EINVAL, ERROR_REFUSED, "%s is in the log itself", path);
	} else if (stat(place->keys, &dir) < 0 ||
		   (place->dir >= 0 && fstat(place->dir, &log) < 0)) {
		error_errno(err, "%s", place->keys);
	} else if (read_pin(path, check, &st, err) == 0) {
		if (place->dir < 0)
			log = dir;
		check->pinned = is_guarded(&st, &log) && is_guarded(&dir, &log);
		if (check->pinned)
			return 0;
		own_free(&check->key_path);
		error_set(
			err, -EPERM, ERROR_REFUSED, "others than its owner could change %s", path);
	}
	snprintf(check->why_not, sizeof(check->why_not), "%s", err->text);
	*err = (struct error){0};
	return 0;
}

/* What was anchored, read before the log is looked at. */
static int read_anchor(
	const struct log_request *request, struct log_check *check, struct error *err)
{
	autoclose int fd = open(request->anchor, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct anchor_directory directory = {.storage = &storage_system, .dir = fd};
	struct anchor anchor = anchor_directory(&directory);
	autofree char *line = NULL;
	struct stat st;
	size_t length;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = error_errno(err, "the anchor %s", request->anchor);
	} else if (S_ISDIR(st.st_mode)) {
		r = anchor.latest(anchor.context, check->pin.log_id, &check->anchor, err);
	} else {
		r = io_read_fd(fd, request->anchor, LOG_LINE_BYTES, &line, &length, err);
		if (r == 0)
			r = log_head_parse(line, length, &check->anchor, err);
		if (r < 0)
			error_wrap(err, "the anchor %s", request->anchor);
	}
	if (r < 0)
		err->kind = ERROR_INPUT;
	check->has_anchor = r == 0;
	return r;
}

int log_check_key(const struct log_request *request, const struct log_place *place,
	struct log_check *check, struct error *err)
{
	int r = request->key ? own_key(request, place, check, err) : default_key(place, check, err);

	if (r == 0 && request->anchor && !check->pinned)
		return error_set(err, -EINVAL, ERROR_INPUT, "--anchor needs the key of the log: %s",
			check->why_not);
	return r < 0 || !request->anchor ? r : read_anchor(request, check, err);
}

/* "directory DIR and command PROGRAM". */
static char *name_places(const struct recorder_file *file)
{
	const char *directory = file->anchor_directory;
	const char *program = file->anchor_command ? file->anchor_command[0] : NULL;
	char *words = NULL;

	return asprintf(&words, "%s%s%s%s%s", directory ? "directory " : "",
		       directory ? directory : "", directory && program ? " and " : "",
		       program ? "command " : "", program ? program : "") < 0
		       ? NULL
		       : words;
}

int log_check_operators_anchor(const struct log_request *request, const struct log_place *place,
	struct log_check *check, struct error *err)
{
	autorecorderfile struct recorder_file file = {0};
	autotext struct text diagnostics = {0};
	autoanchors struct anchors places = {.dir_fd = -1};
	struct anchor anchor;
	int r;

	if (request->anchor || !check->pinned)
		return 0;
	r = recorder_file_read(place->state, geteuid(), &file, &diagnostics, err);
	if (r == -EPERM || r == -EACCES) {
		snprintf(check->anchor_not, sizeof(check->anchor_not), "%s", err->text);
		*err = (struct error){0};
		return 0;
	}
	if (r < 0 || !recorder_file_has_anchor(&file))
		return r;
	anchors_init(&places, &file);
	places.all = true;
	anchor = anchors_anchor(&places);
	r = anchor.latest(anchor.context, check->pin.log_id, &check->anchor, err);
	if (r == -ENOENT)
		err->kind = ERROR_INPUT;
	if (r < 0)
		return error_wrap(
			err, "what was anchored (--anchor names one copy of it to go by)");
	check->has_anchor = true;
	check->anchor_from = name_places(&file);
	return check->anchor_from ? 0 : error_errno(err, "the anchor");
}
