/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/io.h"
#include "daemon/planner.h"
#include "daemon/role.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* This program is the planner as well: see main(). */

/* ---- what it answers ---- */

static void put(const struct node *node, struct text *out)
{
	text_printf(out, "%d %d %s %s %u:%u", (int)node->kind, node->plain,
		node->text ? node->text : "-", node->key ? node->key : "-", node->at.line,
		node->at.column);
	if (node->key)
		text_printf(out, " %u:%u", node->key_at.line, node->key_at.column);
	text_printf(out, " %s %zu\n", node->at.file, node->count);
	for (const struct node *entry = node->first; entry; entry = entry->next)
		put(entry, out);
}

/* All that a caller of document_parse() can see. */
static void read_document(const char *words, size_t length, struct text *out)
{
	struct source_file file = {.name = "some.yaml", .data = words, .length = length};
	struct diagnostics d = {.out = out, .files = &file};
	autoarena struct arena arena = {0};
	struct node *root = NULL;
	int r = document_parse(&arena, &d, &file, &root);

	text_printf(out, "%d %u %u %u\n", r, d.errors, d.warnings, d.notes);
	if (r == 0 && root)
		put(root, out);
}

static void read_both_ways(const char *words, size_t length)
{
	autotext struct text here = {0}, there = {0};

	read_document(words, length, &here);
	planners_use();
	read_document(words, length, &there);
	document_parse_by(NULL);
	assert_string_equal(text_string(&here), text_string(&there));
}

static void a_planner_reads_a_file_as_this_process_would(void **state)
{
	static const char *const files[] = {"", "null\n", "version: 1\nname: x\n",
		"a: [1, \"2\", {b: c}]\nk: \"\"\ne:\n", "a: 1\na: 2\nb: 1\nb: 2\n", "a: [1, 2\n",
		"a: &x 1\n", "a: !x 1\n", "%YAML 1.2\n", "a: *b\n", "- a\n- [b, [c, [d]]]\n",
		"a: \"line\\nfeed, \\t tab\"\n", "a: \xff\n", "a: \xe2\x80\xae\n", "\"\": 1\n",
		"? [a]\n: b\n", "--- a\n--- b\n", "a: \xc3\xa9\n",
		"[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n"};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < array_size(files); i++)
		read_both_ways(files[i], strlen(files[i]));
	assert_int_equal(planners_done(&err), 0);
}

static void all_profiles_that_are_shipped_are_read_alike(void **state)
{
	const char *source = getenv("BERM_SOURCE");
	char path[4096];
	DIR *directory;
	struct error err = {0};
	struct dirent *entry;
	size_t count = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/profiles", source ? source : ".");
	directory = opendir(path);
	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		autofree char *words = NULL;
		size_t length = 0;

		if (!strstr(entry->d_name, ".yaml"))
			continue;
		assert_int_equal(io_read_file(dirfd(directory), entry->d_name, DOCUMENT_BYTES_MAX,
					 &words, &length, &err),
			0);
		read_both_ways(words, length);
		count++;
	}
	closedir(directory);
	assert_true(count > 3);
	assert_int_equal(planners_done(&err), 0);
}

static void a_file_of_the_largest_size_is_read(void **state)
{
	autotext struct text words = {0};
	struct error err = {0};

	(void)state;
	text_puts(&words, "a:\n");
	while (words.length < DOCUMENT_BYTES_MAX - 64)
		text_puts(&words, "  - abcdefghijklmnopqrstuvwxyz\n");
	read_both_ways(text_string(&words), words.length);
	assert_int_equal(planners_done(&err), 0);
}

static void a_copy_of_a_process_has_a_planner_of_its_own(void **state)
{
	static const char words[] = "version: 1\n";
	struct error err = {0};
	int status = -1;
	pid_t child;

	(void)state;
	read_both_ways(words, strlen(words));
	child = fork();
	if (child == 0) {
		read_both_ways(words, strlen(words));
		_exit(planners_done(&err) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	read_both_ways(words, strlen(words));
	assert_int_equal(planners_done(&err), 0);
}

/* ---- what it is ---- */

static bool says(const char *status, const char *line)
{
	return strstr(status, line) != NULL;
}

static void a_planner_is_nobody_and_has_nothing(void **state)
{
	struct planner planner = PLANNER_NONE;
	autofree char *status = NULL;
	struct error err = {0};
	size_t descriptors = 0;
	struct dirent *entry;
	char path[64];
	DIR *open_fds;

	(void)state;
	assert_int_equal(planner_start(&planner, &err), 0);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)planner.pid);
	assert_int_equal(io_read_file(AT_FDCWD, path, 16384, &status, NULL, &err), 0);
	assert_true(says(status, "Name:\tberm-planner\n"));
	assert_true(says(status, "CapInh:\t0000000000000000\n"));
	assert_true(says(status, "CapPrm:\t0000000000000000\n"));
	assert_true(says(status, "CapEff:\t0000000000000000\n"));
	assert_true(says(status, "CapAmb:\t0000000000000000\n"));
	assert_true(says(status, "NoNewPrivs:\t1\n"));
	assert_true(says(status, "Seccomp:\t2\n"));
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)planner.pid);
	open_fds = opendir(path);
	while (open_fds && (entry = readdir(open_fds)))
		descriptors += entry->d_name[0] != '.';
	/* Three null devices and its socket; who is not its user cannot look. */
	assert_true(!open_fds || descriptors == 4);
	if (open_fds)
		closedir(open_fds);
	assert_int_equal(planner_end(&planner, &err), 0);
	assert_int_equal(planner.fd, -1);
	if (geteuid() == 0 && access("/proc/self/loginuid", F_OK) == 0)
		assert_false(says(status, "Uid:\t0\t"));
}

