/* SPDX-License-Identifier: Apache-2.0 */
#include "record/pin.h"

#include "base/number.h"

#include <sodium.h>
#include <string.h>

#define WORDS_MAX 5

static const char *hex(const uint8_t *bytes, size_t length, char *buffer)
{
	return sodium_bin2hex(buffer, length * 2 + 1, bytes, length);
}

void log_pin_format(const struct log_pin *pin, char ret_line[LOG_LINE_BYTES])
{
	char id[LOG_ID_BYTES * 2 + 1], key[PUBLIC_KEY_BYTES * 2 + 1];

	snprintf(ret_line, LOG_LINE_BYTES, "berm-log-1 %s %s\n", hex(pin->log_id, LOG_ID_BYTES, id),
		hex(pin->public_key, PUBLIC_KEY_BYTES, key));
}

void log_head_format(const struct log_head *head, char ret_line[LOG_LINE_BYTES])
{
	char id[LOG_ID_BYTES * 2 + 1], hash[CHAIN_HASH_BYTES * 2 + 1];

	snprintf(ret_line, LOG_LINE_BYTES, "berm-head-1 %s %llu %llu %s\n",
		hex(head->log_id, LOG_ID_BYTES, id), (unsigned long long)head->segment,
		(unsigned long long)head->sequence, hex(head->hash, CHAIN_HASH_BYTES, hash));
}

/* Cut one line, ended by its line feed, into exactly `count` words at single spaces. */
static bool split(
	const char *line, size_t length, char copy[LOG_LINE_BYTES], char **words, size_t count)
{
	char *at = copy;

	if (length == 0 || length >= LOG_LINE_BYTES || line[length - 1] != '\n' ||
		memchr(line, '\0', length))
		return false;
	memcpy(copy, line, length);
	copy[length - 1] = '\0';
	for (size_t i = 0; i < count; i++) {
		words[i] = strsep(&at, " ");
		if (!words[i])
			return false;
	}
	return at == NULL;
}

/* Exactly this many bytes in lower case. */
static bool from_hex(const char *word, uint8_t *ret_bytes, size_t length)
{
	if (strlen(word) != length * 2 || strspn(word, "0123456789abcdef") != length * 2)
		return false;
	return sodium_hex2bin(ret_bytes, length, word, length * 2, NULL, NULL, NULL) == 0;
}

int log_pin_parse(const char *line, size_t length, struct log_pin *ret_pin, struct error *err)
{
	char copy[LOG_LINE_BYTES], *words[WORDS_MAX];
	struct log_pin pin;

	if (!split(line, length, copy, words, 3) || strcmp(words[0], "berm-log-1") != 0 ||
		!from_hex(words[1], pin.log_id, LOG_ID_BYTES) ||
		!from_hex(words[2], pin.public_key, PUBLIC_KEY_BYTES))
		return error_set(err, -EBADMSG, ERROR_INPUT, "not the public key of a log");
	*ret_pin = pin;
	return 0;
}

int log_head_parse(const char *line, size_t length, struct log_head *ret_head, struct error *err)
{
	char copy[LOG_LINE_BYTES], *words[WORDS_MAX];
	struct log_head head;

	if (!split(line, length, copy, words, 5) || strcmp(words[0], "berm-head-1") != 0 ||
		!from_hex(words[1], head.log_id, LOG_ID_BYTES) ||
		!number_parse_u64(words[2], &head.segment) || head.segment == 0 ||
		head.segment > SEGMENT_NUMBER_MAX || !number_parse_u64(words[3], &head.sequence) ||
		head.sequence == 0 || !from_hex(words[4], head.hash, CHAIN_HASH_BYTES))
		return error_set(err, -EBADMSG, ERROR_INPUT, "not the anchored head of a log");
	*ret_head = head;
	return 0;
}
