/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/anchored-once.h"

#include "base/io.h"
#include "base/text.h"
#include "record/storage.h"

#include <sodium.h>
#include <string.h>

#define FORM "berm-anchored-1"
#define PLACE_BYTES 16
#define FILE_MAX 65536
#define LINE_BYTES (sizeof(FORM) + LOG_ID_BYTES * 2 + 1 + PLACE_BYTES * 2 + 2)

/* "berm-anchored-1 LOGID PLACE\n"; a place as a digest, since its words may be any bytes. */
static void write_line(
	const uint8_t log_id[LOG_ID_BYTES], anchored_place place, char ret_line[LINE_BYTES])
{
	char log[LOG_ID_BYTES * 2 + 1], digest_text[PLACE_BYTES * 2 + 1];
	uint8_t digest[PLACE_BYTES];
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof(digest));
	for (unsigned i = 0; place[i]; i++)
		crypto_generichash_update(&state, (const uint8_t *)place[i], strlen(place[i]) + 1);
	crypto_generichash_final(&state, digest, sizeof(digest));
	snprintf(ret_line, LINE_BYTES, "%s %s %s\n", FORM,
		sodium_bin2hex(log, sizeof(log), log_id, LOG_ID_BYTES),
		sodium_bin2hex(digest_text, sizeof(digest_text), digest, sizeof(digest)));
}

/* All of it; nothing where it is not there. */
static int read_all(int key_dir, char **ret_words, size_t *ret_length, struct error *err)
{
	int r = io_read_file(key_dir, ANCHORED_FILE, FILE_MAX, ret_words, ret_length, NULL);

	if (r == -ENOENT)
		*ret_length = 0;
	else if (r < 0)
		return error_set(
			err, r, ERROR_INTERNAL, "read %s: %s", ANCHORED_FILE, strerror(-r));
	return 0;
}

static bool has_line(const char *words, size_t length, const char *line)
{
	const size_t size = strlen(line);

	for (const char *end; length > 0; length -= (size_t)(end - words), words = end) {
		end = memchr(words, '\n', length);
		end = end ? end + 1 : words + length;
		if ((size_t)(end - words) == size && memcmp(words, line, size) == 0)
			return true;
	}
	return false;
}

int anchored_was(
	int key_dir, const uint8_t log_id[LOG_ID_BYTES], anchored_place place, struct error *err)
{
	autofree char *words = NULL;
	char line[LINE_BYTES];
	size_t length = 0;
	int r = read_all(key_dir, &words, &length, err);

	write_line(log_id, place, line);
	return r < 0 ? r : has_line(words, length, line);
}

int anchored_note(
	int key_dir, const uint8_t log_id[LOG_ID_BYTES], anchored_place place, struct error *err)
{
	autotext struct text all = {0};
	autofree char *words = NULL;
	char line[LINE_BYTES];
	size_t length = 0;
	int r = read_all(key_dir, &words, &length, err);

	write_line(log_id, place, line);
	if (r < 0 || has_line(words, length, line))
		return r;
	/* Lines of places that were never named again would fill it in the end. */
	if (length + sizeof(line) <= FILE_MAX && words)
		text_append(&all, words, length);
	if (all.length && words[length - 1] != '\n')
		text_puts(&all, "\n");
	text_puts(&all, line);
	r = all.failed ? -ENOMEM
		       : storage_replace(&storage_system, key_dir, ANCHORED_FILE, 0600,
				 text_string(&all), all.length);
	return r < 0 ? error_set(
			       err, r, ERROR_INTERNAL, "write %s: %s", ANCHORED_FILE, strerror(-r))
		     : 0;
}