/* ---- who says that it is one ---- */

enum { BYTES_MAX = 4096 };

struct hostile {
	const char *name;
	const void *bytes;
	size_t length;
	size_t times;
	bool hangs;
	const char *refusal;
};

static void play(int fd, const struct hostile *row)
{
	uint8_t order[BYTES_MAX];

	(void)!read(fd, order, sizeof(order));
	/* At once, or the second could come when the first was taken. */
	for (size_t i = 0; i < row->times; i++)
		memcpy(order + i * row->length, row->bytes, row->length);
	(void)!send(fd, order, row->times * row->length, MSG_NOSIGNAL);
	while (row->hangs)
		pause();
	_exit(0);
}

/* A child with the other end, that is a planner as little as a row says. */
static struct planner start_hostile(const struct hostile *row)
{
	struct planner planner = {.ms = 2000, .owner = getpid()};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	planner.pid = fork();
	if (planner.pid == 0) {
		close(ends[0]);
		play(ends[1], row);
	}
	close(ends[1]);
	planner.fd = ends[0];
	return planner;
}

static void make_order(Berm__Wire__PlannerOrder *order, Berm__Wire__PlannerDocument *document)
{
	static uint8_t words[] = "a: 1\n";

	berm__wire__planner_order__init(order);
	berm__wire__planner_document__init(document);
	order->version = PLANNER_VERSION;
	order->document = document;
	document->data = (ProtobufCBinaryData){sizeof(words) - 1, words};
}

static void is_refused(const struct hostile *row)
{
	struct planner planner = start_hostile(row);
	Berm__Wire__PlannerAnswer *answer = NULL;
	Berm__Wire__PlannerDocument document;
	Berm__Wire__PlannerOrder order;
	struct error err = {0};
	pid_t pid = planner.pid;

	make_order(&order, &document);
	if (planner_ask(&planner, &order, NULL, &answer, &err) == 0)
		fail_msg("%s: it was taken", row->name);
	assert_null(answer);
	if (!strstr(err.text, row->refusal))
		fail_msg("%s: \"%s\" and not \"%s\"", row->name, err.text, row->refusal);
	/* It is no more, and waited for. */
	assert_int_equal(planner.fd, -1);
	assert_int_equal(kill(pid, 0), -1);
}

