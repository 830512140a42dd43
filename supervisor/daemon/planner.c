/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planner.h"

#include "base/io.h"
#include "daemon/role.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define STATUS_MAX (16U << 10)

/* ---- what it is ---- */

/* The number behind a word of /proc/PID/status (proc_pid_status(5)); UINT64_MAX where there is no
 * such line. */
static uint64_t number_of(const char *status, const char *word, int base)
{
	const char *line = status;
	size_t length = strlen(word);
	char *end;
	uint64_t value;

	while (strncmp(line, word, length) != 0) {
		line = strchr(line, '\n');
		if (!line++)
			return UINT64_MAX;
	}
	errno = 0;
	value = strtoull(line + length, &end, base);
	return errno || end == line + length ? UINT64_MAX : value;
}

/* In a namespace of one user nobody can become another. */
static bool has_other_users(void)
{
	autofree char *map = NULL;
	unsigned long inside, outside, count;

	if (io_read_file(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL, NULL) < 0)
		return true;
	return sscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 && count == UINT32_MAX;
}

static int look_at(const struct planner *planner, struct error *err)
{
	autofree char *status = NULL;
	char path[64];
	bool confined;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)planner->pid);
	r = io_read_file(AT_FDCWD, path, STATUS_MAX, &status, NULL, err);
	if (r < 0)
		return r;
	confined = number_of(status, "CapPrm:\t", 16) == 0 &&
		   number_of(status, "CapEff:\t", 16) == 0 &&
		   number_of(status, "NoNewPrivs:\t", 10) == 1 &&
		   number_of(status, "Seccomp:\t", 10) == 2;
	if (geteuid() == 0 && has_other_users())
		confined &= number_of(status, "Uid:\t", 10) != 0;
	return confined ? 0
			: error_set(err, -EPERM, ERROR_INTERNAL,
				  "the planner has not given up its rights");
}

/* ---- its life ---- */

static void forget(struct planner *planner)
{
	own_close(&planner->fd);
	planner->pid = 0;
}

