/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <stdarg.h>

/* protobuf-c takes its shared empty string for "not set" and frees it never, so that the cast is
 * safe. */
static char *empty_string(void)
{
	return (char *)(uintptr_t)protobuf_c_empty_string;
}

char *message_string(struct compiler *c, const char *string)
{
	char *copy;

	if (!string || !*string)
		return empty_string();
	copy = strdup(string);
	if (!copy) {
		c->out_of_memory = true;
		return empty_string();
	}
	return copy;
}

void message_bytes(struct compiler *c, ProtobufCBinaryData *ret, const void *bytes, size_t length)
{
	*ret = (ProtobufCBinaryData){0};
	if (!length)
		return;
	ret->data = malloc(length);
	if (!ret->data) {
		c->out_of_memory = true;
		return;
	}
	memcpy(ret->data, bytes, length);
	ret->len = length;
}

bool message_push(struct compiler *c, void *items, size_t *count, void *item)
{
	void **array, **grown;

	memcpy(&array, items, sizeof(array));
	if ((*count & (*count - 1)) == 0) {
		grown = realloc(array, (*count ? *count * 2 : 1) * sizeof(*grown));
		if (!grown) {
			c->out_of_memory = true;
			return false;
		}
		array = grown;
		memcpy(items, &array, sizeof(array));
	}
	array[(*count)++] = item;
	return true;
}

Berm__Wire__Mount *message_mount(
	struct compiler *c, Berm__Wire__MountKind kind, const char *target, uint32_t rule)
{
	Berm__Wire__Mount *mount = malloc(sizeof(*mount));

	if (!mount || !message_push(c, &c->plan->mounts, &c->plan->n_mounts, mount)) {
		free(mount);
		c->out_of_memory = true;
		mount = &c->spare_mount;
		berm__wire__mount__init(mount);
		return mount;
	}
	berm__wire__mount__init(mount);
	mount->kind = kind;
	mount->target = message_string(c, target);
	mount->rule = rule;
	return mount;
}

void *array_add(struct compiler *c, void *items, size_t *count, size_t *capacity, size_t size)
{
	char *array, *grown;
	size_t wanted;

	memcpy(&array, items, sizeof(array));
	if (*count == *capacity) {
		wanted = *capacity ? *capacity * 2 : 16;
		grown = reallocarray(array, wanted, size);
		if (!grown) {
			c->out_of_memory = true;
			return NULL;
		}
		array = grown;
		*capacity = wanted;
		memcpy(items, &array, sizeof(array));
	}
	memset(array + *count * size, 0, size);
	return array + (*count)++ * size;
}

char *keep(struct compiler *c, char *allocated)
{
	void **slot;

	if (!allocated) {
		c->out_of_memory = true;
		return NULL;
	}
	slot = array_add(c, &c->kept, &c->kept_count, &c->kept_capacity, sizeof(*slot));
	if (!slot) {
		free(allocated);
		return NULL;
	}
	*slot = allocated;
	return allocated;
}

void note(struct compiler *c, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (!c->notes)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	text_puts(c->notes, line);
	text_puts(c->notes, "\n");
}

int path_order(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	/* A slash ends a component: it comes before every other character. */
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}
