/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "subject.bpf.h"

/* Look one component up (name: its kernel address; level: distance from the object) and remember in
 * work->walk what it may be. */
int name_step(__u32 scope_id, struct work *work, __u64 name, __u32 length, __u32 level);
/* With work->walk.live as it is beneath the anchor: what the patterns say of the object. Leaves in
 * work->walk.live what may match beneath the object. */
int names_verdict(__u32 scope_id, struct work *work);
/* The rule of the pattern that names_verdict() found. */
int names_rule(__u32 scope_id, struct work *work);
