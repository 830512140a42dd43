/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/evidence.h"

#include "base/io.h"
#include "base/number.h"
#include "record/redact.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STAT_BYTES 1024
#define EVIDENCE_ARGUMENTS_MAX 64
#define EVIDENCE_BYTES_MAX (64U << 20) /* of all runs together */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Every process and its parent. */
struct evidence_table {
	struct evidence_process {
		pid_t pid, parent;
	} * rows; /* of the child: never freed */
	size_t count;
	struct redactor *redactor; /* likewise */
};

static void put_link(struct json *j, int process_fd, const char *name, const char *key)
{
	char words[EVIDENCE_WORDS_MAX];
	ssize_t n = readlinkat(process_fd, name, words, sizeof(words));

	if (n < 0)
		json_put_null(j, key);
	else
		json_put_string_n(j, key, words, (size_t)n);
}

static ssize_t read_file(int process_fd, const char *name, char *data, size_t size)
{
	autoclose int fd = openat(process_fd, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : read(fd, data, size);
}

/* Name, state, parent (proc(5), /proc/PID/stat). */
static bool read_stat(int process_fd, char data[STAT_BYTES], const char **ret_close,
	char *ret_state, int *ret_parent)
{
	ssize_t n = read_file(process_fd, "stat", data, STAT_BYTES - 1);

	data[n > 0 ? n : 0] = '\0';
	*ret_close = strrchr(data, ')');
	return *ret_close && strchr(data, '(') &&
	       sscanf(*ret_close, ") %c %d", ret_state, ret_parent) == 2;
}

static void put_stat(struct json *j, int process_fd)
{
	char data[STAT_BYTES], state[2] = "?";
	const char *name, *close;
	int parent;

	if (!read_stat(process_fd, data, &close, state, &parent))
		return;
	name = strchr(data, '(') + 1;
	json_put_string_n(j, "name", name, close > name ? (size_t)(close - name) : 0);
	json_put_string(j, "state", state);
	json_put_i64(j, "parent", parent);
}

/* Whoever gathers evidence is not to gather passwords. Without a redactor no word is kept. */
static void put_words(struct json *j, const struct redactor *redactor, const char *const *words,
	size_t count, bool cut)
{
	struct text texts[EVIDENCE_ARGUMENTS_MAX] = {0};

	if (redactor && count)
		redact_words(redactor, words, count, texts);
	for (size_t i = 0; redactor && i < count; i++) {
		autotext struct text again = {0};
		const struct text *word = &texts[i];

		/* A secret may have begun where it was cut. */
		if (cut && i + 1 == count) {
			redact_text(redactor, text_string(word), word->length, true, &again);
			word = &again;
		}
		json_put_string_n(j, NULL, text_string(word), word->length);
	}
	for (size_t i = 0; i < count; i++)
		text_finish(&texts[i]);
}

static void put_arguments(
	struct json *j, int process_fd, const struct redactor *redactor, struct evidence *evidence)
{
	char data[EVIDENCE_WORDS_MAX + 1];
	const char *words[EVIDENCE_ARGUMENTS_MAX];
	ssize_t n = read_file(process_fd, "cmdline", data, sizeof(data) - 1);
	bool cut = n == (ssize_t)sizeof(data) - 1;
	size_t at = 0, count = 0;

	data[n > 0 ? n : 0] = '\0';
	while (n > 0 && at < (size_t)n && count < EVIDENCE_ARGUMENTS_MAX) {
		words[count++] = data + at;
		at += strlen(data + at) + 1;
	}
	cut |= n > 0 && at < (size_t)n;
	evidence->cut |= cut;
	json_array_begin(j, "arguments");
	put_words(j, redactor, words, count, cut);
	json_array_end(j);
}

static void put_files(struct json *j, int process_fd, struct evidence *evidence)
{
	int fd = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	unsigned count = 0;

	json_object_begin(j, "open_files");
	if (!directory)
		own_close(&fd);
	while (directory && (entry = readdir(directory))) {
		uint64_t number;

		if (!number_parse_u64(entry->d_name, &number))
			continue;
		if (count++ == EVIDENCE_FILES_MAX) {
			evidence->cut = true;
			break;
		}
		put_link(j, dirfd(directory), entry->d_name, entry->d_name);
	}
	json_object_end(j);
	if (directory)
		closedir(directory);
}

static void put_process(
	struct json *j, pid_t pid, const struct redactor *redactor, struct evidence *evidence)
{
	char path[32];
	autoclose int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	json_object_begin(j, NULL);
	json_put_i64(j, "pid", pid);
	put_stat(j, fd);
	put_link(j, fd, "exe", "program");
	put_link(j, fd, "cwd", "directory");
	put_arguments(j, fd, redactor, evidence);
	put_files(j, fd, evidence);
	json_object_end(j);
}

static bool read_row(int proc_fd, const char *name, struct evidence_process *row)
{
	autoclose int fd = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char data[STAT_BYTES], state;
	const char *close;
	int parent;

	if (fd < 0 || !read_stat(fd, data, &close, &state, &parent))
		return false;
	*row = (struct evidence_process){atoi(name), parent};
	return true;
}

static int compare_rows(const void *a, const void *b)
{
	const struct evidence_process *left = a, *right = b;

	return (left->pid > right->pid) - (left->pid < right->pid);
}

/* Every process of this host and its parent: taken once for all runs. */
static void scan(struct evidence_table *table)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t capacity = 0;

	while (proc && (entry = readdir(proc))) {
		uint64_t pid;

		if (!number_parse_u64(entry->d_name, &pid) || pid > INT32_MAX)
			continue;
		if (table->count == capacity) {
			size_t more = capacity ? 2 * capacity : 512;
			struct evidence_process *grown =
				reallocarray(table->rows, more, sizeof(*grown));

			if (!grown)
				break;
			table->rows = grown;
			capacity = more;
		}
		table->count += read_row(dirfd(proc), entry->d_name, &table->rows[table->count]);
	}
	if (proc)
		closedir(proc);
	if (table->count)
		qsort(table->rows, table->count, sizeof(*table->rows), compare_rows);
}

