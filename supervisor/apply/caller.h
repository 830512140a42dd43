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

/* Who asked, where that is root by both uids: whom sudo(8), doas(1) or pkexec(1) name; without one
 * of them who logged in (loginuid of proc(5)), whom no door in between can change; else root. Of
 * doors that name different people none is believed: the caller is CALLER_NOBODY. From everybody
 * else, also where berm was made set-user-ID, these words could be anything: it is the real ids.
 * Name and home come from /etc/passwd, read directly, since a static glibc has no NSS; a user known
 * only elsewhere (LDAP …) has neither. Never fails. */
void caller_identify(struct caller *ret_caller);

/* From now on this process works for that user and group, whatever the environment says: they were
 * told by the kernel, of the one who asked over a socket. Where that is root, it is who logged in
 * and became root, as above; 0: nobody else. */
void caller_assume(uid_t uid, gid_t gid, uid_t login_uid);

#define CALLER_NOBODY 65534

/* What that is judged by. Borrowed; NULL: not there. */
struct caller_doors {
	uid_t uid, effective_uid;
	gid_t gid;
	const char *sudo_uid, *sudo_gid, *doas_user, *pkexec_uid, *login_uid;
	const char *passwd; /* the whole text, never NULL */
};

void caller_judge(const struct caller_doors *doors, struct caller *ret_caller);

/* The same from a given passwd text, for tests: fills name and home, and *gid where take_gid says
 * so. */
void caller_read_passwd(const char *passwd, struct caller *caller, int take_gid);
