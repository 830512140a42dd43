/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-lost.h"

#include "base/failpoint.h"
#include "daemon/run-id.h"
#include "daemon/state-directory.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define MARK_BITS 0x3fffffffffffffffULL /* an offset that fcntl(2) takes, and one more */
#define TYPE (&berm__wire__agent_receipt__descriptor)

/* ---- marks of runs that last ---- */

int agent_marks_open(const struct agents *agents, struct error *err)
{
	autoclose int fd = openat(agents->state_fd, AGENT_MARKS,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open %s", AGENT_MARKS);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s belongs to somebody else, or others may hold it", AGENT_MARKS);
	return take_fd(&fd);
}

uint64_t agent_mark_of(const char *run_id)
{
	uint64_t mark = 0;

	crypto_generichash((unsigned char *)&mark, sizeof(mark), (const unsigned char *)run_id,
		strlen(run_id), NULL, 0);
	return mark & MARK_BITS;
}

/* A lock of the open file (fcntl(2), F_OFD_SETLK): the kernel takes it away with the last process
 * of berm that has it, so that no pid is ever taken for another one's. */
int agent_mark_hold(int fd, uint64_t mark, struct error *err)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)mark, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? error_errno(err, "mark the run") : 0;
}

bool agent_mark_is_held(int fd, uint64_t mark)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)mark, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

/* ---- receipts ---- */

static int open_receipts(const struct agents *agents, struct error *err)
{
	return state_directory_within(agents->state_fd, AGENT_RECEIPTS, 0700, err);
}

int agent_receipt_write(
	const struct agents *agents, const Berm__Wire__AgentReceipt *receipt, struct error *err)
{
	autoclose int dir = open_receipts(agents, err);
	const struct state_place place = {agents->place.storage, dir};

	return dir < 0 ? dir : state_file_write(&place, receipt->run, &receipt->base, err);
}

void agent_receipt_remove(const struct agents *agents, const char *run)
{
	const struct storage *s = agents->place.storage;
	struct error ignored = {0};
	autoclose int dir = open_receipts(agents, &ignored);

	if (dir >= 0)
		(void)!s->ops->remove(s->context, dir, run);
	failpoint("receipt.removed");
}

/* NULL with *ret_error -ENOENT where there is none, and with another one where it says nothing. */
static Berm__Wire__AgentReceipt *read_receipt(
	const struct state_place *place, const char *run, int *ret_error)
{
	Berm__Wire__AgentReceipt *receipt;
	struct error ignored = {0};
	void *message = NULL;

	*ret_error = state_file_read(place, run, TYPE, &message, &ignored);
	if (*ret_error < 0)
		return NULL;
	receipt = message;
	if (agent_receipt_is_good(receipt) && strcmp(receipt->run, run) == 0)
		return receipt;
	berm__wire__agent_receipt__free_unpacked(receipt, NULL);
	*ret_error = -EBADMSG;
	return NULL;
}

/* ---- runs whose berm was killed ---- */

static int end_one(Berm__Wire__Agent *agent, const char *run,
	const Berm__Wire__AgentReceipt *receipt, const struct agent_now *now)
{
	struct agent_now over = *now;

	if (!receipt || strcmp(receipt->agent, agent->id) != 0)
		return admission_end(agent, run, ADMISSION_LOST, NULL, now);
	over = admission_over(receipt->begun, receipt->limit_ms, now);
	if (receipt->ended && receipt->end < ADMISSION_LOST)
		return admission_end(
			agent, run, (enum admission_end)receipt->end, receipt->done, &over);
	return admission_end(agent, run, ADMISSION_LOST, NULL, &over);
}

int agent_end_lost(const struct agents *agents, Berm__Wire__Agent *agent,
	const struct agent_now *now, struct error *err)
{
	autoclose int fd = -1, dir = -1;
	struct state_place place = {agents->place.storage, -1};
	int r = 0;

	if (!agent->n_runs)
		return 0;
	fd = agent_marks_open(agents, err);
	if (fd < 0)
		return fd;
	dir = open_receipts(agents, err);
	if (dir < 0)
		return dir;
	place.dir = dir;
	for (size_t i = agent->n_runs; r == 0 && i-- > 0;) {
		Berm__Wire__AgentReceipt *receipt;
		char run[AGENT_ID_BYTES + 1];
		int why = 0;

		if (agent_mark_is_held(fd, agent->runs[i]->mark))
			continue;
		snprintf(run, sizeof(run), "%s", agent->runs[i]->run);
		receipt = read_receipt(&place, run, &why);
		r = why == -ENOENT ? admission_end(agent, run, ADMISSION_NEVER_RAN, NULL, now)
				   : end_one(agent, run, receipt, now);
		if (receipt)
			berm__wire__agent_receipt__free_unpacked(receipt, NULL);
	}
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "out of memory") : 0;
}

struct sweep {
	struct state_place place;
	const Berm__Wire__Agent *agent;
};

static int sweep_one(void *data, const char *name)
{
	const struct sweep *sweep = data;
	const struct storage *s = sweep->place.storage;
	Berm__Wire__AgentReceipt *receipt;
	bool own;
	int why = 0;

	for (size_t i = 0; i < sweep->agent->n_runs; i++)
		if (strcmp(sweep->agent->runs[i]->run, name) == 0)
			return 0;
	receipt = run_id_is_valid(name) ? read_receipt(&sweep->place, name, &why) : NULL;
	own = receipt && strcmp(receipt->agent, sweep->agent->id) == 0;
	if (receipt)
		berm__wire__agent_receipt__free_unpacked(receipt, NULL);
	if (own)
		(void)!s->ops->remove(s->context, sweep->place.dir, name);
	return 0;
}

void agent_receipts_sweep(const struct agents *agents, const Berm__Wire__Agent *agent)
{
	struct error ignored = {0};
	autoclose int dir = open_receipts(agents, &ignored);
	struct sweep sweep = {{agents->place.storage, dir}, agent};

	if (dir >= 0)
		(void)!state_file_list(&sweep.place, sweep_one, &sweep);
}
