/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/document.h"

#include <string.h>
#include <yaml.h>

struct builder {
	struct arena *arena;
	struct diagnostics *d;
	const struct source_file *file;
	struct node *open[DOCUMENT_DEPTH_MAX]; /* containers that have not ended, outermost first */
	unsigned depth;
	size_t nodes;
	struct node *root;
	const char *key; /* of the innermost mapping, waiting for its value */
	struct source key_at;
};

const struct node *node_get(const struct node *mapping, const char *key)
{
	for (const struct node *entry = mapping->first; entry; entry = entry->next) {
		if (strcmp(entry->key, key) == 0)
			return entry;
	}
	return NULL;
}

bool node_is_null(const struct node *node)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	for (size_t i = 0; i < array_size(words); i++) {
		if (node->kind == NODE_SCALAR && node->plain && strcmp(node->text, words[i]) == 0)
			return true;
	}
	return false;
}

static void scalar_words(const struct node *node, struct text *out)
{
	bool bare =
		node->text[0] && !strpbrk(node->text, " ,:{}[]\"\\\n\t") &&
		(node->plain || !node_is_null(&(struct node){.plain = true, .text = node->text}));

	if (bare) {
		text_puts(out, node->text);
		return;
	}
	text_puts(out, "\"");
	for (const char *c = node->text; *c; c++) {
		if (strchr("\"\\", *c))
			text_puts(out, "\\");
		text_append(out, c, 1);
	}
	text_puts(out, "\"");
}

/* Not deeper than a document may be. */
void node_words(const struct node *node, struct text *out)
{
	bool list = node->kind == NODE_LIST;

	if (node->kind == NODE_SCALAR) {
		scalar_words(node, out);
		return;
	}
	text_puts(out, list ? "[" : "{");
	for (const struct node *entry = node->first; entry; entry = entry->next) {
		if (entry != node->first)
			text_puts(out, ", ");
		if (!list) {
			scalar_words(&(struct node){.plain = true, .text = entry->key}, out);
			text_puts(out, ": ");
		}
		node_words(entry, out);
	}
	text_puts(out, list ? "]" : "}");
}

