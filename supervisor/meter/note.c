/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/note.h"

#include "meter/hooks.h"

#include <string.h>
#include <sys/stat.h>

#define NOTE_MAGIC 0x65746f6eU

static uint64_t own_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

static int link_info(int link_fd, struct bpf_link_info *ret_info)
{
	uint32_t size = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	return bpf_obj_get_info_by_fd(link_fd, ret_info, &size) ? -errno : 0;
}

static uint32_t map_id(int map_fd)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return map_fd >= 0 && bpf_obj_get_info_by_fd(map_fd, &info, &size) == 0 ? info.id : 0;
}

static uint32_t program_id(int program_fd)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	return program_fd >= 0 && bpf_obj_get_info_by_fd(program_fd, &info, &size) == 0 ? info.id
											: 0;
}

static int fill_links(struct meter *m, struct error *err)
{
	for (size_t i = 0; i < m->link_count; i++) {
		struct meter_note_link *to = &m->note.link[i];
		struct bpf_prog_info program = {0};
		uint32_t size = sizeof(program);
		struct bpf_link_info link;
		autoclose int fd = -1;

		if (link_info(m->link_fd[i], &link))
			return error_errno(
				err, "ask about the link of %s", hook_table[m->hook[i]].name);
		fd = bpf_prog_get_fd_by_id(link.prog_id);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &program, &size))
			return error_errno(
				err, "ask about the program of %s", hook_table[m->hook[i]].name);
		*to = (struct meter_note_link){
			.hook = m->hook[i], .link_id = link.id, .program_id = link.prog_id};
		memcpy(to->tag, program.tag, sizeof(to->tag));
	}
	m->note.link_count = (uint32_t)m->link_count;
	return 0;
}

int note_write(
	struct meter *m, const char *links, int cgroup_fd, const char *why, struct error *err)
{
	char path[512 + 64];
	uint32_t zero = 0;
	int r;

	m->note = (struct meter_note){.magic = NOTE_MAGIC,
		.bytes = sizeof(m->note),
		.pid_namespace = own_pid_namespace()};
	if (why)
		snprintf(m->note.why, sizeof(m->note.why), "%s", why);
	r = cgroup_fd < 0 ? 0 : meter_cgroup_id(cgroup_fd, &m->note.cgroup_id, err);
	if (r == 0)
		r = fill_links(m, err);
	if (r)
		return r;
	for (size_t i = 0; i < METER_MAP_COUNT; i++)
		m->note.map_id[i] = map_id(m->map_fd[i]);
	for (size_t i = 0; i < METER_LIST_COUNT; i++)
		m->note.list_id[i] = program_id(m->list_fd[i]);
	snprintf(path, sizeof(path), "%s/" NOTE_NAME, links);
	own_close(&m->note_fd);
	m->note_fd = bpf_map_create(
		BPF_MAP_TYPE_ARRAY, "meter_note", sizeof(zero), sizeof(m->note), 1, NULL);
	if (m->note_fd < 0 || bpf_map_update_elem(m->note_fd, &zero, &m->note, BPF_ANY) ||
		bpf_obj_pin(m->note_fd, path))
		return error_errno(err, "pin %s", path);
	return 0;
}

bool note_read(struct meter *m, const char *links)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info), zero = 0;
	char path[512 + 64];

	snprintf(path, sizeof(path), "%s/" NOTE_NAME, links);
	own_close(&m->note_fd);
	m->note_fd = bpf_obj_get(path);
	/* A link or a program in its place has no value size, or another one. */
	return m->note_fd >= 0 && bpf_obj_get_info_by_fd(m->note_fd, &info, &size) == 0 &&
	       info.type == BPF_MAP_TYPE_ARRAY && info.value_size == sizeof(m->note) &&
	       info.max_entries == 1 && bpf_map_lookup_elem(m->note_fd, &zero, &m->note) == 0 &&
	       m->note.magic == NOTE_MAGIC && m->note.bytes == sizeof(m->note) &&
	       m->note.link_count <= METER_LINKS_MAX &&
	       memchr(m->note.why, '\0', sizeof(m->note.why));
}

int note_suits(const struct meter *m, int cgroup_fd)
{
	uint64_t cgroup_id = 0;
	struct error ignored;

	/* Owners of slots are known by their process ids. */
	if (m->note.pid_namespace != own_pid_namespace())
		return -EXDEV;
	if (cgroup_fd < 0)
		return 0;
	if (m->note.cgroup_id == 0 || meter_cgroup_id(cgroup_fd, &cgroup_id, &ignored))
		return -ESTALE;
	return m->note.cgroup_id == cgroup_id ? 0 : -EXDEV;
}

bool note_has_link(const struct meter *m, size_t index, int link_fd)
{
	const struct meter_note_link *noted = &m->note.link[index];
	struct bpf_link_info info;

	if (link_info(link_fd, &info) || info.id != noted->link_id ||
		info.prog_id != noted->program_id)
		return false;
	/* A cgroup's link can be detached behind its back. */
	return noted->hook < METER_HOOK_COUNT &&
	       (hook_table[noted->hook].kind != HOOK_KIND_CGROUP ||
		       (info.type == BPF_LINK_TYPE_CGROUP &&
			       info.cgroup.cgroup_id == m->note.cgroup_id));
}

bool note_has_map(const struct meter *m, enum meter_map map, int map_fd)
{
	return map_id(map_fd) == m->note.map_id[map];
}

bool note_has_list(const struct meter *m, enum meter_list list, int program_fd)
{
	return program_id(program_fd) == m->note.list_id[list];
}

bool meter_proved(const struct meter *meter)
{
	return meter->note_fd >= 0 && meter->note.proved;
}

int meter_note_proved(struct meter *meter, struct error *err)
{
	uint32_t zero = 0;

	meter->note.proved = 1;
	if (meter->note_fd >= 0 &&
		bpf_map_update_elem(meter->note_fd, &zero, &meter->note, BPF_ANY))
		return error_errno(err, "note that the programs were proved");
	return 0;
}

const char *meter_lacks(const struct meter *meter)
{
	return meter->note.why;
}