static void end(struct planner *planner)
{
	if (planner->pid > 0) {
		kill(planner->pid, SIGKILL);
		while (waitpid(planner->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	forget(planner);
}

static int take_ready(const struct planner *planner, struct error *err)
{
	uint64_t until = planner_until(planner->ms);
	char word = 0;
	int r = planner_receive_bytes(planner->fd, &word, 1, until);

	if (r == 0 && word != PLANNER_READY)
		r = -EPROTO;
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "the planner does not begin: %s",
			       strerror(-r))
		     : 0;
}

int planner_start(struct planner *planner, struct error *err)
{
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, "a socket for the planner");
	planner->fd = ends[0];
	planner->owner = getpid();
	r = role_spawn(ROLE_PLANNER, ends[1], &planner->pid, err);
	own_close(&ends[1]);
	if (r == 0)
		r = take_ready(planner, err);
	if (r == 0)
		r = look_at(planner, err);
	if (r < 0)
		end(planner);
	return r;
}

/* Nobody asked, and it said something. */
static bool has_said_more(const struct planner *planner)
{
	char byte;

	return recv(planner->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static int said_more(struct error *err)
{
	return error_set(err, -EPROTO, ERROR_INTERNAL, "the planner says more than it was asked");
}

static int explain(const struct planner *planner, int r, struct error *err)
{
	if (r == -ETIMEDOUT)
		return error_set(err, r, ERROR_INTERNAL, "the planner did not answer within %u ms",
			planner->ms);
	if (r == -EPIPE || r == -ECONNRESET)
		return error_set(err, -EPIPE, ERROR_INTERNAL, "the planner died");
	if (r == -EPROTO)
		return error_set(err, r, ERROR_INTERNAL, "the planner's answer is too long");
	return error_set(err, r, ERROR_INTERNAL, "the planner: %s", strerror(-r));
}

/* One answer, whatever it is. */
static int hear(const struct planner *planner, uint64_t until,
	Berm__Wire__PlannerAnswer **ret_answer, struct error *err)
{
	autofree uint8_t *bytes = NULL;
	size_t length = 0;
	int r = planner_receive(planner->fd, PLANNER_MESSAGE_MAX, until, &bytes, &length);

	r = r < 0 ? explain(planner, r, err) : planner_answer_read(bytes, length, ret_answer, err);
	return r == 0 && has_said_more(planner) ? said_more(err) : r;
}

static int tell_of_file(const struct planner *planner, uint64_t until, struct planner_files *files,
	const Berm__Wire__PlannerQuestion *question, struct error *err)
{
	Berm__Wire__PlannerOrder order;
	Berm__Wire__PlannerFile file;
	int r;

	if (!files)
		return error_set(err, -EPROTO, ERROR_INTERNAL,
			"the planner asks about files where there are none");
	berm__wire__planner_order__init(&order);
	order.version = PLANNER_VERSION;
	order.file = &file;
	r = planner_files_answer(files, question, &file, err);
	if (r == 0) {
		r = planner_send(planner->fd, &order.base, PLANNER_MESSAGE_MAX, until);
		r = r < 0 ? explain(planner, r, err) : 0;
	}
	planner_file_free(&file);
	return r;
}

static int converse(const struct planner *planner, const Berm__Wire__PlannerOrder *order,
	struct planner_files *files, Berm__Wire__PlannerAnswer **ret_answer, struct error *err)
{
	uint64_t until = planner_until(planner->ms);
	int r;

	if (has_said_more(planner))
		return said_more(err);
	r = planner_send(planner->fd, &order->base, PLANNER_MESSAGE_MAX, until);
	r = r < 0 ? explain(planner, r, err) : hear(planner, until, ret_answer, err);
	while (r == 0 && *ret_answer && (*ret_answer)->question) {
		r = tell_of_file(planner, until, files, (*ret_answer)->question, err);
		berm__wire__planner_answer__free_unpacked(*ret_answer, NULL);
		*ret_answer = NULL;
		if (r == 0)
			r = hear(planner, until, ret_answer, err);
	}
	return r;
}

int planner_ask(struct planner *planner, const Berm__Wire__PlannerOrder *order,
	struct planner_files *files, Berm__Wire__PlannerAnswer **ret_answer, struct error *err)
{
	Berm__Wire__PlannerAnswer *answer = NULL;
	int r = converse(planner, order, files, &answer, err);

	if (r == 0) {
		*ret_answer = answer;
		return 0;
	}
	if (answer)
		berm__wire__planner_answer__free_unpacked(answer, NULL);
	end(planner);
	return r;
}

int planner_end(struct planner *planner, struct error *err)
{
	bool more;

	if (planner->fd < 0)
		return 0;
	more = has_said_more(planner);
	end(planner);
	return more ? said_more(err) : 0;
}

/* ---- the one of this process ---- */

static struct planner own = PLANNER_NONE;
static bool used;

int planners_ask(const Berm__Wire__PlannerOrder *order, struct planner_files *files,
	Berm__Wire__PlannerAnswer **ret_answer, struct error *err)
{
	int r;

	if (own.fd >= 0 && own.owner != getpid())
		forget(&own);
	r = own.fd < 0 ? planner_start(&own, err) : 0;
	return r < 0 ? r : planner_ask(&own, order, files, ret_answer, err);
}

void planners_end(void)
{
	end(&own);
}

/* Of a file that was refused without an error nobody would hear, and go on without it. */
static bool is_for_a_document(const Berm__Wire__PlannerAnswer *answer)
{
	if (answer->profile.len || answer->plan)
		return false;
	return answer->error == 0 || answer->error == ENOMEM ||
	       (answer->error == EINVAL && answer->diagnostics->errors > 0);
}

static int take_answer(const Berm__Wire__PlannerAnswer *answer, struct arena *arena,
	struct diagnostics *d, const struct source_file *file, struct node **ret_root)
{
	const Berm__Wire__PlannerDiagnostics *said = answer->diagnostics;
	struct error err = {0};
	int r;

	text_append(d->out, (const char *)said->text.data, said->text.len);
	d->errors += said->errors;
	d->warnings += said->warnings;
	d->notes += said->notes;
	if (answer->error)
		return -(int)answer->error;
	r = planner_nodes_take(answer, arena, file->name, ret_root, &err);
	if (r == -EPROTO) {
		diagnostics_report(
			d, CODE_UNREADABLE, (struct source){file->name, 0, 0}, "%s", err.text);
		end(&own);
		return -EINVAL;
	}
	return r;
}

static int parse_there(struct arena *arena, struct diagnostics *d, const struct source_file *file,
	struct node **ret_root)
{
	Berm__Wire__PlannerDocument document;
	Berm__Wire__PlannerAnswer *answer = NULL;
	Berm__Wire__PlannerOrder order;
	struct error err = {0};
	int r;

	berm__wire__planner_order__init(&order);
	berm__wire__planner_document__init(&document);
	order.version = PLANNER_VERSION;
	order.document = &document;
	document.name = (ProtobufCBinaryData){strlen(file->name), (uint8_t *)(uintptr_t)file->name};
	document.data = (ProtobufCBinaryData){file->length, (uint8_t *)(uintptr_t)file->data};
	r = planners_ask(&order, NULL, &answer, &err);
	if (r == 0 && answer && !is_for_a_document(answer)) {
		r = error_set(&err, -EPROTO, ERROR_INTERNAL, "the planner's answer is to no file");
		berm__wire__planner_answer__free_unpacked(answer, NULL);
		end(&own);
	}
	if (r < 0 || !answer) {
		diagnostics_report(
			d, CODE_UNREADABLE, (struct source){file->name, 0, 0}, "%s", err.text);
		return -EINVAL;
	}
	r = take_answer(answer, arena, d, file, ret_root);
	berm__wire__planner_answer__free_unpacked(answer, NULL);
	return r;
}

void planners_use(void)
{
	document_parse_by(parse_there);
	used = true;
}

bool planners_are_used(void)
{
	return used;
}

int planners_done(struct error *err)
{
	if (own.fd >= 0 && own.owner != getpid())
		forget(&own);
	return planner_end(&own, err);
}
