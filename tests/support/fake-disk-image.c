/* SPDX-License-Identifier: Apache-2.0 */
#include "fake-disk-internal.h"

#include "random.h"

#include <assert.h>
#include <string.h>

void fake_image_resize(struct image *image, uint64_t size)
{
	if (size > image->capacity) {
		image->capacity = size * 2;
		image->bytes = __libc_realloc(image->bytes, image->capacity);
		assert(image->bytes);
	}
	if (size > image->size)
		memset(image->bytes + image->size, 0, size - image->size);
	image->size = size;
}

void fake_image_write(struct image *image, uint64_t offset, const void *bytes, uint64_t length)
{
	if (offset + length > image->size)
		fake_image_resize(image, offset + length);
	if (length)
		memcpy(image->bytes + offset, bytes, length);
}

void fake_image_copy(struct image *to, const struct image *from)
{
	to->size = 0;
	fake_image_write(to, 0, from->bytes, from->size);
	to->size = from->size;
}

void fake_forget_changes(struct file *file)
{
	while (file->first) {
		struct change *change = file->first;

		file->first = change->next;
		__libc_free(change->bytes);
		__libc_free(change);
	}
	file->last = &file->first;
}

void fake_note_change(
	struct file *file, bool is_truncate, uint64_t offset, const void *bytes, uint64_t length)
{
	struct change *change = __libc_calloc(1, sizeof(*change));

	assert(change);
	*change = (struct change){.is_truncate = is_truncate, .offset = offset, .length = length};
	if (length) {
		change->bytes = __libc_malloc(length);
		assert(change->bytes);
		memcpy(change->bytes, bytes, length);
	}
	*file->last = change;
	file->last = &change->next;
}

struct name *fake_find(struct name *names, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(names[i].name, name) == 0 && names[i].file >= 0)
			return &names[i];
	return NULL;
}

void fake_set_name(struct name *names, unsigned *count, const char *name, int file)
{
	struct name *found = fake_find(names, *count, name);

	if (found) {
		found->file = file;
		return;
	}
	for (unsigned i = 0; i < *count; i++)
		if (names[i].file < 0) {
			found = &names[i];
			break;
		}
	if (!found) {
		assert(*count < NAMES_MAX);
		found = &names[(*count)++];
	}
	snprintf(found->name, NAME_MAX_BYTES, "%s", name);
	found->file = file;
}

void fake_change_name(struct directory *d, const char *name, int file)
{
	fake_set_name(d->seen, &d->seen_count, name, file);
	assert(d->pending_count < NAMES_MAX);
	snprintf(d->pending[d->pending_count].name, NAME_MAX_BYTES, "%s", name);
	d->pending[d->pending_count++].file = file;
}

void fake_settle_names(struct directory *d, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fake_set_name(
			d->durable, &d->durable_count, d->pending[i].name, d->pending[i].file);
	d->pending_count = 0;
}

/* Some of a write: sectors by themselves, as a disk with a cache may leave them. */
static void tear(struct image *image, const struct change *change)
{
	uint64_t at = 0;

	if (change->is_truncate) {
		if (random_below(2))
			fake_image_resize(image, change->offset);
		return;
	}
	while (at < change->length) {
		uint64_t step = SECTOR - (change->offset + at) % SECTOR;

		if (step > change->length - at)
			step = change->length - at;
		if (random_below(4))
			fake_image_write(image, change->offset + at, change->bytes + at, step);
		at += step;
	}
}

static void crash_file(struct file *file, enum fake_crash crash)
{
	if (crash == FAKE_CRASH_TORN)
		for (struct change *c = file->first; c; c = c->next)
			tear(&file->durable, c);
	if (crash != FAKE_CRASH_KEEP)
		fake_image_copy(&file->seen, &file->durable);
	if (crash == FAKE_CRASH_TORN)
		fake_forget_changes(file);
	if (crash == FAKE_CRASH_LOSE)
		fake_forget_changes(file);
	file->reserved = 0;
	file->locked = false;
}

void fake_disk_crash(struct fake_disk *disk, enum fake_crash crash)
{
	for (unsigned i = 0; i < disk->file_count; i++)
		crash_file(&disk->files[i], crash);
	for (unsigned i = 0; i < FAKE_DIRECTORIES && crash != FAKE_CRASH_KEEP; i++) {
		struct directory *d = &disk->directories[i];

		fake_settle_names(
			d, crash == FAKE_CRASH_TORN ? random_below(d->pending_count + 1) : 0);
		memcpy(d->seen, d->durable, sizeof(d->seen));
		d->seen_count = d->durable_count;
	}
	memset(disk->handles, 0, sizeof(disk->handles));
	fake_disk_fault(disk, FAKE_FAULT_NONE, 0, 0);
}
