// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names that are protected whether they exist or not. Patterns are matched by component: first, on
 * the way up, each component is looked up among the literals and run through the globs (all of them
 * at once, one bit a state); then, on the way down, the components that occur in patterns are fed
 * to the patterns (again one bit a component). */
#include "names.bpf.h"

/* Most of a name's bytes; longer ones do not exist (NAME_MAX is 255). */
#define NAME_MAX_BYTES 255

static __always_inline void literals(
	__u32 scope, const char *name, __u32 length, struct meter_bits *bits)
{
	struct meter_name_key key = {.hash = METER_HASH_SEED, .scope = scope, .length = length};
	struct meter_bits *found;

	if (length >= METER_LITERAL_BYTES)
		return;
	for (__u32 i = 0; i < METER_LITERAL_BYTES / 8; i++) {
		if (i * 8 >= length)
			break;
		key.hash = meter_hash_step(key.hash, ((const __u64 *)name)[i]);
	}
	found = bpf_map_lookup_elem(&names, &key);
	if (!found)
		return;
	for (int i = 0; i < METER_NAME_WORDS; i++)
		bits->word[i] |= found->word[i];
}

/* The globs are functions of their own, with their state in memory: the verifier then looks at each
 * once, and not at every way through all of them. */
__noinline int globs_run(__u32 scope_id, struct work *work, __u32 length)
{
	struct meter_scope *scope = bpf_map_lookup_elem(&scopes, &scope_id);
	__u64 low, high;

	if (!scope || !work)
		return 0;
	low = scope->glob_start[0];
	high = scope->glob_start[1];
	/* Hidden from the compiler: knowing that the first round always runs, it makes a loop that
	 * is entered in its middle, and kernels before 6.3 refuse such a shape. */
	barrier_var(length);
	for (__u32 i = 0; i < NAME_MAX_BYTES; i++) {
		__u64 carry;
		__u8 c;

		if (i >= length)
			break;
		c = work->name[i];
		carry = low >> 63;
		low = ((low << 1) & scope->glob_accepts[c][0]) | (low & scope->glob_loop[0]);
		high = (((high << 1) | carry) & scope->glob_accepts[c][1]) |
		       (high & scope->glob_loop[1]);
	}
	work->glob[0] = low;
	work->glob[1] = high;
	return 0;
}

__noinline int globs_accept(__u32 scope_id, struct work *work)
{
	struct meter_scope *scope = bpf_map_lookup_elem(&scopes, &scope_id);

	if (!scope || !work)
		return 0;
	for (__u32 g = 0; g < METER_GLOBS; g++) {
		__u32 state = scope->glob[g].accept;
		__u64 mask;

		if (g >= scope->glob_count)
			break;
		mask = -((work->glob[(state >> 6) & (METER_GLOB_WORDS - 1)] >> (state & 63)) & 1);
		for (int i = 0; i < METER_NAME_WORDS; i++)
			work->found.word[i] |= scope->glob[g].bits.word[i] & mask;
	}
	return 0;
}

static __always_inline void globs(
	__u32 scope_id, const struct meter_scope *scope, struct work *work, __u32 length)
{
	if (!scope->glob_count)
		return;
	if (!(scope->glob_first[(__u8)work->name[0]] &
		    scope->glob_last[(__u8)work->name[(length - 1) & (METER_NAME_BYTES - 1)]]))
		return;
	globs_run(scope_id, work, length);
	globs_accept(scope_id, work);
}

__noinline int name_step(__u32 scope_id, struct work *work, __u64 name, __u32 length, __u32 level)
{
	struct meter_scope *scope = bpf_map_lookup_elem(&scopes, &scope_id);
	struct meter_bits *found;
	struct live_match *match;
	__u32 count;

	if (!scope || !work || length == 0 || length > NAME_MAX_BYTES)
		return 0;
	/* The compiler would drop the masks below as needless; the verifier needs them. */
	barrier_var(length);
	length &= METER_NAME_BYTES - 1;
	if (!(scope->length_mask[(length >> 6) & 3] & (1ULL << (length & 63))))
		return 0;
	/* Literals hash whole words, so what follows the name must be zero. */
	for (int i = 0; i < METER_LITERAL_BYTES / 8; i++)
		((__u64 *)work->name)[i] = 0;
	if (bpf_probe_read_kernel(work->name, length, (const void *)name)) {
		work->walk.failed = 1;
		return 0;
	}
	found = &work->found;
	for (int i = 0; i < METER_NAME_WORDS; i++)
		found->word[i] = 0;
	literals(scope_id, work->name, length, found);
	globs(scope_id, scope, work, length);
	if (!(found->word[0] | found->word[1] | found->word[2] | found->word[3]))
		return 0;
	count = work->walk.match_count;
	if (count >= METER_LIVE_MATCHES) {
		work->walk.failed = 1;
		return 0;
	}
	match = &work->walk.match[count];
	match->level = level;
	match->bits = *found;
	work->walk.match_count = count + 1;
	return 0;
}

