/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"
#include "daemon/changes-view.h"

#include "base/io.h"

#include <string.h>

/* Line by line, bounded: text of some hundred kilobytes is compared, what is larger or no text is
 * only named. Lines that both sides begin and end with are left aside first, the rest is compared
 * by the longest common subsequence. Each file has room of its own, so that the noise of one cannot
 * keep another from being seen; whatever is left out is counted. */

#define SIDE_BYTES_MAX (256U << 10)
#define TABLE_CELLS_MAX (4U << 20)
#define ALL_CELLS_MAX (256ULL << 20)
#define LINE_BYTES_MAX 2000
#define FILE_BYTES_MAX (64U << 10)
#define ALL_BYTES_MAX (32U << 20)
#define SAME_BYTES_SHOWN 40 /* of the beginning that two long lines share */
#define SAME_BYTES_CUT 200
#define CONTEXT 3

struct line {
	const char *at;
	size_t length;
	bool ended; /* by a line feed */
};

struct side {
	char *data;
	size_t length;
	struct line *lines;
	size_t count;
};

struct output {
	struct text *text;
	size_t begin, lines_left_out;
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

		side->lines[side->count++] = (struct line){side->data + i, n, end != NULL};
		i += n + 1;
	}
	return 0;
}

/* *ret_why says why there is nothing to compare. */
static int read_side(struct change_set *set, const struct changes_entry *entry, bool old,
	struct side *side, const char **ret_why)
{
	const struct stat *st = old ? &entry->old : &entry->now;
	autoclose int fd = -1;
	struct error err = {0};

	if (!(old ? entry->has_old : entry->has_now) || !S_ISREG(st->st_mode))
		return split(side);
	if (st->st_size > SIDE_BYTES_MAX) {
		*ret_why = "too large to be shown";
		return 0;
	}
	fd = changes_open_side(set, entry, old, O_RDONLY | O_NONBLOCK);
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
	return a->length == b->length && a->ended == b->ended &&
	       memcmp(a->at, b->at, a->length) == 0;
}

/* skipped: bytes at the beginning that the other side's line has, too. */
static void put_line(struct output *out, char sign, const struct line *line, size_t skipped)
{
	size_t n = line->length - skipped;

	if (out->text->length - out->begin > FILE_BYTES_MAX) {
		out->lines_left_out++;
		return;
	}
	text_append(out->text, &sign, 1);
	if (skipped)
		text_printf(out->text, "…(%zu bytes as on the other side)", skipped);
	text_escape(out->text, line->at + skipped, n < LINE_BYTES_MAX ? n : LINE_BYTES_MAX,
		SIZE_MAX / 2);
	if (n > LINE_BYTES_MAX)
		text_printf(out->text, "…(%zu more bytes in this line)", n - LINE_BYTES_MAX);
	text_puts(out->text, line->ended ? "\n" : "\n\\ No newline at end of file\n");
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

/* Long lines are shown from where they begin to differ. */
static size_t shared(const struct line *a, const struct line *b)
{
	size_t n = 0;

	while (n < a->length && n < b->length && a->at[n] == b->at[n])
		n++;
	if (n < SAME_BYTES_CUT)
		return 0;
	n -= SAME_BYTES_SHOWN;
	/* Not within a character. */
	while (n && (a->at[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void put_middle(struct output *out, struct changes_spent *spent, const struct side *a,
	const struct side *b, size_t head, size_t tail)
{
	const struct line *left = a->lines + head, *right = b->lines + head;
	size_t n = a->count - head - tail, m = b->count - head - tail, i = 0, k = 0;
	uint64_t cells = (uint64_t)(n + 1) * (m + 1);
	bool small = n < UINT16_MAX && m < UINT16_MAX && cells <= TABLE_CELLS_MAX &&
		     spent->cells + cells <= ALL_CELLS_MAX;
	autofree uint16_t *table = small ? fill_table(left, n, right, m) : NULL;

	spent->cells += small ? cells : 0;
	while (i < n || k < m) {
		if (table && i < n && k < m && same_line(&left[i], &right[k])) {
			put_line(out, ' ', &left[i++], 0);
			k++;
		} else if (i < n &&
			   (!table || k == m ||
				   table[(i + 1) * (m + 1) + k] >= table[i * (m + 1) + k + 1])) {
			put_line(out, '-', &left[i], i < m ? shared(&left[i], &right[i]) : 0);
			i++;
		} else {
			put_line(out, '+', &right[k], k < n ? shared(&left[k], &right[k]) : 0);
			k++;
		}
	}
}

/* Counts stand there always, so that no line of a file can be taken for the next file's name. Of
 * nothing the line before it is named, as diff(1) and patch(1) have it. */
static void put_range(struct output *out, size_t from, size_t count_a, size_t count_b)
{
	text_printf(out->text, "@@ -%zu,%zu +%zu,%zu @@\n", count_a ? from + 1 : from, count_a,
		count_b ? from + 1 : from, count_b);
}

static void put_diff(
	struct output *out, struct changes_spent *spent, const struct side *a, const struct side *b)
{
	size_t head = 0, tail = 0, from, after;

	while (head < a->count && head < b->count && same_line(&a->lines[head], &b->lines[head]))
		head++;
	while (tail < a->count - head && tail < b->count - head &&
		same_line(&a->lines[a->count - 1 - tail], &b->lines[b->count - 1 - tail]))
		tail++;
	if (head == a->count && head == b->count) {
		text_puts(out->text, "(the content is the same)\n");
		return;
	}
	from = head > CONTEXT ? head - CONTEXT : 0;
	after = tail < CONTEXT ? tail : CONTEXT;
	put_range(out, from, a->count - tail + after - from, b->count - tail + after - from);
	for (size_t i = from; i < head; i++)
		put_line(out, ' ', &a->lines[i], 0);
	put_middle(out, spent, a, b, head, tail);
	for (size_t i = 0; i < after; i++)
		put_line(out, ' ', &a->lines[a->count - tail + i], 0);
	if (out->lines_left_out)
		text_printf(out->text, "(%zu more lines of this file are not shown)\n",
			out->lines_left_out);
}

static void put_name(struct text *out, const char *sign, const char *path, bool there)
{
	text_printf(out, "%s ", sign);
	if (there)
		text_escape(out, path, strlen(path), 4096);
	else
		text_puts(out, "/dev/null");
	text_puts(out, "\n");
}

int changes_diff(struct change_set *set, const struct changes_entry *entry,
	struct changes_spent *spent, struct text *out, struct error *err)
{
	bool old = entry->has_old && S_ISREG(entry->old.st_mode);
	bool now = entry->has_now && S_ISREG(entry->now.st_mode);
	struct output output = {.text = out, .begin = out->length};
	struct side a = {0}, b = {0};
	const char *why = NULL;
	int r = 0;

	if ((!old && !now) || entry->same)
		return 0;
	put_name(out, "---", entry->path, old);
	put_name(out, "+++", entry->path, now);
	if (spent->bytes > ALL_BYTES_MAX)
		why = "not shown: so much is shown already";
	if (!why)
		r = read_side(set, entry, true, &a, &why);
	if (r == 0 && !why)
		r = read_side(set, entry, false, &b, &why);
	if (r == 0 && why)
		text_printf(out, "(%s)\n", why);
	else if (r == 0)
		put_diff(&output, spent, &a, &b);
	spent->bytes += out->length - output.begin;
	side_finish(&a);
	side_finish(&b);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "compare: %s", strerror(-r)) : 0;
}
