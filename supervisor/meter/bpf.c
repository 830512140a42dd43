/* SPDX-License-Identifier: Apache-2.0 */

/* Loading and attaching. */
#include "meter/programs.h"

#include "base/own.h"
#include "meter/hooks.h"

#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

/* The skeleton is generated and not written to our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wundef"
#include "bpf/meter.digest.h"
#include "bpf/meter.skel.h"
#pragma GCC diagnostic pop

#include <bpf/btf.h>

const char *const meter_map_name[METER_MAP_COUNT] = {
#define X(name) [METER_MAP_##name] = #name,
	METER_MAPS(X)
#undef X
};

/* libbpf's last complaint, kept for the error text: it names the program and the reason. */
static char last_complaint[ERROR_TEXT_MAX / 2];

__attribute__((format(printf, 2, 0))) static int keep_complaint(
	enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_WARN && last_complaint[0] == '\0') {
		vsnprintf(last_complaint, sizeof(last_complaint), format, arguments);
		last_complaint[strcspn(last_complaint, "\n")] = '\0';
	}
	return 0;
}

/* What exists only while programs are loaded. */
struct loading {
	struct meter_bpf *skeleton;
	struct bpf_program *program[METER_LINKS_MAX]; /* as meter.hook */
};

const char *programs_digest(void)
{
	return METER_OBJECT_DIGEST;
}

/* ---- which programs ---- */

static bool kernel_is_before(unsigned major, unsigned minor)
{
	unsigned has_major = 0, has_minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &has_major, &has_minor) != 2)
		return true;
	return has_major != major ? has_major < major : has_minor < minor;
}

static bool has_function(const struct btf *kernel, const char *prefix, const char *name)
{
	char full[128];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	return btf__find_by_name_kind(kernel, full, BTF_KIND_FUNC) >= 0;
}

/* inode_setattr got the idmap as its first argument in 6.9: three arguments instead of two. */
static bool has_idmap_in_setattr(const struct btf *kernel)
{
	int id = btf__find_by_name_kind(kernel, "bpf_lsm_inode_setattr", BTF_KIND_FUNC);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(kernel, (uint32_t)id);

	type = type ? btf__type_by_id(kernel, type->type) : NULL;
	return type && btf_vlen(type) == 3;
}

/* Name of the program that serves a hook in this make; NULL = none does. */
static const char *program_for(const struct btf *kernel, uint32_t number, enum meter_make make,
	bool network, char *name, size_t capacity)
{
	const struct hook *hook = &hook_table[number];
	bool lsm = make == METER_MAKE_LSM;

	switch (hook->kind) {
	case HOOK_KIND_CGROUP:
		snprintf(name, capacity, "%s", hook->name);
		return network ? name : NULL;
	case HOOK_KIND_PROBE:
		snprintf(name, capacity, "probe_%s", hook->name);
		break;
	case HOOK_KIND_LSM:
		snprintf(name, capacity, "%s_%s%s", lsm ? "lsm" : "mod", hook->name,
			lsm && number == METER_HOOK_inode_setattr && !has_idmap_in_setattr(kernel)
				? "_old"
				: "");
		break;
	}
	if (make == METER_MAKE_NETWORK)
		return NULL;
	if (hook->kind == HOOK_KIND_LSM && lsm)
		return has_function(kernel, "bpf_lsm_", hook->name) ? name : NULL;
	return has_function(kernel, "", hook->function) ? name : NULL;
}

/* Turn on exactly the programs of this make. */
static int choose_programs(struct meter *meter, const struct meter_options *options,
	struct loading *loading, struct error *err)
{
	struct btf *kernel = btf__load_vmlinux_btf();

	if (!kernel)
		return error_set(err, -ENOTSUP, ERROR_UNSUPPORTED,
			"the kernel has no type information (CONFIG_DEBUG_INFO_BTF)");
	for (uint32_t hook = 1; hook < METER_HOOK_COUNT; hook++) {
		struct bpf_program *program;
		char name[64];

		if (!program_for(kernel, hook, meter->make, options->cgroup_fd >= 0, name,
			    sizeof(name))) {
			if (hook_table[hook].required &&
				hook_table[hook].kind != HOOK_KIND_CGROUP &&
				meter->make != METER_MAKE_NETWORK) {
				btf__free(kernel);
				return error_set(err, -ENOTSUP, ERROR_UNSUPPORTED,
					"this kernel has no %s, which the meter cannot do without",
					hook_table[hook].function);
			}
			continue;
		}
		program = bpf_object__find_program_by_name(loading->skeleton->obj, name);
		if (!program) /* listed for a hook that has no program yet would be a hole */
			continue;
		bpf_program__set_autoload(program, true);
		loading->program[meter->link_count] = program;
		meter->hook[meter->link_count++] = hook;
	}
	btf__free(kernel);
	return 0;
}

/* ---- maps ---- */