static struct source place_of(const struct builder *b, const yaml_mark_t *mark)
{
	return (struct source){b->file->name, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

/* Printable ASCII: nearly all of every file, and never a problem. */
static bool is_plain(char c)
{
	return c >= ' ' && c <= '~';
}

/* What no profile needs and what makes a file look different from what it says, before libyaml sees
 * a byte: it takes a lone CR, NEL and the Unicode separators for line ends, editors do not. */
static int check_bytes(struct diagnostics *d, const struct source_file *file)
{
	struct source at = {file->name, 1, 1};

	for (size_t i = 0; i < file->length;) {
		unsigned char c = (unsigned char)file->data[i];
		uint32_t point = c;
		size_t n = 1;

		if (is_plain((char)c) && (c != '%' || at.column > 1)) {
			at.column++;
			i++;
			continue;
		}
		if (c >= 0x80)
			n = text_decode(file->data + i, file->length - i, &point);
		if (i == 0 && (point == 0xfeff || c == 0xff || c == 0xfe || (n && c == 0)))
			diagnostics_report(d, CODE_ENCODING, at,
				"the file begins with a byte order mark or is UTF-16; save "
				"it as plain UTF-8");
		else if (!n)
			diagnostics_report(d, CODE_ENCODING, at, "byte 0x%02x is not UTF-8", c);
		else if (point == '\r')
			diagnostics_report(d, CODE_ENCODING, at,
				"carriage return; lines must end in a line feed alone");
		else if (point != '\n' && point != '\t' && text_point_is_deceptive(point))
			diagnostics_report(d, CODE_ENCODING, at,
				"character U+%04X is invisible or changes how the line is "
				"shown",
				point);
		else if (c == '%' && at.column == 1)
			diagnostics_report(d, CODE_TAG, at,
				"YAML directives are not part of the "
				"profile language; quote a leading %%");
		else {
			at.column = point == '\n' ? 1 : at.column + 1;
			at.line += point == '\n';
			i += n;
			continue;
		}
		return -EINVAL;
	}
	return 0;
}

static const char *line_of(const struct source_file *file, size_t number)
{
	const char *line = file->data;

	while (line && number-- > 0) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return line ? line : "";
}

/* The bytes that start the character at a mark and the one before it; NUL where there is none. */
static void bytes_at(const struct source_file *file, const yaml_mark_t *mark, char ret_bytes[2])
{
	const char *at = line_of(file, mark->line);
	const char *end = at + strcspn(at, "\n");

	ret_bytes[0] = ret_bytes[1] = '\0';
	for (size_t n = 0; n <= mark->column && at < end; n++) {
		uint32_t point;
		size_t bytes = text_decode(at, (size_t)(end - at), &point);

		ret_bytes[0] = ret_bytes[1];
		ret_bytes[1] = *at;
		at += bytes ? bytes : 1;
	}
	if (at == end && mark->column > 0 &&
		(size_t)(end - line_of(file, mark->line)) <= mark->column)
		ret_bytes[0] = ret_bytes[1], ret_bytes[1] = '\0';
}

static bool line_has_variable(const struct source_file *file, size_t number)
{
	const char *line = line_of(file, number);

	return memmem(line, strcspn(line, "\n"), "${", 2) != NULL;
}

/* Report what libyaml stopped at, with a hint where its words would not help. */
static void report_syntax(struct builder *b, const yaml_parser_t *parser)
{
	struct source at = place_of(b, &parser->problem_mark);
	const char *problem = parser->problem ? parser->problem : "this is not YAML";
	char bytes[2];

	bytes_at(b->file, &parser->problem_mark, bytes);
	if (bytes[1] == '*' || bytes[0] == '*') {
		at.column -= bytes[1] != '*';
		diagnostics_report(b->d, CODE_QUOTE, at,
			"`*` starts a YAML alias here; quote it: \"*.example.com\"");
	} else if (bytes[1] == '@') {
		diagnostics_report(b->d, CODE_QUOTE, at,
			"`@` cannot begin a word; groups are written without it: mount");
	} else if (bytes[1] == '%' || bytes[1] == '`') {
		diagnostics_report(
			b->d, CODE_QUOTE, at, "\"%c\" cannot begin a word; quote it", bytes[1]);
	} else if (strstr(problem, "expected ','") &&
		   line_has_variable(b->file, parser->context_mark.line)) {
		diagnostics_report(b->d, CODE_QUOTE, at,
			"%s; quote `${…}` inside [ ] and { }: \"${HOME}/x\"", problem);
	} else {
		diagnostics_report(b->d, CODE_SYNTAX, at, "%s%s%s", problem,
			parser->context ? " " : "", parser->context ? parser->context : "");
	}
}

static int refuse(struct builder *b, enum code_id code, const yaml_mark_t *mark, const char *what)
{
	diagnostics_report(b->d, code, place_of(b, mark), "%s", what);
	return -EINVAL;
}

static int check_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;

	if (length > DOCUMENT_SCALAR_BYTES_MAX)
		return refuse(b, CODE_TOO_BIG, &event->start_mark, "a value is longer than 64 KiB");
	for (size_t i = 0; i < length;) {
		uint32_t point = 0;
		size_t n;

		if (is_plain(text[i])) {
			i++;
			continue;
		}
		n = text_decode(text + i, length - i, &point);
		if (!n || (text_point_is_deceptive(point) && point != '\n' && point != '\t'))
			return refuse(b, CODE_ENCODING, &event->start_mark,
				"the value holds a control or invisible character");
		i += n;
	}
	return 0;
}

/* Not the end: a file may have several, and all are worth showing. */
static void report_duplicate(struct builder *b, const struct node *same, struct source at)
{
	char trail[256] = "";
	size_t used = 0;

	for (unsigned i = 0; i < b->depth; i++) {
		if (b->open[i]->key && used < sizeof(trail))
			used += (size_t)snprintf(
				trail + used, sizeof(trail) - used, "%s.", b->open[i]->key);
	}
	diagnostics_report(b->d, CODE_DUPLICATE_KEY, at, "duplicate key `%s%s` (first at line %u)",
		trail, same->key, same->key_at.line);
}

/* A scalar where a mapping waits for a key. */
static int take_key(struct builder *b, const yaml_event_t *event)
{
	struct node *mapping = b->open[b->depth - 1];
	const char *key = (const char *)event->data.scalar.value;
	const struct node *same = node_get(mapping, key);
	struct source at = place_of(b, &event->start_mark);

	if (event->data.scalar.length == 0)
		return refuse(b, CODE_EMPTY, &event->start_mark, "a key is empty");
	if (same)
		report_duplicate(b, same, at);
	if (mapping->count == DOCUMENT_KEYS_MAX)
		return refuse(
			b, CODE_TOO_BIG, &event->start_mark, "a mapping has more than 512 keys");
	b->key = arena_copy(b->arena, key, event->data.scalar.length);
	b->key_at = at;
	return b->key ? 0 : -ENOMEM;
}

static int add_node(struct builder *b, const yaml_event_t *event, enum node_kind kind)
{
	struct node *parent = b->depth ? b->open[b->depth - 1] : NULL;
	struct node *node;

	if (++b->nodes > DOCUMENT_NODES_MAX)
		return refuse(b, CODE_TOO_BIG, &event->start_mark, "more than 20000 values");
	if (parent && parent->kind == NODE_MAPPING && !b->key)
		return kind == NODE_SCALAR
			       ? take_key(b, event)
			       : refuse(b, CODE_WRONG_TYPE, &event->start_mark,
					 "a key must be a word, not a list or a mapping");
	if (kind != NODE_SCALAR && b->depth == DOCUMENT_DEPTH_MAX)
		return refuse(
			b, CODE_TOO_BIG, &event->start_mark, "nested more than 16 levels deep");
	node = arena_alloc(b->arena, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->kind = kind;
	node->at = place_of(b, &event->start_mark);
	node->key = b->key;
	node->key_at = b->key_at;
	b->key = NULL;
	if (kind == NODE_SCALAR) {
		node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		node->text = arena_copy(b->arena, (const char *)event->data.scalar.value,
			event->data.scalar.length);
		if (!node->text)
			return -ENOMEM;
	} else {
		b->open[b->depth++] = node;
	}
	if (!parent) {
		b->root = node;
		return 0;
	}
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->count++;
	return 0;
}

static int check_marks(
	struct builder *b, const yaml_event_t *event, const void *anchor, const void *tag)
{
	if (anchor)
		return refuse(b, CODE_ALIAS, &event->start_mark,
			"`&` starts a YAML anchor; anchors are not part of the profile "
			"language, quote the text if it is meant literally");
	if (tag)
		return refuse(b, CODE_TAG, &event->start_mark,
			"`!` starts a YAML tag; tags are not part of the profile language, "
			"quote the text if it is meant literally");
	return 0;
}

static int take_event(struct builder *b, const yaml_event_t *event)
{
	int r;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return refuse(b, CODE_ALIAS, &event->start_mark,
			"`*` starts a YAML alias here; quote it: \"*\"");
	case YAML_SCALAR_EVENT:
		r = check_marks(b, event, event->data.scalar.anchor, event->data.scalar.tag);
		if (r == 0)
			r = check_scalar(b, event);
		return r ? r : add_node(b, event, NODE_SCALAR);
	case YAML_SEQUENCE_START_EVENT:
		r = check_marks(b, event, event->data.sequence_start.anchor,
			event->data.sequence_start.tag);
		return r ? r : add_node(b, event, NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		r = check_marks(
			b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
		return r ? r : add_node(b, event, NODE_MAPPING);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		if (b->root)
			return refuse(b, CODE_SECOND_DOCUMENT, &event->start_mark,
				"a second document begins here; a profile is one document");
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	}
	return -EINVAL;
}

static void parser_finish(yaml_parser_t *parser)
{
	yaml_parser_delete(parser);
}

static document_parser *other_parser;

void document_parse_by(document_parser *parser)
{
	other_parser = parser;
}

static int parse_here(struct arena *arena, struct diagnostics *d, const struct source_file *file,
	struct node **ret_root)
{
	struct builder b = {.arena = arena, .d = d, .file = file};
	__attribute__((cleanup(parser_finish))) yaml_parser_t parser = {0};
	bool ended = false;
	int r = check_bytes(d, file);

	if (r)
		return r;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)file->data, file->length);
	while (!ended) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			if (parser.error == YAML_MEMORY_ERROR)
				return -ENOMEM;
			report_syntax(&b, &parser);
			return -EINVAL;
		}
		r = take_event(&b, &event);
		ended = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
		if (r)
			return r;
	}
	*ret_root = b.root;
	return 0;
}

int document_parse(struct arena *arena, struct diagnostics *d, const struct source_file *file,
	struct node **ret_root)
{
	document_parser *parser = other_parser ? other_parser : parse_here;

	return parser(arena, d, file, ret_root);
}
