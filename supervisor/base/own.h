/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ownership at the declaration: a descriptor or allocation is declared with one of these,
 * initialised, and moved only by take_fd() and take_ptr(). Cleanup keeps errno. Do not use
 * autoclose on a descriptor that fdopen(3) took over. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define array_size(a) (sizeof(a) / sizeof((a)[0]))

static inline void own_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void own_free(void *p)
{
	int saved = errno;
	void **pp = p;

	free(*pp);
	*pp = NULL;
	errno = saved;
}

static inline void own_fclose(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	*f = NULL;
	errno = saved;
}

#define autoclose __attribute__((cleanup(own_close)))
#define autofree __attribute__((cleanup(own_free)))
#define autofclose __attribute__((cleanup(own_fclose)))

/* Hand a descriptor to a new owner; the old variable becomes -1. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Hand a pointer to a new owner; the old variable becomes NULL. Keeps the type. */
#define take_ptr(pp)                                                                               \
	({                                                                                         \
		__typeof__(*(pp)) taken_ = *(pp);                                                  \
		*(pp) = NULL;                                                                      \
		taken_;                                                                            \
	})
