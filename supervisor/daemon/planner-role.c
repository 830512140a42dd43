/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planner-role.h"

#include "daemon/planner-work.h"
#include "daemon/planner.h"
#include "daemon/role.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Users that nobody is: each planner its own, so that none can do anything to another. Those of
 * tools begin above (plan/identity.c). */
#define UID_FIRST 0x6fff0000U
#define UID_COUNT 0x10000U
#define SECONDS_MAX 60 /* of the processor */
#define DATA_MAX (1ULL << 30)

/* ---- nobody ---- */

static void limit(__rlimit_resource_t resource, rlim_t most)
{
	const struct rlimit limit = {most, most};

	setrlimit(resource, &limit);
}

/* Of another user, where this process may become one and its user namespace has it. */
static int become_nobody(struct error *err)
{
	uid_t nobody = UID_FIRST + (uid_t)getpid() % UID_COUNT;

	if (geteuid() != 0)
		return 0;
	/* Not allowed where an ordinary user made the namespace, which is then all that user's. */
	(void)!setgroups(0, NULL);
	if (setresgid(nobody, nobody, nobody) < 0 || setresuid(nobody, nobody, nobody) < 0)
		return errno == EINVAL ? 0 : error_errno(err, "become nobody");
	return 0;
}

static int give_up(struct error *err)
{
	int r = become_nobody(err);

	if (r < 0)
		return r;
	/* Behind the change of the user, which takes it back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_CPU, SECONDS_MAX);
#ifndef __SANITIZE_ADDRESS__
	limit(RLIMIT_DATA, DATA_MAX);
#endif
	return role_confine(ROLE_PLANNER, NULL, 0, err);
}

/* ---- orders ---- */

static int obey(int fd, const Berm__Wire__PlannerOrder *order)
{
	Berm__Wire__PlannerAnswer *answer = planner_work(fd, order);
	int r = answer ? planner_send(fd, &answer->base, PLANNER_MESSAGE_MAX, 0) : -ENOMEM;

	if (answer)
		berm__wire__planner_answer__free_unpacked(answer, NULL);
	return r;
}

static int serve(int fd)
{
	for (;;) {
		autofree uint8_t *bytes = NULL;
		Berm__Wire__PlannerOrder *order = NULL;
		size_t length = 0;
		int r = planner_receive(fd, PLANNER_MESSAGE_MAX, 0, &bytes, &length);

		if (r == -EPIPE)
			return 0;
		order = r == 0 ? planner_order_read(bytes, length) : NULL;
		if (!order)
			return -EPROTO;
		r = obey(fd, order);
		berm__wire__planner_order__free_unpacked(order, NULL);
		if (r < 0)
			return r;
	}
}

int planner_role(int argc, char **argv)
{
	const char ready = PLANNER_READY;
	struct error err = {0};

	(void)argv;
	if (argc != 3 || fcntl(ROLE_FD, F_SETFD, FD_CLOEXEC) < 0)
		return 2; /* somebody typed it */
	prctl(PR_SET_NAME, "berm-planner");
	if (give_up(&err) < 0 || send(ROLE_FD, &ready, 1, MSG_NOSIGNAL) != 1)
		return 1;
	return serve(ROLE_FD) < 0;
}
