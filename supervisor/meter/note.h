/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is written down beside the pinned links: which links, programs and maps belong together,
 * whose they are, and whether they were seen to run. It is a map of its own, since a bpffs holds
 * nothing else; the programs do not know it. Whatever does not match it is not adopted. */

#include "meter/internal.h"

#define NOTE_NAME "note"

/* Note down what m has just loaded and pin it as links/NOTE_NAME. cgroup_fd: as in meter_options.
 * why: what the host lacks for a stronger make, or NULL. */
int note_write(struct meter *m, const char *links, int cgroup_fd, const char *why,
	struct error *err) must_check;
/* Read the note into m->note. False: there is none, or it is not of this layout. */
bool note_read(struct meter *m, const char *links);
/* 0 where this process can share what the note is about. -ESTALE: it lacks what is wanted, so that
 * loading anew is right; -EXDEV: it is for the processes of another pid namespace or for another
 * hierarchy of cgroups. */
int note_suits(const struct meter *m, int cgroup_fd);
/* Whether a link, map or iterator is the one noted down. */
bool note_has_link(const struct meter *m, size_t index, int link_fd);
bool note_has_map(const struct meter *m, enum meter_map map, int map_fd);
bool note_has_list(const struct meter *m, enum meter_list list, int program_fd);
