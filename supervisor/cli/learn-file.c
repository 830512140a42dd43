/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/learn.h"

#include "base/io.h"
#include "base/path.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#define FILE_BYTES_MAX (64u << 20)
#define VERSION 1

static const char *const there_words[LEARN_THERE_COUNT] = {[LEARN_ABSENT] = "absent",
	[LEARN_FILE] = "file",
	[LEARN_DIRECTORY] = "directory",
	[LEARN_OTHER] = "other"};

static bool is_utf8(const char *bytes)
{
	size_t left = strlen(bytes), n;
	uint32_t point;

	for (; left > 0; left -= n, bytes += n) {
		n = text_decode(bytes, left, &point);
		if (n == 0)
			return false;
	}
	return true;
}

/* JSON has no bytes: what is no text is written in hexadecimal. */
static void put_object(struct json *j, const char *object)
{
	autotext struct text hex = {0};

	if (is_utf8(object)) {
		json_put_string(j, "object", object);
		return;
	}
	for (; *object; object++)
		text_printf(&hex, "%02x", (unsigned char)*object);
	json_put_string(j, "object_hex", text_string(&hex));
	j->out->failed |= hex.failed;
}

static void put_runs(struct json *j, const char *key, uint64_t runs)
{
	json_array_begin(j, key);
	for (unsigned i = 0; i < LEARN_RUNS_MAX; i++) {
		if (runs >> i & 1)
			json_put_u64(j, NULL, i);
	}
	json_array_end(j);
}

void learn_file_write(const struct learn *learn, const char *workdir, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", VERSION);
	json_put_string(&j, "workdir", workdir);
	json_put_u64(&j, "runs", learn->runs);
	put_runs(&j, "failed", learn->failed);
	json_put_u64(&j, "lost", learn->lost);
	json_object_begin(&j, "peaks");
	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		if (learn->peaks[cap].known)
			json_put_u64(&j, learn_cap_name(cap), learn->peaks[cap].value);
	}
	json_object_end(&j);
	json_array_begin(&j, "observations");
	for (size_t i = 0; i < learn->count; i++) {
		const struct learn_observation *seen = &learn->items[i];

		json_object_begin(&j, NULL);
		json_put_string(&j, "operation", operation_name(seen->operation));
		put_object(&j, seen->object);
		json_put_string(&j, "there", there_words[seen->there]);
		json_put_bool(&j, "of_root", seen->of_root);
		put_runs(&j, "runs", seen->runs);
		json_put_u64(&j, "count", seen->count);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	text_puts(out, "\n");
}

/* ---- reading ---- */

static bool read_number(const json_t *value, uint64_t most, uint64_t *ret_number)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		(uint64_t)json_integer_value(value) > most)
		return false;
	*ret_number = (uint64_t)json_integer_value(value);
	return true;
}

static bool read_runs(const json_t *list, unsigned runs, uint64_t *ret_runs)
{
	if (!json_is_array(list))
		return false;
	*ret_runs = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		uint64_t run;

		if (!read_number(json_array_get(list, i), runs - 1, &run))
			return false;
		*ret_runs |= 1ULL << run;
	}
	return true;
}

static int digit(char c)
{
	const char *const digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The object in a new string; NULL where it is none. */
static char *read_object(const json_t *seen)
{
	const char *text = json_string_value(json_object_get(seen, "object"));
	const char *hex = json_string_value(json_object_get(seen, "object_hex"));
	size_t n = hex ? strlen(hex) : 0;
	char *object;

	if (text)
		return strdup(text);
	object = n && n % 2 == 0 ? calloc(n / 2 + 1, 1) : NULL;
	for (size_t i = 0; object && i < n; i += 2) {
		int high = digit(hex[i]), low = digit(hex[i + 1]);

		if (high < 0 || low < 0 || high + low == 0) {
			own_free(&object);
			return NULL;
		}
		object[i / 2] = (char)(high << 4 | low);
	}
	return object;
}

static bool is_sound(const struct learn_observation *seen)
{
	switch (seen->operation) {
	case OPERATION_READ:
	case OPERATION_WRITE:
	case OPERATION_EXEC:
		return strlen(seen->object) < PATH_MAX && path_is_normal(seen->object);
	case OPERATION_CONNECT:
	case OPERATION_SYSCALL:
		return seen->object[0] != '\0';
	case OPERATION_ENV:
	case OPERATION_COUNT:
		break;
	}
	return false;
}

static bool read_observation(const json_t *value, struct learn *learn)
{
	const char *operation = json_string_value(json_object_get(value, "operation"));
	const char *there = json_string_value(json_object_get(value, "there"));
	const json_t *of_root = json_object_get(value, "of_root");
	struct learn_observation seen = {.there = LEARN_THERE_COUNT};
	autofree char *object = read_object(value);

	if (!operation || !there || !object || !json_is_boolean(of_root))
		return false;
	seen.operation = operation_from_name(operation);
	seen.object = object;
	seen.of_root = json_is_true(of_root);
	for (enum learn_there i = 0; i < LEARN_THERE_COUNT; i++) {
		if (strcmp(there_words[i], there) == 0)
			seen.there = i;
	}
	if (seen.there == LEARN_THERE_COUNT || !is_sound(&seen) ||
		!read_runs(json_object_get(value, "runs"), learn->runs, &seen.runs) ||
		!read_number(json_object_get(value, "count"), INT64_MAX, &seen.count))
		return false;
	learn_add(learn, &seen);
	return true;
}

static bool read_head(const json_t *root, struct learn *learn)
{
	const json_t *peaks = json_object_get(root, "peaks");
	uint64_t version, runs;

	if (!read_number(json_object_get(root, "version"), VERSION, &version) ||
		version != VERSION ||
		!read_number(json_object_get(root, "runs"), LEARN_RUNS_MAX, &runs) || runs == 0)
		return false;
	learn->runs = (unsigned)runs;
	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		const json_t *peak = json_object_get(peaks, learn_cap_name(cap));
		uint64_t value;

		if (peak && !read_number(peak, INT64_MAX, &value))
			return false;
		if (peak)
			learn_peak(learn, cap, value);
	}
	return read_runs(json_object_get(root, "failed"), learn->runs, &learn->failed) &&
	       read_number(json_object_get(root, "lost"), INT64_MAX, &learn->lost);
}

static int read_root(const json_t *root, const char *path, const char *workdir, struct learn *learn,
	struct error *err)
{
	const json_t *list = json_object_get(root, "observations");
	const char *tree = json_string_value(json_object_get(root, "workdir"));

	if (!tree || !json_is_array(list) || !read_head(root, learn))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"%s holds no observations of `berm learn`", path);
	if (strcmp(tree, workdir) != 0)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"%s was learnt in another work tree, %s", path, tree);
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!read_observation(json_array_get(list, i), learn))
			return error_set(
				err, -EINVAL, ERROR_INPUT, "%s: observation %zu is none", path, i);
	}
	return 0;
}

int learn_file_read(const char *path, const char *workdir, struct learn *learn, struct error *err)
{
	autofree char *data = NULL;
	json_error_t where;
	size_t length;
	json_t *root;
	int r = io_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &data, &length, err);

	if (r < 0) {
		if (err)
			err->kind = ERROR_INPUT;
		return r;
	}
	root = json_loadb(data, length, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return error_set(err, -EINVAL, ERROR_INPUT, "%s:%d:%d: %s", path, where.line,
			where.column, where.text);
	r = read_root(root, path, workdir, learn, err);
	json_decref(root);
	return r;
}
