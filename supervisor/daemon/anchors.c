/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/anchors.h"

#include "daemon/anchored-once.h"
#include "daemon/operator-file.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

enum place { PLACE_DIRECTORY, PLACE_COMMAND, PLACE_COUNT };
static_assert(PLACE_COUNT == ANCHORS_MAX, "what is known of each");

/* A kind, the words of a command, and NULL. */
#define ANCHORS_WORDS (OPERATOR_COMMAND_MAX + 2)

void anchors_init(struct anchors *anchors, const struct recorder_file *file)
{
	*anchors = (struct anchors){.file = file,
		.dir_fd = -1,
		.key_dir = -1,
		.directory = {.storage = &storage_system, .dir = -1},
		.starter = {.fd = -1}};
}

void anchors_finish(struct anchors *anchors)
{
	own_close(&anchors->dir_fd);
}

/* 1: it is there; 0: nobody named it. */
static int reach(struct anchors *a, enum place place, struct anchor *ret_anchor, struct error *err)
{
	switch (place) {
	case PLACE_DIRECTORY:
		if (!a->file->anchor_directory)
			return 0;
		if (a->dir_fd < 0)
			a->dir_fd =
				open(a->file->anchor_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (a->dir_fd < 0)
			return error_errno(
				err, "the anchor's directory %s", a->file->anchor_directory);
		a->directory.dir = a->dir_fd;
		*ret_anchor = anchor_directory(&a->directory);
		return 1;
	case PLACE_COMMAND:
		if (!a->file->anchor_command)
			return 0;
		a->command.argv = a->file->anchor_command;
		*ret_anchor = a->starter.fd < 0 ? anchor_command(&a->command)
						: starter_anchor(&a->starter);
		return 1;
	case PLACE_COUNT:
		break;
	}
	return 0;
}

/* The words that make out a place, for anchored-once.h. */
static void name_place(
	const struct anchors *a, enum place place, const char *ret_words[ANCHORS_WORDS])
{
	switch (place) {
	case PLACE_DIRECTORY:
		ret_words[0] = "directory";
		ret_words[1] = a->file->anchor_directory;
		break;
	case PLACE_COMMAND:
		ret_words[0] = "command";
		for (unsigned i = 0; a->file->anchor_command[i]; i++)
			ret_words[i + 1] = a->file->anchor_command[i];
		break;
	case PLACE_COUNT:
		break;
	}
}

static int was_anchored(const struct anchors *a, enum place place,
	const uint8_t log_id[LOG_ID_BYTES], struct error *err)
{
	const char *words[ANCHORS_WORDS] = {0};

	name_place(a, place, words);
	return a->key_dir < 0 ? 0 : anchored_was(a->key_dir, log_id, words, err);
}

static int note(const struct anchors *a, enum place place, const uint8_t log_id[LOG_ID_BYTES],
	struct error *err)
{
	const char *words[ANCHORS_WORDS] = {0};

	name_place(a, place, words);
	return a->key_dir < 0 ? 0 : anchored_note(a->key_dir, log_id, words, err);
}

/* A place that has no head of this log: -ENOENT where it never had one. */
static int why_none(
	struct anchors *a, enum place place, const uint8_t log_id[LOG_ID_BYTES], struct error *err)
{
	struct error why = {0};
	int r = was_anchored(a, place, log_id, &why);

	if (r == 0)
		return -ENOENT;
	if (r < 0) {
		*err = why;
		return r;
	}
	if (place == PLACE_COMMAND)
		return error_set(err, -ENOMEDIUM, ERROR_REFUSED,
			"the anchor's command %s has no head of this log any more",
			a->file->anchor_command[0]);
	/* What is mounted there later is another directory. */
	own_close(&a->dir_fd);
	a->directory = (struct anchor_directory){.storage = &storage_system, .dir = -1};
	return error_set(err, -ENOMEDIUM, ERROR_REFUSED,
		"the anchor's directory %s has no head of this log any more: is it mounted?",
		a->file->anchor_directory);
}

/* What one place knows. 1: *ret_head; 0: nobody named the place; -ENOENT: nothing was ever anchored
 * there. */
static int look(struct anchors *a, enum place place, const uint8_t log_id[LOG_ID_BYTES],
	struct log_head *ret_head, struct error *err)
{
	struct error ignored = {0};
	struct anchor anchor = {0};
	int r = reach(a, place, &anchor, err);

	/* A directory that is not there is no place that knows nothing. */
	if (r == -ENOENT)
		r = err->code = -ENOTDIR;
	if (r <= 0 || !anchor.latest)
		return r;
	r = anchor.latest(anchor.context, log_id, ret_head, err);
	if (r == -ENOENT)
		r = why_none(a, place, log_id, err);
	/* publish() tells where that could not be kept. */
	if (r == 0)
		(void)!note(a, place, log_id, &ignored);
	a->is_fit[place] = r == 0 || r == -ENOENT;
	return r < 0 ? r : 1;
}

static int publish_to(
	struct anchors *a, enum place place, const struct log_head *head, struct error *err)
{
	struct anchor anchor = {0};
	struct log_head found;
	int r;

	/* Not into the directory beneath, where the one with the heads is not mounted. */
	if (!a->is_fit[place] && look(a, place, head->log_id, &found, err) == -ENOMEDIUM)
		return err->code;
	r = reach(a, place, &anchor, err);
	if (r <= 0 || !anchor.publish)
		return r;
	r = anchor.publish(anchor.context, head, err);
	return r < 0 ? r : note(a, place, head->log_id, err);
}

static int publish(void *context, const struct log_head *head, struct error *err)
{
	struct anchors *a = context;
	struct error first = {0};

	for (unsigned i = 0; i < PLACE_COUNT; i++) {
		struct error why = {0};
		int r = publish_to(a, (enum place)i, head, &why);

		if (r < 0 && (!first.code || (r == -ESTALE && first.code != -ESTALE)))
			first = why;
	}
	return first.code ? error_set(err, first.code, first.kind, "%s", first.text) : 0;
}

/* What one place says beside what is known so far. */
static int consider(const struct log_head *found, struct log_head *best, struct error *err)
{
	if (found->sequence == best->sequence &&
		(found->segment != best->segment ||
			memcmp(found->hash, best->hash, sizeof(best->hash)) != 0))
		return error_set(err, -EBADMSG, ERROR_REFUSED,
			"the anchor's directory and command have different heads of record %llu",
			(unsigned long long)found->sequence);
	if (found->sequence > best->sequence)
		*best = *found;
	return 0;
}

static int latest(void *context, const uint8_t log_id[LOG_ID_BYTES], struct log_head *ret_head,
	struct error *err)
{
	struct anchors *a = context;
	struct log_head best = {0};
	struct error failure = {0}, none = {0};
	bool known = false;

	for (unsigned i = 0; i < PLACE_COUNT; i++) {
		struct log_head found = {0};
		struct error why = {0};
		int r = look(a, (enum place)i, log_id, &found, &why);

		if (r == 0)
			continue;
		if (r == -ENOENT)
			none = why;
		else if (r < 0)
			failure = why;
		else if (known && consider(&found, &best, err) < 0)
			return -EBADMSG;
		else if (!known)
			best = found;
		known |= r > 0;
	}
	if (failure.code && (a->all || !known))
		return error_set(err, failure.code, failure.kind, "%s", failure.text);
	if (!known)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "%s",
			none.code ? none.text : "no place is named for heads of the log");
	*ret_head = best;
	return 0;
}

struct anchor anchors_anchor(struct anchors *anchors)
{
	return (struct anchor){.publish = publish, .latest = latest, .context = anchors};
}