/* Where the process is in the table, or count. */
static size_t find_row(const struct evidence_table *table, pid_t pid)
{
	const struct evidence_process key = {.pid = pid};
	const struct evidence_process *row = NULL;

	if (table->rows)
		row = bsearch(&key, table->rows, table->count, sizeof(key), compare_rows);

	return row ? (size_t)(row - table->rows) : table->count;
}

enum kin { KIN_UNKNOWN, KIN_OURS, KIN_OTHER };

/* Whether PID 1 is among the ancestors; what is found out on the way is kept for the next. A table
 * that was read while processes came and went may have a circle in it. */
static enum kin kin_of(const struct evidence_table *table, size_t first, enum kin *known)
{
	enum kin kin = KIN_OTHER;
	size_t row = first;

	for (size_t steps = 0; row < table->count && steps <= table->count; steps++) {
		if (known[row] != KIN_UNKNOWN) {
			kin = known[row];
			break;
		}
		row = find_row(table, table->rows[row].parent);
	}
	for (row = first; row < table->count && known[row] == KIN_UNKNOWN;) {
		known[row] = kin;
		row = find_row(table, table->rows[row].parent);
	}
	return kin;
}

static void put_processes(const struct evidence_table *table, pid_t init_pid, struct json *json,
	struct evidence *evidence)
{
	autofree enum kin *known = calloc(table->count + 1, sizeof(*known));
	size_t first = find_row(table, init_pid);

	if (known && first < table->count)
		known[first] = KIN_OURS;
	json_array_begin(json, "processes");
	for (size_t i = 0; known && first < table->count && i < table->count; i++) {
		if (kin_of(table, i, known) != KIN_OURS)
			continue;
		if (evidence->processes++ < EVIDENCE_PROCESSES_MAX)
			put_process(json, table->rows[i].pid, table->redactor, evidence);
		else
			evidence->cut = true;
	}
	json_array_end(json);
	evidence->cut |= !known;
}

