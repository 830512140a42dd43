/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/image.h"

#include "policy/image-internal.h"
#include "policy/load.h"
#include "policy/loaded.h"

#include <string.h>

#define NO_FILE 0U
#define OTHER_FILE UINT32_MAX
#define FILES_MAX 256

void image_bytes(struct image *m, void *bytes, size_t length)
{
	if (m->out) {
		text_append(m->out, bytes, length);
	} else if (m->failed || (size_t)(m->end - m->at) < length) {
		m->failed = true;
		memset(bytes, 0, length);
	} else {
		memcpy(bytes, m->at, length);
		m->at += length;
	}
}

void image_u64(struct image *m, uint64_t *value)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(*value >> (8 * i));
	image_bytes(m, bytes, sizeof(bytes));
	if (m->out)
		return;
	*value = 0;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		*value |= (uint64_t)bytes[i] << (8 * i);
}

/* A number below `bound`, in four bytes. */
uint32_t image_below(struct image *m, uint32_t number, uint64_t bound)
{
	uint8_t bytes[4];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	image_bytes(m, bytes, sizeof(bytes));
	number = 0;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		number |= (uint32_t)bytes[i] << (8 * i);
	if (number < bound)
		return number;
	m->failed = true;
	return 0;
}

void image_bool(struct image *m, bool *value)
{
	uint8_t byte = *value;

	image_bytes(m, &byte, 1);
	m->failed |= byte > 1;
	*value = byte == 1;
}

/* How many follow: each has at least so many bytes. */
size_t image_count(struct image *m, size_t count, size_t least_bytes)
{
	size_t left = m->out ? SIZE_MAX : (size_t)(m->end - m->at) / least_bytes;

	return image_below(m, (uint32_t)count, left < UINT32_MAX ? left + 1 : UINT32_MAX);
}

static void *take_room(struct image *m, size_t count, size_t size)
{
	void *room = count && !m->failed ? arena_alloc(m->arena, count * size) : NULL;

	m->no_memory |= count && !m->failed && !room;
	m->failed |= count && !room;
	return room;
}

/* NULL has the length 0, others one more than theirs. */
void image_string(struct image *m, const char **string)
{
	size_t length = m->out && *string ? strlen(*string) + 1 : 0;
	char *copy;

	length = image_count(m, length, 1);
	if (m->out) {
		if (length)
			text_append(m->out, *string, length - 1);
		return;
	}
	*string = NULL;
	if (length == 0 || m->failed)
		return;
	copy = take_room(m, length, 1);
	if (!copy)
		return;
	image_bytes(m, copy, length - 1);
	m->failed |= strlen(copy) != length - 1;
	*string = copy;
}

void image_needed(struct image *m, const char **string)
{
	image_string(m, string);
	m->failed |= !*string;
}

static uint32_t index_of(const struct image *m, const char *file)
{
	uint32_t index = 1;

	for (const struct source_file *s = m->sources; s; s = s->next, index++)
		if (s->name == file)
			return index;
	return file ? OTHER_FILE : NO_FILE;
}

/* Of the files that it was read from it is the very pointer. */
void image_source(struct image *m, struct source *at)
{
	const struct source_file *file = m->sources;
	uint32_t index = image_below(m, m->out ? index_of(m, at->file) : 0, 1ULL << 32);

	if (index == OTHER_FILE) {
		image_needed(m, &at->file);
	} else if (!m->out) {
		for (uint32_t i = 1; i < index && file; i++)
			file = file->next;
		m->failed |= index != NO_FILE && !file;
		at->file = index != NO_FILE && file ? file->name : NULL;
	}
	at->line = image_below(m, at->line, 1ULL << 32);
	at->column = image_below(m, at->column, 1ULL << 32);
}

void image_limit(struct image *m, struct limit *limit)
{
	image_bool(m, &limit->set);
	image_u64(m, &limit->value);
	image_source(m, &limit->at);
}

/* A list of anything; elements have `least_bytes` at least. Returns where they are. */
void *image_list(struct image *m, void *items, size_t *count, size_t size, size_t least_bytes,
	void (*code)(struct image *m, void *item))
{
	*count = image_count(m, *count, least_bytes);
	/* The session adds to what it has read. */
	if (!m->out)
		items = take_room(m, arena_capacity(*count), size);
	if (!items)
		*count = 0;
	for (size_t i = 0; i < *count && !m->failed; i++)
		code(m, (char *)items + i * size);
	return items;
}

/* ---- the files ---- */

static size_t count_files(const struct source_file *file)
{
	size_t count = 0;

	for (; file; file = file->next)
		count++;
	return count;
}

/* One that is named, without its text. */
static struct source_file *make_file(struct image *m, const char *name, const char *real)
{
	struct source_file *file = take_room(m, 1, sizeof(*file));

	if (file) {
		file->name = name;
		file->real = real;
		file->data = "";
	}
	return file;
}

static void code_sources(struct image *m, const struct source_file *have)
{
	size_t count = image_count(m, m->out ? count_files(m->sources) : 0, 9);
	const struct source_file *at = m->out ? m->sources : have;
	const struct source_file **link = &m->sources;

	m->failed |= count > FILES_MAX || (have && count != count_files(have));
	for (size_t i = 0; i < count && !m->failed; i++, at = at ? at->next : NULL) {
		const char *name = at ? at->name : NULL, *real = at ? at->real : NULL;
		bool of_root = at && at->of_root;

		image_needed(m, &name);
		image_needed(m, &real);
		image_bool(m, &of_root);
		if (m->failed || m->out || !name || !real)
			continue;
		if (have && at) {
			m->failed |= strcmp(at->name, name) != 0 || strcmp(at->real, real) != 0 ||
				     at->of_root != of_root;
		} else {
			struct source_file *file = make_file(m, name, real);

			if (!file)
				return;
			file->of_root = of_root;
			*link = file;
			link = &file->next;
		}
	}
	if (have)
		m->sources = have;
}

/* The names in reading order: the list of sources is newest first. */
static void keep_names(struct image *m, struct profile *p)
{
	size_t count = count_files(m->sources);

	p->sources = m->sources;
	p->files = take_room(m, count + 1, sizeof(*p->files));
	if (!p->files)
		return;
	p->file_count = count;
	for (const struct source_file *f = m->sources; f; f = f->next)
		p->files[--count] = f->real;
}

void profile_image_write(const struct profile *profile, struct text *out)
{
	struct image m = {.out = out, .sources = profile->sources};
	struct profile copy = *profile;

	code_sources(&m, NULL);
	image_profile(&m, &copy);
	out->failed |= m.failed;
}

int profile_image_read(const void *bytes, size_t length, const struct source_file *sources,
	struct arena *arena, struct profile **ret_profile, struct error *err)
{
	struct loaded *loaded = calloc(1, sizeof(*loaded));
	struct image m = {.at = bytes, .end = (const uint8_t *)bytes + length};
	autoprofile struct profile *owner = loaded ? &loaded->profile : NULL;

	if (!loaded)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (arena) {
		loaded->arena = *arena;
		*arena = (struct arena){0};
	}
	m.arena = &loaded->arena;
	m.failed = length > PROFILE_IMAGE_MAX;
	code_sources(&m, sources);
	image_profile(&m, owner);
	if (!m.failed)
		keep_names(&m, owner);
	if (m.no_memory)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (m.failed || m.at != m.end)
		return error_set(err, -EPROTO, ERROR_INTERNAL, "this is no profile's image");
	*ret_profile = take_ptr(&owner);
	return 0;
}
