/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill-journal.h"

#include "base/io.h"
#include "base/json.h"
#include "base/number.h"
#include "daemon/state-directory.h"

#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* All that KILL_NONCES_MAX orders can have written, with what else there is. */
#define TAIL_BYTES ((off_t)256 << 20)
#define TIME_LEAD "{\"signed_ms\":"
#define NONCE_LEAD ",\"nonce\":\""
#define KEY_LEAD "\",\"key\":\""

static const char *const scopes[KILL_SCOPE_COUNT] = {
	[KILL_EVERYTHING] = "everything",
	[KILL_AGENT] = "agent",
	[KILL_GROUP] = "group",
	[KILL_RUN] = "run",
};

static bool take_hex(
	const char *from, const char *lead, uint8_t *ret_bytes, size_t count, const char **ret_rest)
{
	size_t got = 0;

	if (strncmp(from, lead, strlen(lead)) != 0)
		return false;
	from += strlen(lead);
	*ret_rest = from + 2 * count;
	return strnlen(from, 2 * count) == 2 * count &&
	       sodium_hex2bin(ret_bytes, count, from, 2 * count, NULL, &got, NULL) == 0 &&
	       got == count;
}

/* A line of an order that was signed begins with when that was, its nonce and its key. */
static bool read_line(const char *line, struct kill_nonce *ret_nonce)
{
	char number[24] = "";
	size_t digits;

	if (strncmp(line, TIME_LEAD, strlen(TIME_LEAD)) != 0)
		return false;
	line += strlen(TIME_LEAD);
	digits = strspn(line, "0123456789");
	if (digits >= sizeof(number))
		return false;
	memcpy(number, line, digits);
	line += digits;
	return number_parse_u64(number, &ret_nonce->signed_ms) &&
	       take_hex(line, NONCE_LEAD, ret_nonce->nonce, PACE_NONCE_BYTES, &line) &&
	       take_hex(line, KEY_LEAD, ret_nonce->key, AUTHORITY_KEY_BYTES, &line);
}

/* ---- the nonces ---- */

static void forget_old(struct kill_journal *journal, uint64_t wall_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < journal->count; i++)
		if (journal->nonces[i].signed_ms + PACE_STATEMENT_MS + 2 * PACE_SKEW_MS >= wall_ms)
			journal->nonces[kept++] = journal->nonces[i];
	journal->count = kept;
}

static bool has_room(const struct kill_journal *journal, const struct kill_nonce *nonce)
{
	size_t of_key = 0;

	for (size_t i = 0; i < journal->count; i++)
		of_key += memcmp(journal->nonces[i].key, nonce->key, sizeof(nonce->key)) == 0;
	return of_key < KILL_NONCES_PER_KEY && journal->count < KILL_NONCES_MAX;
}

/* What is too old to be taken is kept while there is room: a clock may be set back. */
static int use(struct kill_journal *journal, const struct kill_nonce *nonce, uint64_t wall_ms)
{
	if (!journal->nonces)
		return -ENOSPC;
	for (size_t i = 0; i < journal->count; i++)
		if (memcmp(journal->nonces[i].nonce, nonce->nonce, sizeof(nonce->nonce)) == 0 &&
			memcmp(journal->nonces[i].key, nonce->key, sizeof(nonce->key)) == 0)
			return -EALREADY;
	if (!has_room(journal, nonce))
		forget_old(journal, wall_ms);
	if (!has_room(journal, nonce))
		return -ENOSPC;
	journal->nonces[journal->count++] = *nonce;
	return 0;
}

/* As many bytes at the end of the file as can still count. */
static void read_nonces(struct kill_journal *journal, off_t size, uint64_t wall_ms)
{
	int fd = fcntl(journal->fd, F_DUPFD_CLOEXEC, 3);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	autofree char *line = NULL;
	struct kill_nonce nonce;
	size_t room = 0;

	if (!file) {
		own_close(&fd);
		return;
	}
	if (size <= TAIL_BYTES || fseeko(file, size - TAIL_BYTES, SEEK_SET) == 0)
		while (getline(&line, &room, file) > 0)
			if (read_line(line, &nonce))
				(void)!use(journal, &nonce, wall_ms);
	fclose(file);
}

int kill_journal_open(const char *state, struct kill_journal *ret_journal, struct error *err)
{
	struct kill_journal journal = {
		.fd = -1, .nonces = calloc(KILL_NONCES_MAX, sizeof(*journal.nonces))};
	autoclose int state_fd = state_directory_open(state, err);
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	*ret_journal = journal;
	if (!journal.nonces)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (state_fd < 0)
		return state_fd;
	journal.fd = openat(state_fd, KILL_JOURNAL,
		O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (journal.fd < 0 || fstat(journal.fd, &st) < 0) {
		own_close(&journal.fd);
		return error_errno(err, "%s/" KILL_JOURNAL, state);
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077) {
		own_close(&journal.fd);
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s/" KILL_JOURNAL
			" belongs to somebody else, or others have a right to it",
			state);
	}
	read_nonces(&journal, st.st_size, (uint64_t)now.tv_sec * 1000);
	*ret_journal = journal;
	return 0;
}

