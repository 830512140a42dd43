/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/host-features.h"

#include "apply/network-probe.h"
#include "apply/probe.h"
#include "base/io.h"
#include "base/number.h"
#include "base/path.h"
#include "daemon/anchor-role.h"
#include "daemon/anchors.h"
#include "daemon/metering.h"
#include "daemon/places.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define SYSFS_LIMIT_BYTES 4096

/* What each Landlock ABI added, and the kernel that brought it
 * (Documentation/userspace-api/landlock.rst). */
static const struct {
	unsigned abi;
	const char *kernel, *adds;
} landlock_abis[] = {
	{1, "5.13", "files and directories"},
	{2, "5.19", "renames and links across directories"},
	{3, "6.2", "truncate"},
	{4, "6.7", "TCP bind and connect by port"},
	{5, "6.10", "ioctl on devices"},
	{6, "6.12", "abstract unix sockets and signals stay inside"},
	{7, "6.15", "control over audit records"},
};

static const char *const state_words[FEATURE_STATE_COUNT] = {
	[FEATURE_NO] = "no",
	[FEATURE_WEAKER] = "weaker",
	[FEATURE_YES] = "yes",
};

const char *feature_state_word(enum feature_state state)
{
	return state_words[state];
}

/* Put "why not" into a finding: the errno with which trying it failed. */
static void explain_failure(struct finding *finding, enum probe_feature probe)
{
	int r = probe_feature(probe);

	text_printf(&finding->detail, "trying it failed: %s",
		r < 0 ? strerror(-r) : "not usable together with the rest");
}

static void plain(struct finding *finding, bool there, const char *detail, enum probe_feature probe)
{
	finding->state = there ? FEATURE_YES : FEATURE_NO;
	if (there)
		text_puts(&finding->detail, detail);
	else
		explain_failure(finding, probe);
}

/* "6.18.44-x" is 6018; 0 where the text is none. */
static uint64_t kernel_level(const char *release)
{
	unsigned major, minor;

	return sscanf(release, "%u.%u", &major, &minor) == 2 && minor < 1000
		       ? major * 1000ULL + minor
		       : 0;
}

static void look_kernel(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	finding->level = kernel_level(facts->kernel_release);
	finding->state = finding->level >= 6001   ? FEATURE_YES
			 : finding->level >= 5013 ? FEATURE_WEAKER
						  : FEATURE_NO;
	text_printf(&finding->detail, "Linux %s", facts->kernel_release);
}

static bool meets_kernel(const Berm__Wire__HostFacts *facts, const struct finding *finding,
	const char *wanted, struct error *err)
{
	uint64_t level = kernel_level(wanted);

	(void)facts;
	if (level == 0)
		error_set(err, -EINVAL, ERROR_INPUT,
			"\"%s\" is not a kernel version: write kernel=6.1", wanted);
	return level > 0 && finding->level >= level;
}

static void look_landlock(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	bool first = true;

	finding->level = facts->landlock_abi;
	if (facts->landlock_abi == 0) {
		explain_failure(finding, PROBE_LANDLOCK);
		return;
	}
	finding->costs = "what is missing is guarded by mounts and seccomp alone";
	finding->how = "a newer kernel";
	/* ABI 3 is the first in which a path without the write right cannot be truncated. */
	finding->state = facts->landlock_abi >= 3 ? FEATURE_YES : FEATURE_WEAKER;
	text_printf(&finding->detail, "ABI %u", facts->landlock_abi);
	for (size_t i = 0; i < array_size(landlock_abis); i++) {
		if (landlock_abis[i].abi <= facts->landlock_abi)
			continue;
		text_printf(&finding->detail, "%s%s (%s)", first ? "; missing: " : ", ",
			landlock_abis[i].adds, landlock_abis[i].kernel);
		first = false;
	}
	if (first)
		text_puts(&finding->detail,
			": files, renames, truncate, TCP ports, device ioctl, scopes");
}

static bool meets_landlock(const Berm__Wire__HostFacts *facts, const struct finding *finding,
	const char *wanted, struct error *err)
{
	uint64_t abi;

	(void)facts;
	if (!number_parse_u64(wanted, &abi) || abi == 0) {
		error_set(err, -EINVAL, ERROR_INPUT, "\"%s\" is not an ABI: write landlock=4",
			wanted);
		return false;
	}
	return finding->level >= abi;
}

