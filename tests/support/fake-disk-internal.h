/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What fake-disk.c and fake-disk-image.c share. */

#include "fake-disk.h"

#include <stdlib.h>

/* Around whatever allocator a test has put in place: the disk is no part of what is tested. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

#define SECTOR 512
#define FILES_MAX 4096
#define HANDLES_MAX 64
#define NAMES_MAX 512
#define NAME_MAX_BYTES 96

struct image {
	uint8_t *bytes;
	uint64_t size, capacity;
};

/* A change that is not on the disk yet. */
struct change {
	bool is_truncate;
	uint64_t offset, length;
	uint8_t *bytes;
	struct change *next;
};

struct file {
	struct image seen, durable;
	struct change *first, **last;
	uint64_t reserved;
	unsigned mode;
	bool locked;
};

struct name {
	char name[NAME_MAX_BYTES];
	int file; /* -1: removed */
};

struct directory {
	struct name seen[NAMES_MAX], durable[NAMES_MAX];
	unsigned seen_count, durable_count;
	/* In order; `file` -1 takes a name away. */
	struct name pending[NAMES_MAX];
	unsigned pending_count;
};

struct fake_disk {
	struct storage storage;
	struct file *files;
	unsigned file_count;
	struct directory *directories;
	int handles[HANDLES_MAX]; /* file + 1; 0: free */
	bool locks[HANDLES_MAX];
	enum fake_fault fault;
	unsigned fault_call, calls;
	int error;
	uint64_t limit;
};

void fake_image_resize(struct image *image, uint64_t size);
void fake_image_write(struct image *image, uint64_t offset, const void *bytes, uint64_t length);
void fake_image_copy(struct image *to, const struct image *from);
void fake_forget_changes(struct file *file);
void fake_note_change(
	struct file *file, bool is_truncate, uint64_t offset, const void *bytes, uint64_t length);
struct name *fake_find(struct name *names, unsigned count, const char *name);
void fake_set_name(struct name *names, unsigned *count, const char *name, int file);
void fake_change_name(struct directory *d, const char *name, int file);
void fake_settle_names(struct directory *d, unsigned count);