static void what_is_no_planner_is_refused_and_ended(void **state)
{
	static const uint8_t garbage[] = "\x20\0\0\0this is not what was asked for..";
	static const uint8_t huge[] = "\xff\xff\xff\x7f";
	static const uint8_t nothing[] = "\0\0\0\0";
	static const uint8_t cut[] = "\x20\0\0\0\x08\x01";
	/* version 1, diagnostics without anything */
	static const uint8_t good[] = "\x04\0\0\0\x08\x01\x2a\0";
	/* the version twice */
	static const uint8_t twice[] = "\x06\0\0\0\x08\x01\x08\x01\x2a\0";
	/* a field that nobody knows */
	static const uint8_t unknown[] = "\x07\0\0\0\x08\x01\x2a\0\xf8\x3f\x01";
	/* EINVAL, and something that it is a no to */
	static const uint8_t silent[] = "\x09\0\0\0\x08\x01\x10\x16\x2a\0\x42\x01\x01";
	/* what is in /etc/shadow */
	static const uint8_t asks[] = "\x13\0\0\0\x08\x01\x3a\x0f\x08\x01\x12\x0b/etc/shadow";
	/* an escape sequence for the terminal */
	static const uint8_t escape[] = "\x07\0\0\0\x08\x01\x2a\x03\x0a\x01\x1b";
	static const struct hostile rows[] = {
		{"garbage", garbage, 36, 1, false, "is none"},
		{"more than anybody takes", huge, 4, 1, true, "too long"},
		{"nothing", nothing, 4, 1, true, "too long"},
		{"half", cut, 6, 1, false, "died"},
		{"half, and waits", cut, 6, 1, true, "did not answer within"},
		{"silence", good, 0, 0, true, "did not answer within"},
		{"the end", good, 0, 0, false, "died"},
		{"two answers", good, 8, 2, true, "more than it was asked"},
		{"a field twice", twice, 10, 1, true, "is none"},
		{"an unknown field", unknown, 11, 1, true, "is none"},
		{"yes and no", silent, 13, 1, true, "yes and no"},
		{"a question", asks, 23, 1, true, "where there are none"},
		{"an escape sequence", escape, 11, 1, true, "cannot be shown"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		is_refused(&rows[i]);
}

static void what_it_says_before_it_is_asked_ends_it(void **state)
{
	struct planner planner = {.ms = 2000, .owner = getpid()};
	Berm__Wire__PlannerAnswer *answer = NULL;
	Berm__Wire__PlannerDocument document;
	Berm__Wire__PlannerOrder order;
	struct error err = {0};
	int ends[2];

	(void)state;
	make_order(&order, &document);
	for (unsigned asked = 0; asked < 2; asked++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		assert_int_equal(write(ends[1], "x", 1), 1);
		planner.fd = ends[0];
		planner.pid = 0;
		assert_int_equal(asked ? planner_ask(&planner, &order, NULL, &answer, &err)
				       : planner_end(&planner, &err),
			-EPROTO);
		assert_int_equal(planner.fd, -1);
		close(ends[1]);
	}
}

/* ---- trees that no file makes ---- */

static Berm__Wire__PlannerNode node_of(uint32_t kind, const char *key, uint32_t count)
{
	Berm__Wire__PlannerNode node;

	berm__wire__planner_node__init(&node);
	node.kind = kind;
	node.line = node.column = 1;
	node.key = (char *)(uintptr_t)key;
	node.key_line = node.key_column = key[0] != '\0';
	node.count = count;
	return node;
}

static int take(Berm__Wire__PlannerNode *nodes, size_t count, struct error *err)
{
	Berm__Wire__PlannerNode *pointers[64];
	Berm__Wire__PlannerAnswer answer;
	autoarena struct arena arena = {0};
	struct node *root = NULL;
	int r;

	berm__wire__planner_answer__init(&answer);
	for (size_t i = 0; i < count; i++)
		pointers[i] = &nodes[i];
	answer.nodes = pointers;
	answer.n_nodes = count;
	r = planner_nodes_take(&answer, &arena, "f", &root, err);
	assert_true((r == 0) == (root != NULL));
	return r;
}

static void a_tree_that_no_file_makes_is_refused(void **state)
{
	static char bell[] = "\a", word[] = "x";
	Berm__Wire__PlannerNode nodes[64];
	struct error err = {0};

	(void)state;
#define REFUSED(n) assert_int_equal(take(nodes, n, &err), -EPROTO)
	nodes[0] = node_of(NODE_MAPPING, "", 2);
	nodes[1] = node_of(NODE_SCALAR, "a", 0);
	nodes[2] = node_of(NODE_SCALAR, "b", 0);
	assert_int_equal(take(nodes, 3, &err), 0);
	REFUSED(2); /* fewer than it says */
	nodes[2].key = nodes[1].key;
	REFUSED(3); /* a key twice */
	nodes[2] = node_of(NODE_SCALAR, "", 0);
	REFUSED(3); /* an entry without a key */
	nodes[0] = node_of(NODE_LIST, "", 1);
	REFUSED(2); /* a key in a list */
	nodes[1] = node_of(NODE_SCALAR, "", 0);
	assert_int_equal(take(nodes, 2, &err), 0);
	REFUSED(3); /* more than the tree has */
	nodes[1].kind = NODE_MAPPING + 1;
	REFUSED(2);
	nodes[1] = node_of(NODE_SCALAR, "", 1);
	REFUSED(3); /* entries of a scalar */
	nodes[1] = node_of(NODE_SCALAR, "", 0);
	nodes[1].line = 0;
	REFUSED(2); /* a place that is none */
	nodes[1] = node_of(NODE_SCALAR, "", 0);
	nodes[1].text = bell;
	REFUSED(2); /* what no file may hold */
	nodes[1] = node_of(NODE_LIST, "", 0);
	nodes[1].text = word;
	REFUSED(2); /* a list with words */
	for (size_t i = 0; i < DOCUMENT_DEPTH_MAX + 1; i++)
		nodes[i] = node_of(NODE_LIST, "", 1);
	nodes[DOCUMENT_DEPTH_MAX].count = 0;
	REFUSED(DOCUMENT_DEPTH_MAX + 1); /* deeper than any file */
	nodes[DOCUMENT_DEPTH_MAX - 1].count = 0;
	assert_int_equal(take(nodes, DOCUMENT_DEPTH_MAX, &err), 0);
	nodes[0] = node_of(NODE_LIST, "", UINT32_MAX);
	REFUSED(2);
#undef REFUSED
}

int main(int argc, char **argv)
{
	enum role_kind role = role_find(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_planner_reads_a_file_as_this_process_would),
		cmocka_unit_test(all_profiles_that_are_shipped_are_read_alike),
		cmocka_unit_test(a_file_of_the_largest_size_is_read),
		cmocka_unit_test(a_copy_of_a_process_has_a_planner_of_its_own),
		cmocka_unit_test(a_planner_is_nobody_and_has_nothing),
		cmocka_unit_test(what_is_no_planner_is_refused_and_ended),
		cmocka_unit_test(what_it_says_before_it_is_asked_ends_it),
		cmocka_unit_test(a_tree_that_no_file_makes_is_refused),
	};

	if (role != ROLE_COUNT)
		return role_main(role, argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
