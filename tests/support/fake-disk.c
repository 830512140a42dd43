/* SPDX-License-Identifier: Apache-2.0 */
#include "fake-disk-internal.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

/* What the call that is about to happen answers: 0 where it goes on. */
static int before(struct fake_disk *disk)
{
	bool hit;

	disk->calls++;
	switch (disk->fault) {
	case FAKE_FAULT_NONE:
		return 0;
	case FAKE_FAULT_ONCE:
		hit = disk->calls == disk->fault_call;
		return hit ? -disk->error : 0;
	case FAKE_FAULT_FROM:
		hit = disk->calls >= disk->fault_call;
		return hit ? -disk->error : 0;
	case FAKE_FAULT_POWER:
		return disk->calls >= disk->fault_call ? -EIO : 0;
	}
	return 0;
}

static struct file *file_of(struct fake_disk *disk, int handle)
{
	assert(handle >= 0 && handle < HANDLES_MAX && disk->handles[handle] > 0);
	return &disk->files[disk->handles[handle] - 1];
}

static int new_file(struct fake_disk *disk, unsigned mode)
{
	struct file *file = &disk->files[disk->file_count];

	assert(disk->file_count < FILES_MAX);
	*file = (struct file){.mode = mode};
	file->last = &file->first;
	return (int)disk->file_count++;
}

static int fake_open(void *context, int dir, const char *name, int flags, unsigned mode)
{
	struct fake_disk *disk = context;
	struct directory *d = &disk->directories[dir];
	struct name *found = fake_find(d->seen, d->seen_count, name);
	int r = flags & O_CREAT ? before(disk) : 0, file;

	if (r < 0)
		return r;
	if (!found && !(flags & O_CREAT))
		return -ENOENT;
	if (found && (flags & O_EXCL))
		return -EEXIST;
	file = found ? found->file : new_file(disk, mode);
	if (!found)
		fake_change_name(d, name, file);
	if (found && (flags & O_TRUNC) && disk->files[file].seen.size > 0) {
		fake_note_change(&disk->files[file], true, 0, NULL, 0);
		fake_image_resize(&disk->files[file].seen, 0);
		disk->files[file].reserved = 0;
	}
	for (int i = 0; i < HANDLES_MAX; i++)
		if (!disk->handles[i]) {
			disk->handles[i] = file + 1;
			disk->locks[i] = false;
			return i;
		}
	return -EMFILE;
}

static void fake_close(void *context, int handle)
{
	struct fake_disk *disk = context;

	if (disk->locks[handle])
		file_of(disk, handle)->locked = false;
	disk->locks[handle] = false;
	disk->handles[handle] = 0;
}

static unsigned links_of(const struct fake_disk *disk, const struct file *file)
{
	unsigned links = 0;

	for (unsigned i = 0; i < FAKE_DIRECTORIES; i++)
		for (unsigned n = 0; n < disk->directories[i].seen_count; n++)
			links += disk->directories[i].seen[n].file == file - disk->files;
	return links;
}

static int fake_stat(void *context, int handle, struct storage_stat *ret_stat)
{
	struct file *file = file_of(context, handle);

	*ret_stat = (struct storage_stat){.size = file->seen.size,
		.mode = file->mode,
		.uid = geteuid(),
		.links = links_of(context, file)};
	return 0;
}

static ssize_t fake_read(void *context, int handle, void *data, size_t length, uint64_t offset)
{
	struct file *file = file_of(context, handle);
	uint64_t there = offset < file->seen.size ? file->seen.size - offset : 0;

	if (length > there)
		length = there;
	if (length)
		memcpy(data, file->seen.bytes + offset, length);
	return (ssize_t)length;
}

uint64_t fake_disk_allocated(const struct fake_disk *disk)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < disk->file_count; i++) {
		const struct file *file = &disk->files[i];

		sum += file->seen.size > file->reserved ? file->seen.size : file->reserved;
	}
	return sum;
}