static void look_seccomp(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	plain(finding, facts->seccomp_filter, "filters load", PROBE_SECCOMP);
}

static void look_notify(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	plain(finding, facts->seccomp_notify, "a filter with a listener loads", PROBE_NOTIFY);
}

static void look_userns(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	plain(finding, facts->user_namespaces, "can be made, with capabilities inside",
		PROBE_USER_NAMESPACE);
}

static void look_netns(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	plain(finding, facts->network_namespaces, "can be made", PROBE_NETWORK_NAMESPACE);
}

static void look_link(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	struct error err = {0};

	if (!facts->privileged) {
		text_puts(&finding->detail, "needs root; a rootless run has lo alone");
		return;
	}
	if (network_probe(facts, &err) < 0) {
		text_puts(&finding->detail, err.text);
		return;
	}
	if (!facts->network_pool[0]) {
		text_puts(&finding->detail, "can be made; the operator has given no addresses");
		return;
	}
	finding->state = FEATURE_YES;
	text_printf(&finding->detail, "addresses from %s", facts->network_pool);
	if (facts->network_pool6[0])
		text_printf(&finding->detail, " and %s", facts->network_pool6);
	if (facts->network_uplink[0])
		text_printf(&finding->detail, ", masqueraded on %s", facts->network_uplink);
	else
		text_puts(&finding->detail, ", to this host alone");
}

static void look_overlay(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	plain(finding, facts->overlay, "one can be mounted in a user namespace", PROBE_OVERLAY);
}

static void look_idmap(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	if (facts->privileged)
		plain(finding, facts->id_mapped_mounts, "the file system of / can be id-mapped",
			PROBE_ID_MAP);
	else
		text_puts(&finding->detail,
			"needs root; a rootless run keeps the caller's own uid and does without");
}

static void look_cgroup(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	bool memory = false, pids = false;

	if (!facts->cgroup_v2) {
		text_printf(&finding->detail,
			"layout %s; no v2 directory in which a cgroup can be made",
			facts->cgroup_layout);
		return;
	}
	text_printf(&finding->detail, "layout %s, in %s, controllers:", facts->cgroup_layout,
		facts->cgroup_parent);
	for (size_t i = 0; i < facts->n_cgroup_controllers; i++) {
		text_printf(&finding->detail, " %s", facts->cgroup_controllers[i]);
		memory |= strcmp(facts->cgroup_controllers[i], "memory") == 0;
		pids |= strcmp(facts->cgroup_controllers[i], "pids") == 0;
	}
	if (facts->n_cgroup_controllers == 0)
		text_puts(&finding->detail, " none");
	finding->state = memory && pids ? FEATURE_YES : FEATURE_WEAKER;
}

static bool meets_cgroup(const Berm__Wire__HostFacts *facts, const struct finding *finding,
	const char *wanted, struct error *err)
{
	static const char *const known[] = {"v2", "memory", "pids", "cpu", "io"};
	bool sensible = false;

	(void)finding;
	for (size_t i = 0; i < array_size(known); i++)
		sensible |= strcmp(wanted, known[i]) == 0;
	if (!sensible)
		error_set(err, -EINVAL, ERROR_INPUT,
			"\"%s\" is not one of v2, memory, pids, cpu, io", wanted);
	if (strcmp(wanted, "v2") == 0)
		return facts->cgroup_v2;
	for (size_t i = 0; i < facts->n_cgroup_controllers; i++)
		if (strcmp(facts->cgroup_controllers[i], wanted) == 0)
			return true;
	return false;
}

static void look_memfd(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	finding->state = facts->memfd_noexec ? FEATURE_YES : FEATURE_NO;
	text_puts(&finding->detail,
		facts->memfd_noexec ? "vm.memfd_noexec is there" : "no vm.memfd_noexec");
}

