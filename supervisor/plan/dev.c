/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

/* The nodes that programs cannot do without. Everything else under /dev needs a line of the
 * profile. */
static const char *const nodes[] = {
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};

static const struct {
	const char *path, *content;
} dev_links[] = {
	{"/dev/ptmx", "pts/ptmx"},
	{"/dev/fd", "/proc/self/fd"},
	{"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"},
	{"/dev/stderr", "/proc/self/fd/2"},
};

bool path_is_own_device(const char *path)
{
	for (size_t i = 0; i < array_size(nodes); i++) {
		if (strcmp(path, nodes[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < array_size(dev_links); i++) {
		if (strcmp(path, dev_links[i].path) == 0)
			return true;
	}
	return false;
}

void plan_devices(struct compiler *c)
{
	Berm__Wire__Mount *m;

	if (area_of(c, "/dev")->kind != AREA_DEV)
		return;
	for (size_t i = 0; i < array_size(nodes); i++) {
		if (path_is_denied(c, nodes[i]) || area_of(c, nodes[i])->kind != AREA_DEV)
			continue;
		m = message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE, nodes[i], 0);
		m->source = message_string(c, nodes[i]);
		m->source_kind = BERM__WIRE__FILE_KIND__FILE_DEVICE;
		m->no_exec = true;
		/* A container without a terminal may have no /dev/tty. */
		m->optional = true;
	}
	for (size_t i = 0; i < array_size(dev_links); i++) {
		if (path_is_denied(c, dev_links[i].path))
			continue;
		m = message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK, dev_links[i].path, 0);
		message_bytes(c, &m->content, dev_links[i].content, strlen(dev_links[i].content));
	}
	if (!path_is_denied(c, "/dev/pts"))
		message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_DEVPTS, "/dev/pts", 0);
}

static void add_file(struct compiler *c, const char *path, struct text *content)
{
	Berm__Wire__Mount *m;
	const struct area *around = area_around(c, path);

	/* What a grant shows stays as the host has it; a private home at /etc makes no sense. */
	if (around->kind != AREA_ROOT || path_is_denied(c, path))
		return;
	for (size_t i = 0; i < c->area_count; i++) {
		if (path_is_beneath(c->areas[i].path, path))
			return;
	}
	for (size_t i = 0; i < c->link_count; i++) {
		if (path_is_beneath(path, c->links[i].path) ||
			path_is_beneath(c->links[i].path, path))
			return;
	}
	m = message_mount(c, BERM__WIRE__MOUNT_KIND__MOUNT_FILE, path, 0);
	m->mode = 0444;
	c->out_of_memory |= content->failed;
	message_bytes(c, &m->content, text_string(content), content->length);
}

/* Who the run is, where localhost is, what it is called: with numbers only, C libraries fail in
 * surprising ways. Nothing here is taken from the host's own files. */
void plan_synthetic_files(struct compiler *c)
{
	const Berm__Wire__Identity *id = c->plan->identity;
	autotext struct text passwd = {0}, group = {0}, hosts = {0}, name = {0}, services = {0};

	text_puts(&passwd, "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n");
	text_printf(&passwd, "%s:x:%u:%u::%s:/bin/sh\n", id->user_name, id->inside_uid,
		id->inside_gid, id->home);
	text_puts(&passwd, "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
	add_file(c, "/etc/passwd", &passwd);
	text_puts(&group, "root:x:0:\n");
	text_printf(&group, "%s:x:%u:\n", id->user_name, id->inside_gid);
	text_puts(&group, "nogroup:x:65534:\n");
	add_file(c, "/etc/group", &group);
	text_printf(&hosts, "127.0.0.1 localhost %s\n::1 localhost\n", c->plan->host_name);
	add_file(c, "/etc/hosts", &hosts);
	text_printf(&name, "%s\n", c->plan->host_name);
	add_file(c, "/etc/hostname", &name);
	text_puts(&services, "passwd: files\ngroup: files\nhosts: files dns\n");
	add_file(c, "/etc/nsswitch.conf", &services);
}
