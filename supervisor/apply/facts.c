/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/facts.h"

#include "apply/caller.h"
#include "apply/content.h"
#include "apply/probe.h"
#include "base/io.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sodium.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#define PROC_FILE_LIMIT_BYTES 65536

#if defined(__x86_64__)
#define THIS_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_AUDIT_ARCH AUDIT_ARCH_AARCH64
#else
#error "this machine is not supported yet: its AUDIT_ARCH value is missing here"
#endif

int facts_set_string(char **field, const char *value, struct error *err)
{
	char *copy;

	if (value[0] == '\0')
		return 0;
	copy = strdup(value);
	if (!copy)
		return error_errno(err, "host facts");
	*field = copy;
	return 0;
}

static bool has_admin_capability(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &header, data) == 0 && data[0].effective & 1u << CAP_SYS_ADMIN;
}

/* The initial user namespace maps every id onto itself. */
static bool in_initial_user_namespace(void)
{
	autofree char *map = NULL;
	unsigned inside, outside, count;

	return io_read_file(AT_FDCWD, "/proc/self/uid_map", PROC_FILE_LIMIT_BYTES, &map, NULL,
		       NULL) == 0 &&
	       sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
	       outside == 0 && count == UINT32_MAX;
}

static bool kernel_has_id_maps(void)
{
	struct mount_attr attr = {0};

	return mount_setattr(-1, "", 0, &attr, sizeof(attr)) == 0 || errno != ENOSYS;
}

/* An overlay in a user namespace: kernel 5.11. Whether one can be mounted shows when it is; nothing
 * cheaper says so to an unprivileged process. */
static bool kernel_has_overlays(const char *release)
{
	unsigned major = 0, minor = 0;

	return sscanf(release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 11));
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; *at; at += at[0] == ',') {
		size_t length = strcspn(at, ",\n");

		if (length == n && memcmp(at, word, n) == 0)
			return true;
		at += length;
		if (*at == '\n')
			break;
	}
	return false;
}

static int gather_lsm(Berm__Wire__HostFacts *facts, struct error *err)
{
	autofree char *list = NULL;

	if (io_read_file(AT_FDCWD, "/sys/kernel/security/lsm", PROC_FILE_LIMIT_BYTES, &list, NULL,
		    NULL) < 0)
		return 0;
	list[strcspn(list, "\n")] = '\0';
	facts->bpf_lsm = has_word(list, "bpf");
	return facts_set_string(&facts->lsm_list, list, err);
}

static int gather_kernel(Berm__Wire__HostFacts *facts, struct error *err)
{
	struct utsname name;

	if (uname(&name) < 0)
		return error_errno(err, "uname");
	facts->audit_arch = THIS_AUDIT_ARCH;
	facts->memfd_noexec =
		faccessat(AT_FDCWD, "/proc/sys/vm/memfd_noexec", F_OK, AT_EACCESS) == 0;
	facts->initial_user_namespace = in_initial_user_namespace();
	facts->privileged =
		geteuid() == 0 && has_admin_capability() && facts->initial_user_namespace;
	return facts_set_string(&facts->kernel_release, name.release, err);
}

/* What the kernel says about its features; a start of a run has no time for more. */
static void gather_features_quickly(Berm__Wire__HostFacts *facts)
{
	unsigned action = SECCOMP_RET_ERRNO;

	facts->landlock_abi = (uint32_t)probe_landlock_abi();
	facts->seccomp_filter = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
	facts->seccomp_notify = facts->seccomp_filter && probe_notify_quickly() == 0;
	/* Capabilities inside are asked for with the cheapest namespace that needs one: see
	 * probe.c. */
	facts->user_namespaces =
		facts->privileged || probe_namespaces_quickly(CLONE_NEWUSER | CLONE_NEWUTS) == 0;
	facts->network_namespaces =
		facts->user_namespaces && faccessat(AT_FDCWD, "/proc/self/ns/net", F_OK, 0) == 0;
	facts->id_mapped_mounts = facts->privileged && kernel_has_id_maps();
	facts->overlay = facts->user_namespaces && kernel_has_overlays(facts->kernel_release);
}

static void gather_features_thoroughly(Berm__Wire__HostFacts *facts)
{
	facts->landlock_abi =
		probe_feature(PROBE_LANDLOCK) == 0 ? (uint32_t)probe_landlock_abi() : 0;
	facts->seccomp_filter = probe_feature(PROBE_SECCOMP) == 0;
	facts->seccomp_notify = facts->seccomp_filter && probe_feature(PROBE_NOTIFY) == 0;
	facts->user_namespaces = probe_feature(PROBE_USER_NAMESPACE) == 0;
	facts->network_namespaces = probe_feature(PROBE_NETWORK_NAMESPACE) == 0;
	facts->id_mapped_mounts = facts->privileged && probe_feature(PROBE_ID_MAP) == 0;
	facts->bpf_load = probe_feature(PROBE_BPF_LSM) == 0;
	facts->overlay = probe_feature(PROBE_OVERLAY) == 0;
}

