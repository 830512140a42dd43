/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill-journal.h"

#include "base/io.h"
#include "base/json.h"
#include "base/number.h"
#include "daemon/state-directory.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_BYTES (1U << 20)
#define NONCE_LEAD "{\"signed_ms\":"
#define NONCE_MEMBER ",\"nonce\":\""

static const char *const scopes[KILL_SCOPE_COUNT] = {
	[KILL_EVERYTHING] = "everything",
	[KILL_AGENT] = "agent",
	[KILL_GROUP] = "group",
	[KILL_RUN] = "run",
};

/* A line begins with when it was signed and its nonce. */
static bool read_line(const char *line, struct kill_nonce *ret_nonce)
{
	const char *end = NULL;
	char number[24] = "";
	size_t got = 0;

	if (strncmp(line, NONCE_LEAD, strlen(NONCE_LEAD)) != 0)
		return false;
	line += strlen(NONCE_LEAD);
	end = strstr(line, NONCE_MEMBER);
	if (!end || end - line >= (ptrdiff_t)sizeof(number))
		return false;
	memcpy(number, line, (size_t)(end - line));
	end += strlen(NONCE_MEMBER);
	return number_parse_u64(number, &ret_nonce->signed_ms) &&
	       strnlen(end, 2 * PACE_NONCE_BYTES) == 2 * PACE_NONCE_BYTES &&
	       sodium_hex2bin(ret_nonce->nonce, PACE_NONCE_BYTES, end, 2 * PACE_NONCE_BYTES, NULL,
		       &got, NULL) == 0 &&
	       got == PACE_NONCE_BYTES;
}

/* The newest lines have all that still counts. */
static void read_nonces(struct kill_journal *journal, struct stat *st)
{
	autofree char *bytes = malloc(TAIL_BYTES + 1);
	off_t from = st->st_size > (off_t)TAIL_BYTES ? st->st_size - (off_t)TAIL_BYTES : 0;
	ssize_t n = bytes ? pread(journal->fd, bytes, TAIL_BYTES, from) : -1;
	char *rest = bytes, *line;

	if (n <= 0)
		return;
	bytes[n] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (journal->count == KILL_NONCES_MAX) {
			journal->count--;
			memmove(journal->nonces, journal->nonces + 1,
				journal->count * sizeof(*journal->nonces));
		}
		journal->count += read_line(line, &journal->nonces[journal->count]);
	}
}

int kill_journal_open(const char *state, struct kill_journal *ret_journal, struct error *err)
{
	struct kill_journal journal = {
		.fd = -1, .nonces = calloc(KILL_NONCES_MAX, sizeof(*journal.nonces))};
	autoclose int state_fd = state_directory_open(state, err);
	struct stat st;

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
	read_nonces(&journal, &st);
	*ret_journal = journal;
	return 0;
}

void kill_journal_close(struct kill_journal *journal)
{
	own_close(&journal->fd);
	free(journal->nonces);
	*journal = (struct kill_journal){.fd = -1};
}

static void forget_old(struct kill_journal *journal, uint64_t wall_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < journal->count; i++)
		if (journal->nonces[i].signed_ms + PACE_STATEMENT_MS + 2 * PACE_SKEW_MS >= wall_ms)
			journal->nonces[kept++] = journal->nonces[i];
	journal->count = kept;
}

int kill_journal_use(struct kill_journal *journal, const struct kill_order *order, uint64_t wall_ms)
{
	struct kill_nonce *nonce;

	if (!journal->nonces)
		return -ENOSPC;
	for (size_t i = 0; i < journal->count; i++)
		if (memcmp(journal->nonces[i].nonce, order->nonce, PACE_NONCE_BYTES) == 0)
			return -EALREADY;
	forget_old(journal, wall_ms);
	if (journal->count == KILL_NONCES_MAX)
		return -ENOSPC;
	nonce = &journal->nonces[journal->count++];
	memcpy(nonce->nonce, order->nonce, PACE_NONCE_BYTES);
	nonce->signed_ms = kill_order_signed_ms(order);
	return 0;
}

static int write_line(const struct kill_journal *journal, const struct text *line)
{
	int r;

	if (line->failed)
		return -ENOMEM;
	r = io_write_all(journal->fd, text_string(line), line->length);
	return r < 0 ? r : fdatasync(journal->fd) < 0 ? -errno : 0;
}

int kill_journal_write_nonce(struct kill_journal *journal, const struct kill_order *order)
{
	char nonce[2 * PACE_NONCE_BYTES + 1];
	autotext struct text line = {0};
	struct json j = {.out = &line};

	if (journal->fd < 0)
		return -EBADF;
	sodium_bin2hex(nonce, sizeof(nonce), order->nonce, sizeof(order->nonce));
	json_object_begin(&j, NULL);
	json_put_u64(&j, "signed_ms", kill_order_signed_ms(order));
	json_put_string(&j, "nonce", nonce);
	json_object_end(&j);
	text_puts(&line, "\n");
	return write_line(journal, &line);
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
	json_put_bool(&j, "recorded", deed->recorded);
	json_object_end(&j);
	text_puts(&line, "\n");
	return write_line(journal, &line);
}
