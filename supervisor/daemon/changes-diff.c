/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/io.h"

#include <string.h>

/* Line by line, bounded: text of some hundred kilobytes is compared, what is larger or no text is
 * only named. Lines that both sides begin and end with are left aside first, the rest is compared
 * by the longest common subsequence. */

#define SIDE_BYTES_MAX (256U << 10)
#define TABLE_CELLS_MAX (4U << 20)
#define LINE_BYTES_MAX 400
#define OUT_BYTES_MAX (512U << 10)
#define CONTEXT 3

struct side {
	char *data;
	size_t length;
	struct line {
		const char *at;
		size_t length;
	} * lines;
	size_t count;
};

static void side_finish(struct side *side)
{
	own_free(&side->data);
	own_free(&side->lines);
}

static bool is_text(const struct side *side)
{
	return !side->length || !memchr(side->data, '\0', side->length);
}

static int split(struct side *side)
{
	size_t count = 0;

	for (size_t i = 0; i < side->length; i++)
		count += side->data[i] == '\n';
	side->lines = calloc(count + 2, sizeof(*side->lines));
	if (!side->lines)
		return -ENOMEM;
	for (size_t i = 0; i < side->length;) {
		const char *end = memchr(side->data + i, '\n', side->length - i);
		size_t n = end ? (size_t)(end - (side->data + i)) : side->length - i;

		side->lines[side->count++] = (struct line){side->data + i, n};
		i += n + 1;
	}
	return 0;
}

/* *ret_why says why there is nothing to compare. */
static int read_side(int dir, const char *path, const Berm__Wire__ChangeIdentity *identity,
	struct side *side, const char **ret_why)
{
	autoclose int fd = -1;
	struct error err = {0};

	if (!identity || !S_ISREG(identity->mode))
		return split(side);
	if (identity->size > SIDE_BYTES_MAX) {
		*ret_why = "too large to be shown";
		return 0;
	}
	fd = beneath_open(dir, path, O_RDONLY | O_NONBLOCK);
	if (fd < 0 || io_read_fd(fd, "a file", SIDE_BYTES_MAX + 1, &side->data, &side->length,
			      &err) < 0) {
		*ret_why = "it cannot be read";
		return 0;
	}
	if (!is_text(side)) {
		*ret_why = "binary";
		return 0;
	}
	return split(side);
}

static bool same_line(const struct line *a, const struct line *b)
{
	return a->length == b->length && memcmp(a->at, b->at, a->length) == 0;
}

static void put_line(struct text *out, char sign, const struct line *line)
{
	if (out->length > OUT_BYTES_MAX)
		return;
	text_append(out, &sign, 1);
	text_escape(out, line->at, line->length, LINE_BYTES_MAX);
	text_puts(out, "\n");
	if (out->length > OUT_BYTES_MAX)
		text_puts(out, "… the rest is left out\n");
}

/* table[i * (m + 1) + k]: the longest common subsequence of a from i and b from k. */
static uint16_t *fill_table(const struct line *a, size_t n, const struct line *b, size_t m)
{
	uint16_t *table = calloc((n + 1) * (m + 1), sizeof(*table));

	for (size_t i = n; table && i-- > 0;)
		for (size_t k = m; k-- > 0;) {
			uint16_t down = table[(i + 1) * (m + 1) + k];
			uint16_t right = table[i * (m + 1) + k + 1];

			if (same_line(&a[i], &b[k]))
				table[i * (m + 1) + k] =
					(uint16_t)(table[(i + 1) * (m + 1) + k + 1] + 1);
			else
				table[i * (m + 1) + k] = down > right ? down : right;
		}
	return table;
}

static void put_middle(
	struct text *out, const struct line *a, size_t n, const struct line *b, size_t m)
{
	bool small = n < UINT16_MAX && m < UINT16_MAX && (n + 1) * (m + 1) <= TABLE_CELLS_MAX;
	autofree uint16_t *table = small ? fill_table(a, n, b, m) : NULL;
	size_t i = 0, k = 0;

	while (i < n || k < m) {
		if (table && i < n && k < m && same_line(&a[i], &b[k])) {
			put_line(out, ' ', &a[i++]);
			k++;
		} else if (i < n &&
			   (!table || k == m ||
				   table[(i + 1) * (m + 1) + k] >= table[i * (m + 1) + k + 1])) {
			put_line(out, '-', &a[i++]);
		} else {
			put_line(out, '+', &b[k++]);
		}
	}
}

static void put_diff(struct text *out, const struct side *a, const struct side *b)
{
	size_t head = 0, tail = 0, from;

	while (head < a->count && head < b->count && same_line(&a->lines[head], &b->lines[head]))
		head++;
	while (tail < a->count - head && tail < b->count - head &&
		same_line(&a->lines[a->count - 1 - tail], &b->lines[b->count - 1 - tail]))
		tail++;
	from = head > CONTEXT ? head - CONTEXT : 0;
	text_printf(out, "@@ -%zu +%zu @@\n", from + 1, from + 1);
	for (size_t i = from; i < head; i++)
		put_line(out, ' ', &a->lines[i]);
	put_middle(out, a->lines + head, a->count - head - tail, b->lines + head,
		b->count - head - tail);
	for (size_t i = 0; i < CONTEXT && i < tail; i++)
		put_line(out, ' ', &a->lines[a->count - tail + i]);
}

static void put_name(struct text *out, const char *sign, const char *path, bool there)
{
	text_printf(out, "%s ", sign);
	if (there)
		text_escape(out, path, strlen(path), 1024);
	else
		text_puts(out, "/dev/null");
	text_puts(out, "\n");
}

int changes_diff(struct change_set *set, const Berm__Wire__Change *change, struct text *out,
	struct error *err)
{
	autoclose int upper = beneath_open(set->fd, CHANGES_UPPER, O_PATH | O_DIRECTORY);
	const char *path = changes_path(&change->path), *why = NULL;
	struct side a = {0}, b = {0};
	int r = changes_open_workspace(set, err);

	if (r < 0)
		return r;
	if (upper < 0)
		return error_errno(err, "open what was staged");
	if (!(change->old && S_ISREG(change->old->mode)) &&
		!(change->staged && S_ISREG(change->staged->mode)))
		return 0;
	put_name(out, "---", path, change->old);
	put_name(out, "+++", path, change->staged);
	r = read_side(set->work_fd, path, change->old, &a, &why);
	if (r == 0 && !why)
		r = read_side(upper, path, change->staged, &b, &why);
	if (r == 0 && why)
		text_printf(out, "(%s)\n", why);
	else if (r == 0)
		put_diff(out, &a, &b);
	side_finish(&a);
	side_finish(&b);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "compare: %s", strerror(-r)) : 0;
}
