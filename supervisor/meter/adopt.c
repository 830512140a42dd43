/* SPDX-License-Identifier: Apache-2.0 */

/* Taking over what an earlier process pinned: some hundred descriptors, nothing is loaded. */
#include "meter/hooks.h"
#include "meter/internal.h"

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
		m->map_fd[i] = bpf_obj_get(path);
		if (m->map_fd[i] < 0 && !(i == METER_MAP_anchors && m->make != METER_MAKE_LSM))
			return false;
	}
	return true;
}

static bool adopt_link(struct meter *m, const char *links, uint32_t hook)
{
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	char path[512 + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", links, hook_table[hook].name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	m->hook[m->link_count] = hook;
	m->link_fd[m->link_count] = fd;
	m->link_count++;
	/* A cgroup's link can be detached behind its back. */
	if (hook_table[hook].kind != HOOK_KIND_CGROUP)
		return true;
	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.cgroup.cgroup_id != 0;
}

static bool adopt_all(struct meter *m, const char *directory, const char *links)
{
	char path[512 + 64];
	struct meter_host host;
	uint32_t zero = 0;

	if (!adopt_maps(m, directory) ||
		bpf_map_lookup_elem(m->map_fd[METER_MAP_host], &zero, &host))
		return false;
	for (uint32_t hook = 1; hook < METER_HOOK_COUNT; hook++)
		if ((host.attached[hook / 64] >> (hook % 64) & 1) && !adopt_link(m, links, hook))
			return false;
	for (size_t i = 0; i < METER_LIST_COUNT; i++) {
		snprintf(path, sizeof(path), "%s/%s", links, list_name[i]);
		m->list_fd[i] = needs_list(m, i) ? bpf_obj_get(path) : -1;
		if (m->list_fd[i] < 0 && needs_list(m, i))
			return false;
	}
	return m->link_count > 0;
}

int meter_adopt(struct meter *m, const char *directory, struct error *err)
{
	char links[512];

	(void)err;
	meter_links_path(directory, m->make, "", links, sizeof(links));
	if (access(links, F_OK) == 0 && adopt_all(m, directory, links)) {
		m->adopted = true;
		return 0;
	}
	for (size_t i = 0; i < METER_LINKS_MAX; i++)
		own_close(&m->link_fd[i]);
	for (size_t i = 0; i < METER_MAP_COUNT; i++)
		own_close(&m->map_fd[i]);
	for (size_t i = 0; i < METER_LIST_COUNT; i++)
		own_close(&m->list_fd[i]);
	m->link_count = 0;
	return -ESTALE;
}
