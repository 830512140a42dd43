/* SPDX-License-Identifier: Apache-2.0 */

/* Loading, attaching, pinning and adopting. The only file that knows the skeleton.
 *
 * Below the pin directory: maps/NAME, and one directory of links for each build of the programs
 * that is attached, links-DIGEST-MAKE/NAME, complete once it has that name. Programs are told apart
 * by the digest of the object. */
#include "base/own.h"
#include "meter/hooks.h"
#include "meter/internal.h"
#include "meter/pins.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

/* ---- which programs ---- */

static bool is_in_lsm_list(const char *name)
{
	char list[512];
	autofclose FILE *f = fopen("/sys/kernel/security/lsm", "re");

	if (!f || !fgets(list, sizeof(list), f))
		return false;
	for (char *rest = NULL, *word = strtok_r(list, ",\n", &rest); word;
		word = strtok_r(NULL, ",\n", &rest))
		if (strcmp(word, name) == 0)
			return true;
	return false;
}

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

/* ---- directories on the bpffs ---- */

void meter_links_path(const char *directory, enum meter_make make, const char *suffix, char *path,
	size_t capacity)
{
	snprintf(path, capacity, "%s/links-%s-%s%s", directory, METER_OBJECT_DIGEST,
		meter_make_name(make), suffix);
}

/* ---- maps ---- */

static void *share(int fd, size_t bytes, bool writable)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int share_maps(struct meter *m, struct error *err)
{
	m->accounts =
		share(m->map_fd[METER_MAP_accounts], METER_ACCOUNTS * sizeof(*m->accounts), false);
	m->controls =
		share(m->map_fd[METER_MAP_controls], METER_ACCOUNTS * sizeof(*m->controls), true);
	m->host = share(m->map_fd[METER_MAP_host], sizeof(*m->host), true);
	m->fired = share(m->map_fd[METER_MAP_fired], METER_HOOK_COUNT * sizeof(*m->fired), false);
	if (!m->accounts || !m->controls || !m->host || !m->fired)
		return error_errno(err, "map the counters into memory");
	if (m->host->magic == 0) {
		m->host->abi = METER_ABI;
		m->host->magic = METER_ABI_MAGIC;
	}
	if (m->host->magic != METER_ABI_MAGIC || m->host->abi != METER_ABI)
		return error_set(err, -EPROTO, ERROR_UNSUPPORTED,
			"the pinned meter speaks version %u, this berm %u: end its runs and remove "
			"the pins",
			m->host->abi, METER_ABI);
	meter_heartbeat(m);
	return 0;
}

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

static int attach_all(struct meter *m, const struct loading *loading,
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

/* Load, attach under a name of their own, then take the old ones away: in between both are
 * attached, never none. What happens then is charged twice. */
static int load_pinned(struct meter *m, const struct meter_options *options, int directory_fd,
	struct loading *loading, struct error *err)
{
	char fresh[512], final[512];
	int r = load(m, options, loading, err);

	if (r)
		return r;
	meter_links_path(options->pin_directory, m->make, "-new", fresh, sizeof(fresh));
	meter_links_path(options->pin_directory, m->make, "", final, sizeof(final));
	/* Of one that did not get further: it may be all that is attached. */
	r = pins_put_aside(directory_fd, strrchr(fresh, '/') + 1, err);
	if (r == 0 && mkdir(fresh, 0700))
		r = error_errno(err, "make %s", fresh);
	if (r == 0)
		r = attach_all(m, loading, options, fresh, err);
	if (r == 0)
		r = meter_pin_lists(m, fresh, err);
	if (r == 0)
		r = pins_put_aside(directory_fd, strrchr(final, '/') + 1, err);
	if (r)
		return r;
	if (rename(fresh, final))
		return error_errno(err, "rename %s", fresh);
	pins_remove_links(directory_fd, strrchr(final, '/') + 1);
	return 0;
}

/* ---- opening ---- */

static int open_with(struct meter *m, const struct meter_options *options, struct loading *loading,
	struct error *err)
{
	autoclose int directory_fd = -1;
	int r;

	if (!options->pin_directory) {
		r = load(m, options, loading, err);
		return r ? r : attach_all(m, loading, options, "", err);
	}
	directory_fd = pins_open(options->pin_directory, err);
	if (directory_fd < 0)
		return directory_fd;
	m->pins_fd = take_fd(&directory_fd);
	r = meter_adopt(m, options->pin_directory, err);
	if (r == -ESTALE)
		r = load_pinned(m, options, m->pins_fd, loading, err);
	flock(m->pins_fd, LOCK_UN);
	return r;
}

/* For whoever adopts them: these belong there. */
static void note_attached(struct meter *m)
{
	uint64_t attached[METER_HOOK_WORDS] = {0};

	for (size_t i = 0; i < m->link_count; i++)
		attached[m->hook[i] / 64] |= 1ULL << (m->hook[i] % 64);
	for (size_t i = 0; i < METER_HOOK_WORDS; i++)
		__atomic_store_n(&m->host->attached[i], attached[i], __ATOMIC_RELEASE);
}

int meter_open(const struct meter_options *options, struct meter **ret_meter, struct error *err)
{
	struct meter *m = calloc(1, sizeof(*m));
	struct loading loading = {0};
	int r;

	if (!m)
		return error_errno(err, "allocate the meter");
	m->pins_fd = -1;
	memset(m->list_fd, -1, sizeof(m->list_fd));
	memset(m->map_fd, -1, sizeof(m->map_fd));
	memset(m->link_fd, -1, sizeof(m->link_fd));
	last_complaint[0] = '\0';
	libbpf_set_print(keep_complaint);
	m->make = options->make;
	if (m->make == METER_MAKE_AUTO)
		m->make = is_in_lsm_list("bpf") ? METER_MAKE_LSM : METER_MAKE_FMOD_RET;
	r = open_with(m, options, &loading, err);
	if (r == 0)
		r = share_maps(m, err);
	if (r == 0 && !m->adopted)
		note_attached(m);
	if (r == 0 && m->adopted)
		meter_reap(m);
	/* What was needed for loading is large, and the descriptors were duplicated. */
	meter_bpf__destroy(loading.skeleton);
	if (r) {
		meter_close(m);
		return r;
	}
	*ret_meter = m;
	return 0;
}

static void unshare_map(const void *memory, size_t bytes)
{
	union {
		const void *borrowed;
		void *owned;
	} pointer = {.borrowed = memory};

	if (memory)
		munmap(pointer.owned, bytes);
}

void meter_close(struct meter *meter)
{
	if (!meter)
		return;
	unshare_map(meter->accounts, METER_ACCOUNTS * sizeof(*meter->accounts));
	unshare_map(meter->controls, METER_ACCOUNTS * sizeof(*meter->controls));
	unshare_map(meter->host, sizeof(*meter->host));
	unshare_map(meter->fired, METER_HOOK_COUNT * sizeof(*meter->fired));
	own_close(&meter->pins_fd);
	for (size_t i = 0; i < METER_LIST_COUNT; i++)
		own_close(&meter->list_fd[i]);
	for (size_t i = 0; i < METER_LINKS_MAX; i++)
		own_close(&meter->link_fd[i]);
	for (size_t i = 0; i < METER_MAP_COUNT; i++)
		own_close(&meter->map_fd[i]);
	free(meter);
}