static int take_maps(struct meter *m, struct meter_bpf *programs, struct error *err)
{
	for (size_t i = 0; i < METER_MAP_COUNT; i++) {
		struct bpf_map *map =
			bpf_object__find_map_by_name(programs->obj, meter_map_name[i]);
		int fd = map ? bpf_map__fd(map) : -1;

		if (fd < 0)
			continue; /* not created in this make */
		m->map_fd[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (m->map_fd[i] < 0)
			return error_errno(err, "keep map %s", meter_map_name[i]);
	}
	return 0;
}

static int take_list(
	struct meter *m, enum meter_list list, const struct bpf_program *program, struct error *err)
{
	if (bpf_program__fd(program) < 0)
		return 0; /* of no use in this make */
	m->list_fd[list] = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3);
	return m->list_fd[list] < 0 ? error_errno(err, "keep a program") : 0;
}

/* ---- loading ---- */

static int attach_one(struct bpf_program *program, const struct hook *hook, int cgroup_fd,
	struct bpf_link **ret_link)
{
	*ret_link = hook->kind == HOOK_KIND_CGROUP ? bpf_program__attach_cgroup(program, cgroup_fd)
						   : bpf_program__attach(program);
	return *ret_link ? 0 : -errno;
}

int programs_attach(struct meter *m, const struct loading *loading,
	const struct meter_options *options, const char *links, struct error *err)
{
	for (size_t i = 0; i < m->link_count; i++) {
		const struct hook *hook = &hook_table[m->hook[i]];
		struct bpf_link *link = NULL;
		char path[512];

		if (attach_one(loading->program[i], hook, options->cgroup_fd, &link))
			return error_set(err, -ENOTSUP, ERROR_UNSUPPORTED, "attach %s: %s",
				hook->name, last_complaint);
		m->link_fd[i] = fcntl(bpf_link__fd(link), F_DUPFD_CLOEXEC, 3);
		bpf_link__destroy(
			link); /* closes a descriptor; the duplicate keeps the program attached */
		if (m->link_fd[i] < 0)
			return error_errno(err, "keep the link of %s", hook->name);
		snprintf(path, sizeof(path), "%s/%s", links, hook->name);
		if (links[0] && bpf_obj_pin(m->link_fd[i], path))
			return error_errno(err, "pin %s", path);
	}
	return 0;
}

static int load(struct meter *m, const struct meter_options *options, struct loading *loading,
	struct error *err)
{
	struct meter_bpf *programs = meter_bpf__open();
	char path[512];
	int r;

	if (!programs)
		return error_set(
			err, -EINVAL, ERROR_INTERNAL, "open the programs: %s", last_complaint);
	loading->skeleton = programs;
	r = choose_programs(m, options, loading, err);
	if (r)
		return r;
	programs->rodata->anchors_by_number = m->make != METER_MAKE_LSM;
	programs->rodata->splices_ask_twice = kernel_is_before(6, 5);
	bpf_program__set_autoload(programs->progs.list_inodes, m->make == METER_MAKE_FMOD_RET);
	bpf_program__set_autoload(programs->progs.list_tasks, m->make != METER_MAKE_NETWORK);
	/* Without "bpf" among the LSMs an inode has no room for storage: the map cannot even be
	 * made. */
	if (m->make != METER_MAKE_LSM)
		bpf_map__set_autocreate(programs->maps.anchors, false);
	for (size_t i = 0; options->pin_directory && i < METER_MAP_COUNT; i++) {
		struct bpf_map *map =
			bpf_object__find_map_by_name(programs->obj, meter_map_name[i]);

		if (!map || !bpf_map__autocreate(map))
			continue;
		snprintf(path, sizeof(path), "%s/maps/%s", options->pin_directory,
			meter_map_name[i]);
		if (bpf_map__set_pin_path(map, path))
			return error_errno(err, "pin map %s", meter_map_name[i]);
	}
	r = meter_bpf__load(programs);
	if (r)
		return error_set(err, r, ERROR_UNSUPPORTED, "load the %s programs: %s: %s",
			meter_make_name(m->make),
			last_complaint[0] ? last_complaint : "no reason given", strerror(-r));
	r = take_list(m, METER_LIST_INODES, programs->progs.list_inodes, err);
	if (r == 0)
		r = take_list(m, METER_LIST_TASKS, programs->progs.list_tasks, err);
	return r ? r : take_maps(m, programs, err);
}

int programs_load(struct meter *m, const struct meter_options *options,
	struct loading **ret_loading, struct error *err)
{
	struct loading *loading = calloc(1, sizeof(*loading));

	if (!loading)
		return error_errno(err, "allocate the programs");
	*ret_loading = loading;
	last_complaint[0] = '\0';
	libbpf_set_print(keep_complaint);
	return load(m, options, loading, err);
}

void programs_unload(struct loading *loading)
{
	/* What was needed for loading is large, and the descriptors were duplicated. */
	if (loading)
		meter_bpf__destroy(loading->skeleton);
	free(loading);
}