static void look_bpf(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	int r = facts->bpf_load ? 0 : probe_feature(PROBE_BPF_LSM);

	if (r == -ENOENT) {
		text_puts(&finding->detail, "no BTF of the kernel (/sys/kernel/btf/vmlinux), or "
					    "none with BPF LSM hooks");
		return;
	}
	if (r < 0) {
		text_printf(&finding->detail, "a program of the LSM kind does not load: %s",
			strerror(-r));
		return;
	}
	/* Without "bpf" in the list the programs attach and never run; fmod_ret on the same
	 * functions does. */
	finding->state = facts->bpf_lsm ? FEATURE_YES : FEATURE_WEAKER;
	text_printf(&finding->detail, "LSM programs load; \"bpf\" is %sin the LSM list (%s)",
		facts->bpf_lsm ? "" : "not ",
		facts->lsm_list[0] ? facts->lsm_list : "not readable");
}

static void look_pins(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	finding->state = metering_pins(facts, &finding->detail) ? FEATURE_YES : FEATURE_NO;
}

/* The state directory that runs of this caller use. */
static char *find_state(struct error *err)
{
	const struct places_request request = {.state_dir = getenv("BERM_STATE_DIR")};
	struct places places;
	struct caller caller;
	char *state;

	caller_identify(&caller);
	if (places_find(&caller, &request, &places, err) < 0)
		return NULL;
	state = places.state ? strdup(places.state) : NULL;
	if (!state)
		error_set(err, -ENOENT, ERROR_INPUT, "no state directory is known");
	places_finish(&places);
	return state;
}

/* What the process that anchors said last. */
static void look_at_anchoring(const char *state, struct finding *finding)
{
	autofree char *own = path_join(state, ANCHOR_DIR);
	autoclose int fd = own ? open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct anchor_status status = {0};
	struct error err = {0};

	if (fd < 0 || anchor_status_read(fd, &status, &err) < 0) {
		text_puts(&finding->detail, "; nothing was published yet");
		return;
	}
	finding->state = status.code ? FEATURE_WEAKER : FEATURE_YES;
	text_printf(&finding->detail, "; record %" PRIu64 " was published last", status.sequence);
	if (!status.code)
		return;
	text_printf(&finding->detail, "; it fails: %s", status.text);
	finding->costs = "what is not anchored can be taken off the log's end unseen";
	finding->how = "make that place work; `anchor: {required: true}` lets no run go on without";
}

static void look_anchor(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	autorecorderfile struct recorder_file file = {0};
	autotext struct text diagnostics = {0};
	struct error err = {0};
	autofree char *state = find_state(&err);

	(void)facts;
	if (!state || recorder_file_read(state, geteuid(), &file, &diagnostics, &err) < 0) {
		text_puts(&finding->detail, err.text);
		finding->how = "mend what is named there; until then no recorder starts";
		return;
	}
	if (!recorder_file_has_anchor(&file)) {
		text_printf(&finding->detail, "%s/%s names none", state, RECORDER_FILE);
		return;
	}
	finding->state = FEATURE_WEAKER;
	finding->costs = "until then an older copy of the log is not noticed";
	finding->how = "run something";
	text_printf(&finding->detail, "%s%s%s%s%s%s", file.anchor_directory ? "directory " : "",
		file.anchor_directory ? file.anchor_directory : "",
		file.anchor_directory && file.anchor_command ? ", " : "",
		file.anchor_command ? "command " : "",
		file.anchor_command ? file.anchor_command[0] : "",
		file.anchor_required ? ", required" : "");
	look_at_anchoring(state, finding);
}

static void look_lockdown(const Berm__Wire__HostFacts *facts, struct finding *finding)
{
	autofree char *modes = NULL;
	const char *open_bracket;

	(void)facts;
	if (io_read_file(AT_FDCWD, "/sys/kernel/security/lockdown", SYSFS_LIMIT_BYTES, &modes, NULL,
		    NULL) < 0) {
		finding->state = FEATURE_WEAKER;
		text_puts(&finding->detail,
			"not readable: securityfs is not mounted, or the kernel has no lockdown");
		return;
	}
	open_bracket = strchr(modes, '[');
	finding->state = open_bracket && strncmp(open_bracket, "[none]", 6) == 0 ? FEATURE_YES
										 : FEATURE_WEAKER;
	text_printf(&finding->detail, "mode %.*s",
		open_bracket ? (int)strcspn(open_bracket + 1, "]") : 7,
		open_bracket ? open_bracket + 1 : "unknown");
}

