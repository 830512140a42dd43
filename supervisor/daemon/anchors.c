/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/anchors.h"

#include <fcntl.h>
#include <string.h>

enum place { PLACE_DIRECTORY, PLACE_COMMAND, PLACE_COUNT };

void anchors_init(struct anchors *anchors, const struct recorder_file *file)
{
	*anchors = (struct anchors){
		.file = file, .dir_fd = -1, .directory = {.storage = &storage_system, .dir = -1}};
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
		*ret_anchor = anchor_command(&a->command);
		return 1;
	case PLACE_COUNT:
		break;
	}
	return 0;
}

static int publish(void *context, const struct log_head *head, struct error *err)
{
	struct anchors *a = context;
	struct error first = {0};

	for (unsigned i = 0; i < PLACE_COUNT; i++) {
		struct anchor anchor = {0};
		struct error why = {0};
		int r = reach(a, (enum place)i, &anchor, &why);

		if (anchor.publish)
			r = anchor.publish(anchor.context, head, &why);
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
		struct anchor anchor = {0};
		struct log_head found = {0};
		struct error why = {0};
		int r = reach(a, (enum place)i, &anchor, &why);

		if (r == 0)
			continue;
		if (anchor.latest)
			r = anchor.latest(anchor.context, log_id, &found, &why);
		/* A directory that is not there is no place that knows nothing. */
		if (r == -ENOENT && anchor.context)
			none = why;
		else if (r < 0)
			failure = why;
		else if (known && consider(&found, &best, err) < 0)
			return -EBADMSG;
		else if (!known)
			best = found;
		known |= r == 0;
	}
	if (failure.code && (a->all || !known)) {
		/* -ENOENT would say that nothing was ever anchored. */
		if (failure.code == -ENOENT)
			failure.code = -ENOTDIR;
		return error_set(err, failure.code, failure.kind, "%s", failure.text);
	}
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