static bool has_room(const struct fake_disk *disk, const struct file *file, uint64_t end)
{
	uint64_t held = file->seen.size > file->reserved ? file->seen.size : file->reserved;

	return !disk->limit || end <= held || fake_disk_allocated(disk) + end - held <= disk->limit;
}

static int fake_write(void *context, int handle, const void *data, size_t length, uint64_t offset)
{
	struct fake_disk *disk = context;
	struct file *file = file_of(disk, handle);
	int r = before(disk);

	if (r < 0)
		return r;
	if (!has_room(disk, file, offset + length))
		return -ENOSPC;
	fake_note_change(file, false, offset, data, length);
	fake_image_write(&file->seen, offset, data, length);
	return 0;
}

static int fake_sync(void *context, int handle)
{
	struct fake_disk *disk = context;
	struct file *file = file_of(disk, handle);
	int r = before(disk);

	/* Without power nothing is forgotten yet: the crash decides what has arrived. */
	if (r < 0 && disk->fault == FAKE_FAULT_POWER)
		return r;
	/* As Linux: after a failure the pages count as clean, and what they hold is only seen. */
	for (struct change *c = r == 0 ? file->first : NULL; c; c = c->next) {
		if (c->is_truncate)
			fake_image_resize(&file->durable, c->offset);
		else
			fake_image_write(&file->durable, c->offset, c->bytes, c->length);
	}
	fake_forget_changes(file);
	return r;
}

static int fake_sync_dir(void *context, int dir)
{
	struct fake_disk *disk = context;
	struct directory *d = &disk->directories[dir];
	int r = before(disk);

	if (r == 0)
		fake_settle_names(d, d->pending_count);
	return r;
}

static int fake_rename(void *context, int dir, const char *from, const char *to)
{
	struct fake_disk *disk = context;
	struct directory *d = &disk->directories[dir];
	struct name *found = fake_find(d->seen, d->seen_count, from);
	int r = before(disk), file;

	if (r < 0)
		return r;
	if (!found)
		return -ENOENT;
	file = found->file;
	/* The new name first: a crash in between leaves both, never none. */
	fake_change_name(d, to, file);
	fake_change_name(d, from, -1);
	return 0;
}

static int fake_remove(void *context, int dir, const char *name)
{
	struct fake_disk *disk = context;
	struct directory *d = &disk->directories[dir];
	int r = before(disk);

	if (r < 0)
		return r;
	if (!fake_find(d->seen, d->seen_count, name))
		return -ENOENT;
	fake_change_name(d, name, -1);
	return 0;
}

static int fake_truncate(void *context, int handle, uint64_t size)
{
	struct fake_disk *disk = context;
	struct file *file = file_of(disk, handle);
	int r = before(disk);

	if (r < 0)
		return r;
	fake_note_change(file, true, size, NULL, 0);
	fake_image_resize(&file->seen, size);
	file->reserved = 0;
	return 0;
}

static int fake_reserve(void *context, int handle, uint64_t offset, uint64_t length)
{
	struct fake_disk *disk = context;
	struct file *file = file_of(disk, handle);
	int r = before(disk);

	if (r < 0)
		return r;
	if (!has_room(disk, file, offset + length))
		return -ENOSPC;
	if (offset + length > file->reserved)
		file->reserved = offset + length;
	return 0;
}

static int fake_lock(void *context, int handle)
{
	struct fake_disk *disk = context;
	struct file *file = file_of(disk, handle);

	if (file->locked)
		return -EWOULDBLOCK;
	file->locked = disk->locks[handle] = true;
	return 0;
}

static int fake_is_locked(void *context, int handle)
{
	return file_of(context, handle)->locked;
}

static int fake_list(void *context, int dir, int (*each)(void *data, const char *name), void *data)
{
	struct fake_disk *disk = context;
	struct directory *d = &disk->directories[dir];
	int r = 0;

	for (unsigned i = 0; i < d->seen_count && r == 0; i++)
		if (d->seen[i].file >= 0)
			r = each(data, d->seen[i].name);
	return r;
}