void kill_journal_close(struct kill_journal *journal)
{
	own_close(&journal->fd);
	free(journal->nonces);
	*journal = (struct kill_journal){.fd = -1};
}

int kill_journal_use(struct kill_journal *journal, const struct kill_order *order, uint64_t wall_ms)
{
	struct kill_nonce nonce = {.signed_ms = kill_order_signed_ms(order)};

	memcpy(nonce.nonce, order->nonce, sizeof(nonce.nonce));
	memcpy(nonce.key, order->key, sizeof(nonce.key));
	return use(journal, &nonce, wall_ms);
}

/* ---- what is written ---- */

/* What was cut off by a full disk is no beginning of this line. */
static bool is_cut(const struct kill_journal *journal)
{
	struct stat st;
	char last = '\n';

	return fstat(journal->fd, &st) == 0 && st.st_size > 0 &&
	       pread(journal->fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
}

static int write_line(const struct kill_journal *journal, const struct text *line)
{
	int r = is_cut(journal) ? io_write_all(journal->fd, "\n", 1) : 0;

	if (line->failed)
		return -ENOMEM;
	if (r == 0)
		r = io_write_all(journal->fd, text_string(line), line->length);
	return r < 0 ? r : fdatasync(journal->fd) < 0 ? -errno : 0;
}

int kill_journal_write_nonce(struct kill_journal *journal, const struct kill_order *order)
{
	char nonce[2 * PACE_NONCE_BYTES + 1], key[2 * AUTHORITY_KEY_BYTES + 1];
	autotext struct text line = {0};
	struct json j = {.out = &line};

	if (journal->fd < 0)
		return -EBADF;
	sodium_bin2hex(nonce, sizeof(nonce), order->nonce, sizeof(order->nonce));
	sodium_bin2hex(key, sizeof(key), order->key, sizeof(order->key));
	json_object_begin(&j, NULL);
	json_put_u64(&j, "signed_ms", kill_order_signed_ms(order));
	json_put_string(&j, "nonce", nonce);
	json_put_string(&j, "key", key);
	json_object_end(&j);
	text_puts(&line, "\n");
	return write_line(journal, &line);
}

/* What a crash before that leaves is an order that holds once more, for its minutes: it ends runs,
 * and loosens nothing. A disk that hangs or is full must not keep an order from being followed. */
bool kill_journal_write_ahead(
	struct kill_journal *journal, const struct kill_order *order, unsigned timeout_ms)
{
	autoclose int read_end = -1, write_end = -1;
	struct pollfd p = {.events = POLLIN};
	char done = 0;
	int ends[2];
	pid_t pid;

	if (journal->fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return false;
	read_end = ends[0];
	write_end = ends[1];
	pid = fork();
	if (pid == 0) {
		/* Nobody waits for the end of anything that a disk keeps open here. */
		if (dup2(journal->fd, 0) < 0 || dup2(write_end, 1) < 0 ||
			close_range(2, ~0U, 0) < 0)
			_exit(1);
		journal->fd = 0;
		if (kill_journal_write_nonce(journal, order) == 0)
			(void)!write(1, "1", 1);
		_exit(0);
	}
	own_close(&write_end);
	p.fd = read_end;
	return pid > 0 && poll(&p, 1, (int)timeout_ms) == 1 && read(read_end, &done, 1) == 1;
}

int kill_journal_write(struct kill_journal *journal, const struct kill_deed *deed)
{
	const struct kill_order *order = deed->order;
	char nonce[2 * PACE_NONCE_BYTES + 1], key[2 * AUTHORITY_KEY_BYTES + 1];
	autotext struct text line = {0};
	struct json j = {.out = &line};

	if (journal->fd < 0)
		return -EBADF;
	sodium_bin2hex(nonce, sizeof(nonce), order->nonce, sizeof(order->nonce));
	sodium_bin2hex(key, sizeof(key), order->key, sizeof(order->key));
	json_object_begin(&j, NULL);
	json_put_u64(&j, "signed_ms", kill_order_signed_ms(order));
	json_put_string(&j, "nonce", nonce);
	json_put_string(&j, "key", order->is_signed ? key : NULL);
	json_put_u64(&j, "wall_ms", deed->wall_ms);
	json_put_string(&j, "scope", scopes[order->scope]);
	json_put_string(&j, "of", order->of);
	json_put_string(&j, "by", deed->by);
	json_put_string(&j, "reason", order->reason[0] ? order->reason : NULL);
	json_put_u64(&j, "asked_boot_ns", deed->asked_boot_ns);
	json_put_u64(&j, "t_boot_ns", deed->t_boot_ns);
	json_put_u64(&j, "gone", deed->gone);
	json_put_u64(&j, "left", deed->left);
	json_put_bool(&j, "used_first", deed->used_first);
	json_put_bool(&j, "recorded", deed->recorded);
	json_object_end(&j);
	text_puts(&line, "\n");
	return write_line(journal, &line);
}