/* clang-format off */
const struct feature features[] = {
	{"kernel", "the floor of everything else",
		"below 6.1 nothing is tested; below 5.13 there is no Landlock and runs do not start",
		"a kernel from 6.1 on", look_kernel, meets_kernel},
	{"landlock", "refuses paths that no rule grants, under the mounts",
		"paths are guarded by mounts alone; a run starts only with --allow-degraded=landlock",
		"CONFIG_SECURITY_LANDLOCK=y and \"landlock\" in the boot parameter lsm=", look_landlock, meets_landlock},
	{"seccomp", "lets a tool make only the system calls on a list",
		"no run can start",
		"CONFIG_SECCOMP_FILTER=y, and a container that does not forbid seccomp(2)", look_seccomp, NULL},
	{"notify", "reports refused system calls one by one and answers them from outside",
		"refused calls fail just the same and cannot be reported",
		"a kernel from 5.9 on; under another sandbox with a listener of its own there can be no second", look_notify, NULL},
	{"userns", "gives a run its own users, mounts, processes",
		"no run can start",
		"sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces over 0, "
		"kernel.apparmor_restrict_unprivileged_userns=0, or run as root", look_userns, NULL},
	{"netns", "gives a run a network of its own with nothing in it but lo",
		"only profiles with network.mode: host can run",
		"CONFIG_NET_NS=y and user.max_net_namespaces over 0", look_netns, NULL},
	{"link", "gives a run with network.allow a way out of its namespace, watched packet by packet",
		"a run reaches nothing but its own lo",
		"root, and /etc/berm/network.yaml (`version: 1`, `pool: 10.143.0.0/16`; docs/network.md)",
		look_link, NULL},
	{"idmap", "lets a run as root write files that keep their owner",
		"as root, files that a tool makes belong to the run's own uid",
		"root, and a file system that can be id-mapped (ext4, xfs, btrfs, tmpfs from 6.3, overlay from 5.19)",
		look_idmap, NULL},
	{"overlay", "lets what a run writes wait beside its workspace until somebody commits it",
		"profiles with workspace.mode: staged do not run; nothing is ever written directly instead",
		"a kernel from 5.11 on with CONFIG_OVERLAY_FS", look_overlay, NULL},
	{"cgroup", "limits memory, processes, cpu and io of a run as a whole",
		"memory and processes are limited by rlimits, per process and per user; cpu and io are not",
		"cgroup v2 alone (systemd.unified_cgroup_hierarchy=1), and a delegated cgroup for ordinary users "
		"(systemd-run --user --scope -p Delegate=yes)", look_cgroup, meets_cgroup},
	{"memfd_noexec", "keeps memory files from being executed",
		"memory files can be executed where exec.default is allow",
		"a kernel from 6.3 on", look_memfd, NULL},
	{"bpf", "counts effects and holds scope in the kernel",
		"names that do not exist yet cannot be protected by a pattern; system calls are counted one by one, bytes are not",
		"root, \"bpf\" in lsm=, CONFIG_BPF_LSM=y, CONFIG_DEBUG_INFO_BTF=y, and no lockdown that refuses it",
		look_bpf, NULL},
	{"pins", "keeps the meter's programs from one start to the next, and when berm is killed",
		"each metered start loads them, which takes about a second, and they go with the run's supervisor",
		"root, in the pid namespace and cgroup hierarchy of those who pinned them; a runtime directory /run/berm that "
		"is root's alone",
		look_pins, NULL},
	{"anchor", "shows that the end of the log was taken off, or that an older copy was put in its place",
		"berm log verify cannot notice either",
		"`anchor: {directory: …}` or `{command: […]}` in recorder.yaml of the state directory (docs/recorder.md)",
		look_anchor, NULL},
	{"lockdown", "nothing; it is told because it decides about bpf",
		"integrity may refuse BPF programs that steer the kernel, confidentiality refuses most of bpf",
		"the mode comes from Secure Boot or the boot parameter lockdown=; mount securityfs to let berm see it",
		look_lockdown, NULL},
};
/* clang-format on */
const size_t feature_count = array_size(features);

const struct feature *feature_find(const char *name, size_t length)
{
	for (size_t i = 0; i < feature_count; i++)
		if (strlen(features[i].name) == length &&
			memcmp(features[i].name, name, length) == 0)
			return &features[i];
	return NULL;
}