/* 1 where any bit is set. Without a branch: every branch doubles what the verifier has to look at.
 */
static __always_inline __u32 any(__u64 bits)
{
	return (bits | -bits) >> 63;
}

/* Where matched bits are now, what may match next: the bit after each. A "**" may also stand for
 * nothing, so what follows a live "**" is live too (the compiler of patterns never puts two in a
 * row). */
static __always_inline void advance(
	struct meter_bits *live, const struct meter_bits *matched, const struct meter_scope *scope)
{
	__u64 carry = 0, stay_carry = 0;

	for (int i = 0; i < METER_NAME_WORDS; i++) {
		/* After the last component of a pattern comes the first of another one. */
		__u64 going = matched->word[i] & ~scope->final.word[i];
		__u64 next = (going << 1) | carry;
		__u64 stay;

		carry = going >> 63;
		stay = (live->word[i] | next) & scope->any_depth.word[i];
		live->word[i] = next | stay | (stay << 1) | stay_carry;
		stay_carry = stay >> 63;
	}
}

static __always_inline void note_match(struct walk *walk, const struct meter_scope *scope,
	const struct meter_bits *matched, __u32 level)
{
	__u64 final = 0, earlier = 0, no_read = 0, no_write = 0, canary = 0;
	__u32 is_object = 1 - any(level);

	for (int i = 0; i < METER_NAME_WORDS; i++) {
		__u64 last = matched->word[i] & scope->final.word[i];

		final |= last;
		earlier |= matched->word[i] & ~scope->final.word[i];
		no_read |= last & scope->no_read.word[i];
		no_write |= last & scope->no_write.word[i];
		canary |= last & scope->canary.word[i];
		walk->matched.word[i] |= last;
	}
	walk->prefix |= any(earlier) & is_object;
	walk->pinned |= any(final) & is_object;
	walk->no_read |= any(no_read);
	walk->no_write |= any(no_write);
	walk->canary |= any(canary);
}

/* One component on the way down: feed it to the patterns. Components between it and the last one
 * match no pattern: only what waits at a "**" survives those. */
__noinline int names_feed(__u32 scope_id, struct work *work, __u32 place)
{
	struct meter_scope *scope = bpf_map_lookup_elem(&scopes, &scope_id);
	struct meter_bits none = {}, matched;
	struct live_match *match;
	struct walk *walk;

	if (!scope || !work)
		return 0;
	walk = &work->walk;
	match = &walk->match[place & (METER_LIVE_MATCHES - 1)];
	if (match->level + 1 < walk->next)
		advance(&walk->live, &none, scope);
	for (int w = 0; w < METER_NAME_WORDS; w++)
		matched.word[w] = walk->live.word[w] & match->bits.word[w];
	note_match(walk, scope, &matched, match->level);
	advance(&walk->live, &matched, scope);
	walk->next = match->level;
	return 0;
}

__noinline int names_verdict(__u32 scope_id, struct work *work)
{
	struct meter_scope *scope = bpf_map_lookup_elem(&scopes, &scope_id);
	struct meter_bits none = {};

	if (!scope || !work)
		return 0;
	work->walk.next = work->walk.depth;
	for (int i = 0; i < METER_LIVE_MATCHES; i++) {
		__u32 place = work->walk.match_count - 1 - i;

		if (place >= METER_LIVE_MATCHES)
			break;
		names_feed(scope_id, work, place);
	}
	if (work->walk.next > 0)
		advance(&work->walk.live, &none, scope);
	return 0;
}

/* The rule behind the first pattern that matched. Only for refusals, so it may take its time. */
__noinline int names_rule(__u32 scope_id, struct work *work)
{
	struct meter_scope *scope = bpf_map_lookup_elem(&scopes, &scope_id);

	if (!scope || !work)
		return 0;
	for (__u32 bit = 0; bit < METER_NAME_BITS; bit++)
		if ((work->walk.matched.word[bit >> 6] >> (bit & 63)) & 1)
			return scope->rule_of_bit[bit];
	return 0;
}
