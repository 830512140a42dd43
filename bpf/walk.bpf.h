/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* From an object to its anchor, by inode: renames, bind mounts, chroot and open_tree change
 * strings, not inodes. The walk never leaves the superblock; whoever builds the run's mounts
 * anchors the root of each. */

#include "names.bpf.h"

/* inode storage needs "bpf" among the LSMs (kernel/bpf/bpf_inode_storage.c). The fmod_ret twins
 * find anchors by where the inode is in memory; user space sets this before loading. */
extern const volatile __u32 anchors_by_number;

static __always_inline __u32 domain_of(struct dentry *dentry)
{
	struct inode *inode = dentry->d_inode;
	struct meter_anchor *anchor;
	__u64 address;

	if (!anchors_by_number) {
		anchor = bpf_inode_storage_get(&anchors, inode, 0, 0); /* NULL is fine */
		return anchor ? anchor->domain : 0;
	}
	address = (__u64)inode; /* 0 for a name that is not there: nothing is anchored at 0 */
	anchor = bpf_map_lookup_elem(&numbered, &address);
	return anchor ? anchor->domain : 0;
}

/* Fill s->work->walk for an object. */
static __noinline int walk_to_anchor(
	struct dentry *dentry, __u32 scope, struct work *work, __u32 with_names)
{
	struct walk *walk = &work->walk;
	struct meter_right_key key = {.scope = scope};
	struct meter_right_value *value;

	walk->rights = 0;
	walk->rule = 0;
	walk->anchored = 0;
	walk->failed = 0;
	walk->no_read = 0;
	walk->no_write = 0;
	walk->canary = 0;
	walk->pinned = 0;
	walk->prefix = 0;
	for (int i = 0; i < METER_NAME_WORDS; i++)
		walk->matched.word[i] = 0;
	walk->match_count = 0;
	for (__u32 level = 0; level < METER_DEPTH; level++) {
		struct dentry *parent;

		key.domain = domain_of(dentry);
		value = key.domain ? bpf_map_lookup_elem(&rights, &key) : 0;
		if (value) {
			walk->rights = value->rights;
			walk->rule = value->rule;
			walk->live = value->live;
			walk->anchored = level + 1;
			walk->depth = level;
			break;
		}
		parent = dentry->d_parent;
		if (parent == dentry)
			return 0;
		if (with_names)
			name_step(
				scope, work, (__u64)dentry->d_name.name, dentry->d_name.len, level);
		dentry = parent;
	}
	if (!walk->anchored)
		walk->failed = 1;
	else if (with_names)
		names_verdict(scope, work);
	return 0;
}

/* Components of an object's path, leaf first, each NUL-terminated, for an event. */
static __noinline int spell(struct dentry *dentry, struct work *work)
{
	struct inode *inode = dentry->d_inode;
	__u32 used = 0;

	work->text_device = 0;
	work->text_inode = 0;
	if (is_positive(dentry)) {
		work->text_device = inode->i_sb->s_dev;
		work->text_inode = inode->i_ino;
	}
	for (int level = 0; level < METER_DEPTH; level++) {
		struct dentry *parent = dentry->d_parent;
		long length;

		if (parent == dentry || used >= METER_EVENT_TEXT - METER_NAME_BYTES)
			break;
		length = bpf_probe_read_kernel_str(&work->text[used & (METER_NAME_BYTES - 1)],
			METER_NAME_BYTES, dentry->d_name.name);
		if (length <= 0 || length > METER_NAME_BYTES)
			break;
		used += length;
		dentry = parent;
	}
	work->text_bytes = used;
	return 0;
}

/* Whether the run may do this (all of right) to the object; the details stay in s->work->walk.
 * Refused = the event was sent and the result is to be returned. */
static __always_inline int decide(struct subject *s, struct dentry *dentry, __u32 right)
{
	struct walk *walk = &s->work->walk;
	struct meter_scope *scope;
	__u32 class = METER_DENIAL, rule, canary;

	if (!s->run->scope) {
		walk->rights = ~METER_RIGHT_SCRATCH;
		walk->pinned = 0;
		walk->prefix = 0;
		walk->anchored = 0;
		return 0;
	}
	scope = bpf_map_lookup_elem(&scopes, &s->run->scope);
	if (!scope)
		return -EPERM;
	walk_to_anchor(dentry, s->run->scope, s->work, scope->pattern_count);
	rule = walk->rule;
	/* A decoy that is there is an anchor itself; one that is not is a pattern's name. */
	canary = walk->canary | (walk->rights & METER_RIGHT_CANARY);
	if (walk->anchored && !walk->failed && (walk->rights & right) == right) {
		bool refused = canary || (walk->no_write && (right & METER_RIGHT_WRITE)) ||
			       (walk->no_read && !(right & METER_RIGHT_WRITE));

		if (!refused)
			return 0;
		if (!(walk->rights & METER_RIGHT_CANARY))
			rule = names_rule(s->run->scope, s->work);
	}
	if (canary)
		class = METER_CANARY;
	spell(dentry, s->work);
	return refuse_as(s, class, rule, -EPERM);
}
