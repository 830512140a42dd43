/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An allocator that counts and fails on demand, for the one file of a test program that includes
 * this. Not with the sanitizers, which have an allocator of their own. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static long allocations_left = -1; /* -1: without end */
static long live;                  /* allocations that were not freed */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static bool may_allocate(void)
{
	if (allocations_left < 0)
		return true;
	if (allocations_left == 0)
		return false;
	allocations_left--;
	return true;
}

static void *counted(void *p)
{
	live += p != NULL;
	if (!p)
		errno = ENOMEM;
	return p;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	return counted(may_allocate() ? __libc_malloc(size) : NULL);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
	return counted(may_allocate() ? __libc_calloc(count, size) : NULL);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
	void *p = may_allocate() ? __libc_realloc(old, size) : NULL;

	if (!p)
		errno = ENOMEM;
	live += p && !old;
	return p;
}

__attribute__((visibility("default"))) void free(void *p)
{
	live -= p != NULL;
	__libc_free(p);
}
