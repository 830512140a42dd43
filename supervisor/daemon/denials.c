/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/denials.h"

#include <string.h>

/* FNV-1a, 64 bits: only to skip most string comparisons. */
#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

static const char *const operations[] = {"syscall", "socket", "connect", "listen", "send", "open",
	"read", "write", "delete", "exec", "fork", "mount"};

const char *denial_operation(const char *word)
{
	for (size_t i = 0; i < array_size(operations); i++)
		if (strcmp(operations[i], word) == 0)
			return operations[i];
	return "operation";
}

static uint64_t mix(uint64_t hash, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * FNV_PRIME;
	return (hash ^ 0xff) * FNV_PRIME;
}

static bool same_rule(const struct denial_rule *a, const struct denial_rule *b)
{
	return a->line == b->line && strcmp(a->key, b->key) == 0 && strcmp(a->file, b->file) == 0 &&
	       strcmp(a->value ? a->value : "", b->value ? b->value : "") == 0;
}

static bool same(const struct denial *row, uint64_t hash, const char *operation, const char *target,
	size_t length)
{
	return row->hash == hash && strcmp(row->operation, operation) == 0 &&
	       strncmp(row->target, target, length) == 0 && row->target[length] == '\0';
}

void denials_add(struct denials *denials, const char *operation, const char *target,
	const struct denial_rule *rule)
{
	size_t length = strnlen(target, DENIAL_TARGET_MAX);
	uint64_t hash = mix(mix(FNV_OFFSET, operation, strlen(operation)), target, length);
	struct denial *row;

	denials->total++;
	for (size_t i = 0; i < denials->count; i++) {
		row = &denials->items[i];
		if (same(row, hash, operation, target, length) && same_rule(&row->rule, rule)) {
			row->count++;
			return;
		}
	}
	if (denials->count == DENIALS_MAX) {
		denials->not_kept++;
		return;
	}
	row = &denials->items[denials->count];
	row->target = strndup(target, length);
	if (!row->target) {
		denials->not_kept++;
		return;
	}
	row->operation = operation;
	row->rule = *rule;
	row->hash = hash;
	row->count = 1;
	denials->count++;
}

void denial_id(const char *run_id, size_t index, char ret_id[DENIAL_ID_BYTES])
{
	snprintf(ret_id, DENIAL_ID_BYTES, "%s.%zu", run_id, index + 1);
}

void denials_finish(struct denials *denials)
{
	for (size_t i = 0; i < denials->count; i++)
		own_free(&denials->items[i].target);
	*denials = (struct denials){0};
}
