/* SPDX-License-Identifier: Apache-2.0 */
#include "record/anchor.h"

#include "base/failpoint.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>

#define NAME_BYTES (LOG_ID_BYTES * 2 + sizeof(".head"))

static void head_name(const uint8_t log_id[LOG_ID_BYTES], char ret_name[NAME_BYTES])
{
	char id[LOG_ID_BYTES * 2 + 1];

	snprintf(ret_name, NAME_BYTES, "%s.head",
		sodium_bin2hex(id, sizeof(id), log_id, LOG_ID_BYTES));
}

static int read_head(const struct anchor_directory *d, const uint8_t log_id[LOG_ID_BYTES],
	struct log_head *ret_head, struct error *err)
{
	const struct storage *s = d->storage;
	char name[NAME_BYTES], line[LOG_LINE_BYTES];
	struct log_head head;
	ssize_t length;
	int file, r;

	head_name(log_id, name);
	file = s->ops->open(s->context, d->dir, name, O_RDONLY, 0);
	if (file < 0)
		return error_set(
			err, file, ERROR_INTERNAL, "open the anchor %s: %s", name, strerror(-file));
	length = s->ops->read(s->context, file, line, sizeof(line), 0);
	s->ops->close(s->context, file);
	if (length < 0)
		return error_set(err, (int)length, ERROR_INTERNAL, "read the anchor %s: %s", name,
			strerror((int)-length));
	r = log_head_parse(line, (size_t)length, &head, err);
	if (r < 0)
		return error_wrap(err, "the anchor %s", name);
	if (memcmp(head.log_id, log_id, LOG_ID_BYTES) != 0)
		return error_set(
			err, -EBADMSG, ERROR_INPUT, "the anchor %s is of another log", name);
	*ret_head = head;
	return 0;
}

static int directory_latest(void *context, const uint8_t log_id[LOG_ID_BYTES],
	struct log_head *ret_head, struct error *err)
{
	struct anchor_directory *d = context;
	struct log_head head = {0};
	int r = read_head(d, log_id, &head, err);

	d->has_looked = r == 0 || r == -ENOENT;
	d->seen[0] = d->seen[1] = head;
	if (r == 0)
		*ret_head = head;
	return r;
}

static bool is_same(const struct log_head *a, const struct log_head *b)
{
	return a->segment == b->segment && a->sequence == b->sequence &&
	       memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static int directory_publish(void *context, const struct log_head *head, struct error *err)
{
	struct anchor_directory *d = context;
	char name[NAME_BYTES], line[LOG_LINE_BYTES];
	struct log_head before = {0};
	int r = read_head(d, head->log_id, &before, err);

	if (r < 0 && r != -ENOENT)
		return r;
	head_name(head->log_id, name);
	if (r == 0 && before.sequence > head->sequence)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"the anchor %s is ahead of the log: record %llu, not %llu", name,
			(unsigned long long)before.sequence, (unsigned long long)head->sequence);
	if (r == 0 && !is_same(&before, head) &&
		(before.sequence == head->sequence ||
			(d->has_looked && !is_same(&before, &d->seen[0]) &&
				!is_same(&before, &d->seen[1]))))
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"the anchor %s was moved by somebody else, to record %llu", name,
			(unsigned long long)before.sequence);
	d->seen[0] = r == 0 ? before : *head;
	d->seen[1] = *head;
	d->has_looked = true;
	log_head_format(head, line);
	failpoint("anchor.publishing");
	r = storage_replace(d->storage, d->dir, name, 0644, line, strlen(line));
	failpoint("anchor.published");
	if (r < 0)
		return error_set(
			err, r, ERROR_INTERNAL, "write the anchor %s: %s", name, strerror(-r));
	return 0;
}

struct anchor anchor_directory(struct anchor_directory *directory)
{
	return (struct anchor){
		.publish = directory_publish, .latest = directory_latest, .context = directory};
}
