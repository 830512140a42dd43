/* SPDX-License-Identifier: Apache-2.0 */

/* Taking over what an earlier process pinned: some hundred descriptors, nothing is loaded. */
#include "meter/hooks.h"
#include "meter/internal.h"
#include "meter/note.h"

#include <unistd.h>

static const char *const list_name[METER_LIST_COUNT] = {
	[METER_LIST_INODES] = "list_inodes",
	[METER_LIST_TASKS] = "list_tasks",
};

int meter_pin_lists(const struct meter *m, const char *links, struct error *err)
{
	char path[512 + 64];

	for (size_t i = 0; i < METER_LIST_COUNT; i++) {
		snprintf(path, sizeof(path), "%s/%s", links, list_name[i]);
		if (m->list_fd[i] >= 0 && bpf_obj_pin(m->list_fd[i], path))
			return error_errno(err, "pin %s", path);
	}
	return 0;
}

static bool needs_list(const struct meter *m, size_t list)
{
	return m->make == METER_MAKE_FMOD_RET ||
	       (m->make == METER_MAKE_LSM && list == METER_LIST_TASKS);
}

static bool adopt_maps(struct meter *m, const char *directory)
{
	char path[512 + 64];

	for (size_t i = 0; i < METER_MAP_COUNT; i++) {
		snprintf(path, sizeof(path), "%s/maps/%s", directory, meter_map_name[i]);
		if (m->note.map_id[i] == 0)
			continue;
		m->map_fd[i] = bpf_obj_get(path);
		/* The programs go on to read the map that they were loaded with. */
		if (m->map_fd[i] < 0 || !note_has_map(m, (enum meter_map)i, m->map_fd[i]))
			return false;
	}
	return true;
}

static bool adopt_link(struct meter *m, const char *links, size_t index)
{
	uint32_t hook = m->note.link[index].hook;
	char path[512 + 64];

	if (hook == METER_HOOK_NONE || hook >= METER_HOOK_COUNT)
		return false;
	snprintf(path, sizeof(path), "%s/%s", links, hook_table[hook].name);
	m->hook[index] = hook;
	m->link_fd[index] = bpf_obj_get(path);
	m->link_count = index + 1;
	return m->link_fd[index] >= 0 && note_has_link(m, index, m->link_fd[index]);
}

bool adopt_links(struct meter *m, const char *links)
{
	for (size_t i = 0; i < m->note.link_count; i++)
		if (!adopt_link(m, links, i))
			return false;
	return m->link_count > 0;
}

static bool adopt_all(struct meter *m, const char *directory, const char *links)
{
	char path[512 + 64];

	if (!adopt_maps(m, directory) || !adopt_links(m, links))
		return false;
	for (size_t i = 0; i < METER_LIST_COUNT; i++) {
		if (!needs_list(m, i))
			continue;
		snprintf(path, sizeof(path), "%s/%s", links, list_name[i]);
		m->list_fd[i] = bpf_obj_get(path);
		if (m->list_fd[i] < 0 || !note_has_list(m, (enum meter_list)i, m->list_fd[i]))
			return false;
	}
	return true;
}

static void let_go(struct meter *m)
{
	for (size_t i = 0; i < METER_LINKS_MAX; i++)
		own_close(&m->link_fd[i]);
	for (size_t i = 0; i < METER_MAP_COUNT; i++)
		own_close(&m->map_fd[i]);
	for (size_t i = 0; i < METER_LIST_COUNT; i++)
		own_close(&m->list_fd[i]);
	own_close(&m->note_fd);
	m->link_count = 0;
}

int meter_adopt(struct meter *m, const struct meter_options *options)
{
	char links[512];
	int r = -ESTALE;

	meter_links_path(options->pin_directory, m->make, "", links, sizeof(links));
	if (note_read(m, links))
		r = note_suits(m, options->cgroup_fd);
	if (r == 0 && !adopt_all(m, options->pin_directory, links))
		r = -ESTALE;
	if (r)
		let_go(m);
	m->adopted = r == 0;
	return r;
}