/* ---- the child's words ---- */

struct frame {
	uint32_t index, processes, cut, length;
};

/* head, processes, and how many: an object. */
static void put_object(const struct evidence_subject *subject, const struct evidence_table *table,
	struct evidence *evidence, struct text *text)
{
	struct json j = {.out = text};

	json_object_begin(&j, NULL);
	text_puts(text, subject->head);
	j.has_member[0] = subject->head[0] != '\0';
	if (table)
		put_processes(table, subject->init_pid, &j, evidence);
	else
		json_put_null(&j, "processes");
	json_put_u64(&j, "process_count", evidence->processes);
	json_put_bool(&j, "cut", evidence->cut);
	json_object_end(&j);
	text_puts(text, "\n");
}

static void look_and_tell(const struct evidence_subject *subjects, size_t count, int pipe_fd)
{
	struct evidence_table table = {0};
	struct error err = {0};

	if (redactor_create(&table.redactor, &err) < 0)
		table.redactor = NULL;
	scan(&table);
	for (size_t i = 0; i < count; i++) {
		struct evidence evidence = {0};
		autotext struct text text = {0};
		struct frame frame;

		put_object(&subjects[i], &table, &evidence, &text);
		frame = (struct frame){(uint32_t)i, evidence.processes, evidence.cut,
			text.failed ? 0 : (uint32_t)text.length};
		if (io_write_all(pipe_fd, &frame, sizeof(frame)) < 0 ||
			io_write_all(pipe_fd, text_string(&text), frame.length) < 0)
			break;
	}
	_exit(0);
}

/* All that comes until the deadline, or the end. */
static void hear(int pipe_fd, uint64_t deadline_ns, struct text *all)
{
	char chunk[65536];

	for (;;) {
		uint64_t now = now_ns();
		struct pollfd p = {.fd = pipe_fd, .events = POLLIN};
		ssize_t n;

		if (now >= deadline_ns ||
			poll(&p, 1, (int)((deadline_ns - now) / 1000000) + 1) <= 0)
			return;
		n = read(pipe_fd, chunk, sizeof(chunk));
		if (n <= 0 || all->length > EVIDENCE_BYTES_MAX)
			return;
		text_append(all, chunk, (size_t)n);
	}
}

static void take_frames(
	const struct evidence_subject *subjects, size_t count, const struct text *all)
{
	const char *bytes = text_string(all);
	struct frame frame;

	for (size_t at = 0; !all->failed && at + sizeof(frame) <= all->length;) {
		const struct evidence_subject *subject;

		memcpy(&frame, bytes + at, sizeof(frame));
		at += sizeof(frame);
		if (frame.index >= count || frame.length > all->length - at)
			return;
		subject = &subjects[frame.index];
		subject->evidence->processes = frame.processes;
		subject->evidence->cut = frame.cut;
		text_append(subject->text, bytes + at, frame.length);
		at += frame.length;
	}
}

void evidence_look(const struct evidence_subject *subjects, size_t count, unsigned wait_ms)
{
	uint64_t deadline = now_ns() + (uint64_t)wait_ms * 1000000;
	autotext struct text all = {0};
	int ends[2] = {-1, -1};
	pid_t pid = -1;

	if (count && pipe2(ends, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
		look_and_tell(subjects, count, ends[1]);
	own_close(&ends[1]);
	if (pid > 0) {
		hear(ends[0], deadline, &all);
		kill(pid, SIGKILL);
		/* One that waits in the kernel is left to whoever reaps this process's children. */
		waitpid(pid, NULL, WNOHANG);
	}
	own_close(&ends[0]);
	take_frames(subjects, count, &all);
	for (size_t i = 0; i < count; i++) {
		if (subjects[i].text->length > 0)
			continue;
		subjects[i].evidence->cut = true;
		put_object(&subjects[i], NULL, subjects[i].evidence, subjects[i].text);
	}
}
