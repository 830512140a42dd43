/* SPDX-License-Identifier: Apache-2.0 */

/* The kernel's own matching of names, compiled for user space. */
#include "fake.h"

#include "bpf/names.bpf.c"

struct meter_names_map names;
struct meter_scopes_map scopes;

static const struct pattern_tables *tables;

void *bpf_map_lookup_elem(void *map, const void *key)
{
	static struct meter_scope scope;
	static struct meter_bits bits;

	if (map == &scopes) {
		scope = tables->scope;
		return &scope;
	}
	if (map == &names) {
		const struct meter_name_key *name = key;

		for (size_t i = 0; i < tables->literal_count; i++) {
			if (tables->literals[i].hash == name->hash &&
				tables->literals[i].length == name->length) {
				bits = tables->literals[i].bits;
				return &bits;
			}
		}
	}
	return NULL;
}

int fake_walk(const struct pattern_tables *compiled, size_t anchor, const char *const *components,
	size_t count, struct fake_verdict *ret_verdict)
{
	static struct work work;

	tables = compiled;
	memset(&work, 0, sizeof(work));
	work.walk.live = compiled->live[anchor];
	work.walk.depth = (__u32)count;
	for (size_t level = 0; level < count; level++) {
		const char *name = components[count - 1 - level];

		name_step(1, &work, (__u64)name, (__u32)strlen(name), (__u32)level);
	}
	names_verdict(1, &work);
	*ret_verdict = (struct fake_verdict){
		.failed = work.walk.failed,
		.no_read = work.walk.no_read,
		.no_write = work.walk.no_write,
		.canary = work.walk.canary,
		.pinned = work.walk.pinned,
		.prefix = work.walk.prefix,
		.rule = work.walk.no_read | work.walk.no_write ? (unsigned)names_rule(1, &work) : 0,
		.live = work.walk.live,
	};
	return 0;
}
