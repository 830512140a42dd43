/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#define CALLER_NAME_MAX 32 /* useradd(8): at most 32 characters */

/* The person or service on whose behalf this process runs. */
struct caller {
	uid_t uid;
	gid_t gid;
	char name[CALLER_NAME_MAX + 1]; /* "" where /etc/passwd does not know the uid */
	char home[PATH_MAX];            /* absolute and normal, or "" */
};

/* Who asked: SUDO_UID and SUDO_GID where the effective uid is 0 (set by sudo(8); an ordinary user
 * could write anything there, so they are not believed from one), else the real ids. Name and home
 * come from /etc/passwd, read directly, since a static glibc has no NSS; a user known only
 * elsewhere (LDAP …) has neither. Never fails. */
void caller_identify(struct caller *ret_caller);

/* The same from a given passwd text, for tests: fills name and home, and *gid where take_gid says
 * so. */
void caller_read_passwd(const char *passwd, struct caller *caller, int take_gid);