static int gather_caller(Berm__Wire__HostFacts *facts, struct error *err)
{
	struct caller caller;
	int r;

	caller_identify(&caller);
	facts->caller_uid = caller.uid;
	facts->caller_gid = caller.gid;
	r = facts_set_string(&facts->caller_name, caller.name, err);
	return r < 0 ? r : facts_set_string(&facts->caller_home, caller.home, err);
}

static int gather_cgroup(Berm__Wire__HostFacts *facts, struct error *err)
{
	autofree char *self = NULL;

	if (io_read_file(AT_FDCWD, "/proc/self/cgroup", PROC_FILE_LIMIT_BYTES, &self, NULL, NULL) <
		0)
		return facts_set_string(&facts->cgroup_layout, "none", err);
	return facts_cgroup(CGROUP_ROOT, self, facts, err);
}

static size_t count_words(const char *const *words)
{
	size_t count = 0;

	while (words && words[count])
		count++;
	return count;
}

static int gather_paths(const char *const *paths, Berm__Wire__HostFacts *facts, struct error *err)
{
	size_t count = count_words(paths);
	struct facts_parent parent = {.fd = -1};
	int r = 0;

	facts->paths = count ? calloc(count, sizeof(facts->paths[0])) : NULL;
	if (count && !facts->paths)
		return error_errno(err, "host facts");
	while (r == 0 && facts->n_paths < count) {
		r = facts_path_near(
			&parent, paths[facts->n_paths], &facts->paths[facts->n_paths], err);
		facts->n_paths += r == 0;
	}
	own_close(&parent.fd);
	return r;
}

/* What does not open or is not what it was a moment ago says so: the plan decides. */
static int hash_program(Berm__Wire__PathFact *fact, struct error *err)
{
	autoclose int fd = -1;
	int r;

	if (fact->resolved_kind != BERM__WIRE__FILE_KIND__FILE_REGULAR || fact->content.len)
		return 0;
	fact->content.data = malloc(CONTENT_DIGEST_BYTES);
	if (!fact->content.data)
		return error_errno(err, "host facts");
	fd = open(fact->resolved, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	r = fd < 0 ? -errno
		   : content_take(fd, -1, CONTENT_MAX_BYTES, fact->content.data, &fact->size_bytes);
	if (r < 0)
		fact->content_error = (uint32_t)-r;
	else
		fact->content.len = CONTENT_DIGEST_BYTES;
	return 0;
}

static int gather_programs(
	const char *const *programs, Berm__Wire__HostFacts *facts, struct error *err)
{
	int r = 0;

	if (programs && programs[0] && sodium_init() < 0)
		return error_set(err, -EIO, ERROR_INTERNAL, "libsodium does not start");
	for (size_t i = 0; programs && programs[i]; i++) {
		for (size_t k = 0; r == 0 && facts->paths && k < facts->n_paths; k++) {
			if (strcmp(facts->paths[k]->path, programs[i]) == 0)
				r = hash_program(facts->paths[k], err);
		}
	}
	return r;
}

static int gather_globs(const char *const *globs, Berm__Wire__HostFacts *facts, struct error *err)
{
	size_t count = count_words(globs);
	int r = 0;

	facts->globs = count ? calloc(count, sizeof(facts->globs[0])) : NULL;
	if (count && !facts->globs)
		return error_errno(err, "host facts");
	while (r == 0 && facts->n_globs < count) {
		r = facts_glob(globs[facts->n_globs], &facts->globs[facts->n_globs], err);
		facts->n_globs += r == 0;
	}
	return r;
}

int facts_gather(
	const struct facts_request *request, Berm__Wire__HostFacts **ret_facts, struct error *err)
{
	static int (*const steps[])(Berm__Wire__HostFacts *, struct error *) = {
		gather_kernel, gather_lsm, gather_caller};
	Berm__Wire__HostFacts *facts = malloc(sizeof(*facts));
	int r = 0;

	if (!facts)
		return error_errno(err, "host facts");
	berm__wire__host_facts__init(facts);
	for (size_t i = 0; i < array_size(steps) && r == 0; i++)
		r = steps[i](facts, err);
	if (r == 0 && !request->no_cgroup)
		r = gather_cgroup(facts, err);
	if (r == 0 && request->thorough)
		gather_features_thoroughly(facts);
	else if (r == 0)
		gather_features_quickly(facts);
	if (r == 0)
		r = gather_paths(request->paths, facts, err);
	if (r == 0)
		r = gather_globs(request->globs, facts, err);
	if (r == 0)
		r = gather_programs(request->programs, facts, err);
	if (r < 0) {
		berm__wire__host_facts__free_unpacked(facts, NULL);
		return r;
	}
	*ret_facts = facts;
	return 0;
}