static const struct storage_ops fake_ops = {
	.open = fake_open,
	.close = fake_close,
	.stat = fake_stat,
	.read = fake_read,
	.write = fake_write,
	.sync = fake_sync,
	.sync_dir = fake_sync_dir,
	.rename = fake_rename,
	.remove = fake_remove,
	.truncate = fake_truncate,
	.reserve = fake_reserve,
	.lock = fake_lock,
	.is_locked = fake_is_locked,
	.list = fake_list,
};

struct fake_disk *fake_disk_create(void)
{
	struct fake_disk *disk = __libc_calloc(1, sizeof(*disk));

	assert(disk);
	disk->files = __libc_calloc(FILES_MAX, sizeof(*disk->files));
	disk->directories = __libc_calloc(FAKE_DIRECTORIES, sizeof(*disk->directories));
	assert(disk->files && disk->directories);
	disk->storage = (struct storage){.ops = &fake_ops, .context = disk};
	return disk;
}

void fake_disk_destroy(struct fake_disk *disk)
{
	for (unsigned i = 0; i < disk->file_count; i++) {
		fake_forget_changes(&disk->files[i]);
		__libc_free(disk->files[i].seen.bytes);
		__libc_free(disk->files[i].durable.bytes);
	}
	__libc_free(disk->files);
	__libc_free(disk->directories);
	__libc_free(disk);
}

const struct storage *fake_disk_storage(struct fake_disk *disk)
{
	return &disk->storage;
}

void fake_disk_fault(struct fake_disk *disk, enum fake_fault fault, unsigned call, int error)
{
	disk->fault = fault;
	disk->fault_call = call;
	disk->error = error;
	disk->calls = 0;
}

unsigned fake_disk_calls(const struct fake_disk *disk)
{
	return disk->calls;
}

void fake_disk_limit(struct fake_disk *disk, uint64_t bytes)
{
	disk->limit = bytes;
}

uint8_t *fake_disk_bytes(struct fake_disk *disk, int dir, const char *name, uint64_t *ret_size)
{
	struct directory *d = &disk->directories[dir];
	struct name *found = fake_find(d->seen, d->seen_count, name);

	if (!found)
		return NULL;
	*ret_size = disk->files[found->file].seen.size;
	return disk->files[found->file].seen.bytes;
}

void fake_disk_put(
	struct fake_disk *disk, int dir, const char *name, const void *bytes, uint64_t size)
{
	struct directory *d = &disk->directories[dir];
	struct name *found = fake_find(d->seen, d->seen_count, name);
	struct file *file;
	int number = found ? found->file : new_file(disk, 0640);

	if (!found)
		fake_change_name(d, name, number);
	fake_settle_names(d, d->pending_count);
	file = &disk->files[number];
	fake_forget_changes(file);
	file->seen.size = 0;
	fake_image_write(&file->seen, 0, bytes, size);
	fake_image_copy(&file->durable, &file->seen);
}

void fake_disk_drop(struct fake_disk *disk, int dir, const char *name)
{
	struct directory *d = &disk->directories[dir];

	fake_change_name(d, name, -1);
	fake_settle_names(d, d->pending_count);
}

struct fake_disk *fake_disk_copy(const struct fake_disk *disk)
{
	struct fake_disk *copy = fake_disk_create();

	for (unsigned i = 0; i < FAKE_DIRECTORIES; i++) {
		struct directory *d = &disk->directories[i];

		for (unsigned j = 0; j < d->seen_count; j++) {
			const struct name *name = &d->seen[j];
			const struct file *file = &disk->files[name->file < 0 ? 0 : name->file];

			if (name->file < 0)
				continue;
			fake_disk_put(copy, (int)i, name->name, file->seen.bytes, file->seen.size);
			copy->files[copy->file_count - 1].mode = file->mode;
		}
	}
	return copy;
}
