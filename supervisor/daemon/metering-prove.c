/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "daemon/metering-prove.h"

#include "apply/bpffs.h"
#include "daemon/metering.h"
#include "meter/pins.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#define RUNTIME "/run/berm"
#define OWN_BPFFS RUNTIME "/bpf"
#define WALK_DESCRIPTORS 8
#define PATH_MAX_BYTES 256

/* The root of the unified hierarchy; -1 where there is none. */
static int open_hierarchy(const Berm__Wire__HostFacts *facts)
{
	const char *path = NULL;

	if (strcmp(facts->cgroup_layout, "v2") == 0)
		path = "/sys/fs/cgroup";
	else if (strcmp(facts->cgroup_layout, "hybrid") == 0)
		path = "/sys/fs/cgroup/unified";
	return path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* Prove in a directory and a cgroup that are made for it. */
static int prove(struct meter *meter, int hierarchy_fd, struct error *err)
{
	char directory[] = RUNTIME "/proof-XXXXXX", group[32];
	autoclose int directory_fd = -1, group_fd = -1;
	int r = 0;

	snprintf(group, sizeof(group), "berm-proof-%d", (int)getpid());
	if (!mkdtemp(directory))
		return error_errno(err, "a directory for the meter's proof");
	directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0)
		r = error_errno(err, "open %s", directory);
	if (r == 0 && hierarchy_fd >= 0) {
		if (mkdirat(hierarchy_fd, group, 0755) == 0)
			group_fd = openat(hierarchy_fd, group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (group_fd < 0)
			r = error_errno(err, "a cgroup for the meter's proof");
	}
	if (r == 0)
		r = meter_prove(meter, directory_fd, group_fd, err);
	if (group_fd >= 0)
		unlinkat(hierarchy_fd, group, AT_REMOVEDIR);
	nftw(directory, remove_one, WALK_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
	return r;
}

/* ---- where the pins are ---- */

static int check_runtime(struct error *err)
{
	autoclose int fd = -1;
	struct stat st;

	if (mkdir(RUNTIME, 0755) < 0 && errno != EEXIST)
		return error_errno(err, "make %s", RUNTIME);
	fd = open(RUNTIME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open %s", RUNTIME);
	if (st.st_uid != 0 || st.st_mode & 022)
		return error_set(err, -EPERM, ERROR_REFUSED, "%s: others than root may write to it",
			RUNTIME);
	return 0;
}

/* The directory of this layout of maps, so that berms with another one are not in the way: each has
 * maps and programs of its own. */
static int find_pins(bool mount, char *path, size_t capacity, struct error *err)
{
	char base[PATH_MAX_BYTES / 2];
	int r = bpffs_find(OWN_BPFFS, mount, base, sizeof(base), err);
	autoclose int fd = -1;

	if (r)
		return r;
	snprintf(path, capacity, "%s/abi-%d", base, METER_ABI);
	if (mount && mkdir(base, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "make %s", base);
	fd = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : error_errno(err, "open %s", base);
	return pins_check(fd, base, err);
}

/* ---- opening ---- */

/* What failed for a reason that may be gone at the next start. */
static bool is_passing(const struct error *err)
{
	return err->kind != ERROR_UNSUPPORTED || err->code == -ENOMEM || err->code == -EAGAIN ||
	       err->code == -EINTR || err->code == -EMFILE || err->code == -ENFILE ||
	       err->code == -EBUSY;
}

static int prove_once(struct meter *meter, int hierarchy_fd, struct error *err)
{
	int r;

	if (meter_proved(meter))
		return 0;
	r = prove(meter, hierarchy_fd, err);
	if (r == 0)
		return meter_note_proved(meter, err);
	if (!is_passing(err))
		meter_discard(meter);
	return r;
}

static int open_make(const struct meter_options *options, enum meter_make make,
	struct meter **ret_meter, struct error *err)
{
	struct meter_options these = *options;
	struct meter *meter = NULL;
	int r;

	these.make = make;
	r = meter_open(&these, &meter, err);
	if (r == 0 && !(these.adopt_only && !meter_proved(meter)))
		r = prove_once(meter, options->cgroup_fd, err);
	else if (r == 0)
		r = -ESTALE; /* whoever loads proves */
	if (r < 0) {
		meter_close(meter);
		return r;
	}
	*ret_meter = meter;
	return 0;
}

/* The strongest that is pinned, where it is the strongest that this host has. */
static int adopt(const struct meter_options *options, struct meter **ret_meter,
	struct error *ret_lacks, struct error *err)
{
	struct meter_options these = *options;
	int r;

	these.adopt_only = true;
	r = open_make(&these, METER_MAKE_AUTO, ret_meter, err);
	if (r != -ESTALE)
		return r;
	r = open_make(&these, METER_MAKE_NETWORK, ret_meter, err);
	if (r)
		return r;
	if (meter_lacks(*ret_meter)[0] == '\0') {
		meter_close(take_ptr(ret_meter));
		return -ESTALE;
	}
	(void)!error_set(ret_lacks, -ENOTSUP, ERROR_UNSUPPORTED, "%s", meter_lacks(*ret_meter));
	return 0;
}

static int load(struct meter_options *options, struct meter **ret_meter, struct error *ret_lacks,
	struct error *err)
{
	if (open_make(options, METER_MAKE_AUTO, ret_meter, ret_lacks) == 0) {
		ret_lacks->code = 0;
		return 0;
	}
	if (options->cgroup_fd < 0 || ret_lacks->kind == ERROR_REFUSED) {
		*err = *ret_lacks;
		return err->code;
	}
	options->lacks = is_passing(ret_lacks) ? NULL : ret_lacks->text;
	return open_make(options, METER_MAKE_NETWORK, ret_meter, err);
}

int metering_open_proved(const Berm__Wire__HostFacts *facts, struct meter **ret_meter,
	struct error *ret_lacks, struct error *err)
{
	autoclose int hierarchy_fd = open_hierarchy(facts);
	struct meter_options options = {.cgroup_fd = hierarchy_fd};
	char pins[PATH_MAX_BYTES];
	int r = check_runtime(err);

	ret_lacks->code = 0;
	if (r == 0)
		r = find_pins(true, pins, sizeof(pins), err);
	if (r && err->kind != ERROR_UNSUPPORTED)
		return r;
	if (r == 0) {
		options.pin_directory = pins;
		r = adopt(&options, ret_meter, ret_lacks, err);
		if (r != -ESTALE && r != -EXDEV)
			return r;
		/* Somebody else's pins stay as they are. */
		if (r == -EXDEV)
			options.pin_directory = NULL;
	}
	return load(&options, ret_meter, ret_lacks, err);
}

int metering_probe(const Berm__Wire__HostFacts *facts, enum meter_make *ret_make,
	struct error *ret_lacks, struct error *err)
{
	autoclose int hierarchy_fd = open_hierarchy(facts);
	struct meter_options options = {.cgroup_fd = hierarchy_fd};
	struct meter *meter = NULL;
	char pins[PATH_MAX_BYTES];

	ret_lacks->code = 0;
	options.pin_directory = pins;
	if (find_pins(false, pins, sizeof(pins), err) || adopt(&options, &meter, ret_lacks, err))
		return meter_probe(hierarchy_fd, ret_make, ret_lacks, err);
	*ret_make = meter_make(meter);
	meter_close(meter);
	return 0;
}

bool metering_pins(const Berm__Wire__HostFacts *facts, struct text *words)
{
	autoclose int hierarchy_fd = open_hierarchy(facts);
	struct meter_options options = {.cgroup_fd = hierarchy_fd};
	struct error lacks = {0}, err = {0};
	struct meter *meter = NULL;
	char pins[PATH_MAX_BYTES];
	int r;

	if (!facts->privileged) {
		text_puts(words, "needs root");
		return false;
	}
	options.pin_directory = pins;
	r = find_pins(false, pins, sizeof(pins), &err);
	if (r == 0)
		r = adopt(&options, &meter, &lacks, &err);
	if (r == 0)
		text_printf(words, "the %s programs are loaded, proved and pinned in %s",
			meter_make_name(meter_make(meter)), pins);
	else if (r == -ENOENT)
		text_puts(words,
			"none yet; the first metered run mounts a bpffs at " OWN_BPFFS " for them");
	else if (r == -ESTALE)
		text_printf(words, "none of this build in %s yet; the next metered run loads them",
			pins);
	else
		text_puts(words, err.text);
	meter_close(meter);
	return r == 0 || r == -ENOENT || r == -ESTALE;
}
