/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planner-wire.h"

#include "base/text.h"
#include "wire/strict.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LENGTH_BYTES 4
#define COUNT_MAX 1000000

/* ---- frames ---- */

uint64_t planner_until(unsigned ms)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 + ms;
}

static int wait_for(int fd, short events, uint64_t until)
{
	uint64_t now = planner_until(0);
	struct pollfd p = {.fd = fd, .events = events};
	int r;

	if (until && now >= until)
		return -ETIMEDOUT;
	r = poll(&p, 1, until ? (int)(until - now) : -1);
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t length, uint64_t until)
{
	while (length > 0) {
		int r = wait_for(fd, POLLOUT, until);
		ssize_t n = r < 0 ? 0 : send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r < 0)
			return r;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

int planner_receive_bytes(int fd, void *data, size_t length, uint64_t until)
{
	uint8_t *bytes = data;

	while (length > 0) {
		int r = wait_for(fd, POLLIN, until);
		ssize_t n = r < 0 ? 0 : recv(fd, bytes, length, MSG_DONTWAIT);

		if (r < 0)
			return r;
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
		if (n > 0) {
			bytes += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

int planner_send(int fd, const ProtobufCMessage *message, size_t max, uint64_t until)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	autofree uint8_t *frame = NULL;

	if (length == 0 || length > max)
		return -EMSGSIZE;
	frame = malloc(LENGTH_BYTES + length);
	if (!frame)
		return -ENOMEM;
	for (unsigned i = 0; i < LENGTH_BYTES; i++)
		frame[i] = (uint8_t)(length >> (8 * i));
	protobuf_c_message_pack(message, frame + LENGTH_BYTES);
	return write_all(fd, frame, LENGTH_BYTES + length, until);
}

int planner_receive(int fd, size_t max, uint64_t until, uint8_t **ret_bytes, size_t *ret_length)
{
	uint8_t head[LENGTH_BYTES] = {0};
	autofree uint8_t *bytes = NULL;
	size_t length = 0;
	int r = planner_receive_bytes(fd, head, sizeof(head), until);

	for (unsigned i = 0; i < LENGTH_BYTES; i++)
		length |= (size_t)head[i] << (8 * i);
	if (r < 0)
		return r;
	if (length == 0 || length > max)
		return -EPROTO;
	bytes = malloc(length);
	if (!bytes)
		return -ENOMEM;
	r = planner_receive_bytes(fd, bytes, length, until);
	if (r < 0)
		return r;
	*ret_bytes = take_ptr(&bytes);
	*ret_length = length;
	return 0;
}

/* ---- messages ---- */

Berm__Wire__PlannerOrder *planner_order_read(const uint8_t *bytes, size_t length)
{
	Berm__Wire__PlannerOrder *order = message_read(&berm__wire__planner_order__descriptor,
		bytes, length, (struct message_bounds){.repeated = PLANNER_REPEATED_MAX});

	if (!order ||
		(order->version == PLANNER_VERSION &&
			!!order->document + !!order->load + !!order->compile + !!order->file == 1))
		return order;
	berm__wire__planner_order__free_unpacked(order, NULL);
	return NULL;
}

static int wrong(struct error *err, const char *what)
{
	return error_set(err, -EPROTO, ERROR_INTERNAL, "the planner's answer %s", what);
}

static bool is_shown_as_it_is(const char *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		uint32_t point = 0;
		size_t n = text_decode(text + i, length - i, &point);

		if (!n || (text_point_is_deceptive(point) && point != '\n' && point != '\t'))
			return false;
		i += n;
	}
	return true;
}

static int check_question(const Berm__Wire__PlannerQuestion *question, struct error *err)
{
	const ProtobufCBinaryData *path = &question->path;

	if (question->want == BERM__WIRE__PLANNER_WANT__PLANNER_WANT_UNSPECIFIED ||
		question->want > BERM__WIRE__PLANNER_WANT__PLANNER_WANT_REAL)
		return wrong(err, "asks for nothing that there is");
	if (path->len == 0 || path->len >= PATH_MAX || memchr(path->data, 0, path->len))
		return wrong(err, "asks about no path");
	return 0;
}

static int check_said(const Berm__Wire__PlannerDiagnostics *said, struct error *err)
{
	if (!said)
		return wrong(err, "does not say what is wrong with the file");
	if (said->text.len > PLANNER_DIAGNOSTICS_MAX ||
		!is_shown_as_it_is((const char *)said->text.data, said->text.len))
		return wrong(err, "says what cannot be shown");
	if (said->errors > COUNT_MAX || said->warnings > COUNT_MAX || said->notes > COUNT_MAX)
		return wrong(err, "counts what cannot be");
	return 0;
}

static int check_answer(const Berm__Wire__PlannerAnswer *answer, struct error *err)
{
	unsigned bodies = (answer->n_nodes > 0) + (answer->question != NULL) +
			  (answer->profile.len > 0) + (answer->plan != NULL);
	int r;

	if (answer->version != PLANNER_VERSION)
		return wrong(err, "is of another version");
	if (answer->error > 4095 || answer->kind >= ERROR_KIND_COUNT ||
		(!answer->error && (answer->kind || answer->reason[0])))
		return wrong(err, "has an error that is none");
	if (strlen(answer->reason) >= ERROR_TEXT_MAX ||
		!is_shown_as_it_is(answer->reason, strlen(answer->reason)))
		return wrong(err, "has a reason that cannot be shown");
	if (bodies > 1 || (bodies && answer->error))
		return wrong(err, "says yes and no");
	r = answer->question ? check_question(answer->question, err)
			     : check_said(answer->diagnostics, err);
	if (r == 0 && answer->question && answer->diagnostics)
		return wrong(err, "is one and asks");
	return r;
}

int planner_answer_read(const uint8_t *bytes, size_t length, Berm__Wire__PlannerAnswer **ret_answer,
	struct error *err)
{
	Berm__Wire__PlannerAnswer *answer = NULL;
	int r;

	if (length > 0 && length <= PLANNER_MESSAGE_MAX)
		answer = message_read(&berm__wire__planner_answer__descriptor, bytes, length,
			(struct message_bounds){.repeated = PLANNER_REPEATED_MAX});
	r = answer ? check_answer(answer, err) : wrong(err, "is none");
	if (r == 0)
		*ret_answer = answer;
	else if (answer)
		berm__wire__planner_answer__free_unpacked(answer, NULL);
	return r;
}

/* ---- trees ---- */

static size_t count_nodes(const struct node *node)
{
	size_t count = 1;

	for (const struct node *entry = node->first; entry; entry = entry->next)
		count += count_nodes(entry);
	return count;
}

/* -ENOMEM leaves a message that can be released. */
static int put_node(const struct node *node, Berm__Wire__PlannerAnswer *answer)
{
	Berm__Wire__PlannerNode *to = malloc(sizeof(*to));
	int r = 0;

	if (!to)
		return -ENOMEM;
	berm__wire__planner_node__init(to);
	answer->nodes[answer->n_nodes++] = to;
	to->kind = (uint32_t)node->kind;
	to->plain = node->plain;
	to->line = node->at.line;
	to->column = node->at.column;
	to->count = (uint32_t)node->count;
	to->text = strdup(node->text ? node->text : "");
	to->key = strdup(node->key ? node->key : "");
	if (node->key) {
		to->key_line = node->key_at.line;
		to->key_column = node->key_at.column;
	}
	if (!to->text || !to->key)
		return -ENOMEM;
	for (const struct node *entry = node->first; entry && r == 0; entry = entry->next)
		r = put_node(entry, answer);
	return r;
}

int planner_nodes_put(const struct node *root, Berm__Wire__PlannerAnswer *answer)
{
	if (!root)
		return 0;
	answer->nodes = calloc(count_nodes(root), sizeof(Berm__Wire__PlannerNode *));
	return answer->nodes ? put_node(root, answer) : -ENOMEM;
}

struct taker {
	const Berm__Wire__PlannerAnswer *answer;
	struct arena *arena;
	const char *name;
	size_t at; /* of the nodes, the next one */
	bool has_errors;
	struct error *err;
};

/* What no parsed file has: a scalar with entries, an entry of a mapping without a key … */
static int check_node(const struct taker *t, const Berm__Wire__PlannerNode *from,
	const struct node *parent, unsigned depth)
{
	bool scalar = from->kind == NODE_SCALAR, keyed = parent && parent->kind == NODE_MAPPING;
	size_t left = t->answer->n_nodes - t->at;

	if (from->kind > NODE_MAPPING || (scalar ? from->count > 0 : from->text[0] || from->plain))
		return wrong(t->err, "has a value of no kind");
	if (from->count > left || (!scalar && depth >= DOCUMENT_DEPTH_MAX) ||
		(from->kind == NODE_MAPPING && from->count > DOCUMENT_KEYS_MAX))
		return wrong(t->err, "has more values than there are");
	if (keyed != (from->key[0] != '\0') || (!keyed && (from->key_line || from->key_column)))
		return wrong(t->err, "has a key where none is, or none where one is");
	if (from->line == 0 || from->column == 0 || (keyed && !from->key_line))
		return wrong(t->err, "has a value that stands nowhere");
	if (strlen(from->text) > DOCUMENT_SCALAR_BYTES_MAX ||
		!is_shown_as_it_is(from->text, strlen(from->text)) ||
		!is_shown_as_it_is(from->key, strlen(from->key)))
		return wrong(t->err, "has a value that no file may have");
	return 0;
}

static int take_node(struct taker *t, struct node *parent, unsigned depth, struct node **ret_node)
{
	const Berm__Wire__PlannerNode *from;
	struct node *node;
	int r;

	if (t->at == t->answer->n_nodes)
		return wrong(t->err, "has fewer values than it says");
	from = t->answer->nodes[t->at++];
	r = check_node(t, from, parent, depth);
	if (r < 0)
		return r;
	node = arena_alloc(t->arena, sizeof(*node));
	if (!node)
		return -ENOMEM;
	*ret_node = node;
	node->kind = (enum node_kind)from->kind;
	node->plain = from->plain;
	node->at = (struct source){t->name, from->line, from->column};
	node->text = node->kind == NODE_SCALAR ? arena_string(t->arena, from->text) : NULL;
	if (from->key[0]) {
		node->key = arena_string(t->arena, from->key);
		node->key_at = (struct source){t->name, from->key_line, from->key_column};
	}
	if ((node->kind == NODE_SCALAR && !node->text) || (from->key[0] && !node->key))
		return -ENOMEM;
	for (uint32_t i = 0; i < from->count && r == 0; i++) {
		struct node *entry = NULL;

		r = take_node(t, node, depth + 1, &entry);
		if (r < 0 || !entry)
			return r < 0 ? r : -EPROTO;
		/* One error of several that are all shown; no caller goes on with such a tree. */
		if (entry->key && !t->has_errors && node_get(node, entry->key))
			return wrong(t->err, "has a key twice");
		if (node->last)
			node->last->next = entry;
		else
			node->first = entry;
		node->last = entry;
		node->count++;
	}
	return r;
}

int planner_nodes_take(const Berm__Wire__PlannerAnswer *answer, struct arena *arena,
	const char *name, struct node **ret_root, struct error *err)
{
	struct taker t = {.answer = answer,
		.arena = arena,
		.name = name,
		.err = err,
		.has_errors = answer->diagnostics && answer->diagnostics->errors};
	struct node *root = NULL;
	int r;

	if (answer->n_nodes > DOCUMENT_NODES_MAX)
		return wrong(err, "has more values than a file");
	r = answer->n_nodes ? take_node(&t, NULL, 0, &root) : 0;

	if (r == 0 && t.at < answer->n_nodes)
		r = wrong(err, "has more values than its tree");
	if (r == 0)
		*ret_root = root;
	return r;
}
