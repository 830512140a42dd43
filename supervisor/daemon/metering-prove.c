/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "daemon/metering-prove.h"

#include "base/io.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define PIN_FILE_SYSTEM "/sys/fs/bpf"
#define PIN_DIRECTORY PIN_FILE_SYSTEM "/berm"
#define RUNTIME "/run/berm"
/* Says that the meter that is pinned was proved; /run is empty after a boot, as the pins are. */
#define PROVED RUNTIME "/meter-proved"
#define NOTE_MAX 64
#define WALK_DESCRIPTORS 8

static bool is_bpffs(void)
{
	struct statfs fs;

	return statfs(PIN_FILE_SYSTEM, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

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

static bool is_proved(const char *make)
{
	autofree char *note = NULL;

	return io_read_file(AT_FDCWD, PROVED, NOTE_MAX, &note, NULL, NULL) == 0 &&
	       strcmp(note, make) == 0;
}

/* Failing to leave the note costs the next run a proof, nothing else. */
static void note_proved(const char *make)
{
	autoclose int fd =
		open(PROVED, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)!io_write_all(fd, make, strlen(make));
}

static int prove_once(struct meter *meter, bool pinned, int hierarchy_fd, struct error *err)
{
	const char *make = meter_make_name(meter_make(meter));
	int r;

	if (!pinned || !meter_adopted(meter))
		unlink(PROVED);
	else if (is_proved(make))
		return 0;
	r = prove(meter, hierarchy_fd, err);
	if (r == 0 && pinned)
		note_proved(make);
	return r;
}

static int open_make(const struct meter_options *options, int hierarchy_fd,
	struct meter **ret_meter, struct error *err)
{
	struct meter *meter = NULL;
	int r = meter_open(options, &meter, err);

	if (r == 0)
		r = prove_once(meter, options->pin_directory, hierarchy_fd, err);
	if (r < 0) {
		meter_close(meter);
		return r;
	}
	*ret_meter = meter;
	return 0;
}

int metering_open_proved(const Berm__Wire__HostFacts *facts, struct meter **ret_meter,
	struct error *ret_why, struct error *err)
{
	autoclose int hierarchy_fd = open_hierarchy(facts);
	struct meter_options options = {.make = METER_MAKE_AUTO,
		.pin_directory = is_bpffs() ? PIN_DIRECTORY : NULL,
		.cgroup_fd = hierarchy_fd};

	if (mkdir(RUNTIME, 0755) < 0 && errno != EEXIST)
		return error_errno(err, "make %s", RUNTIME);
	ret_why->code = 0;
	if (open_make(&options, hierarchy_fd, ret_meter, ret_why) == 0)
		return 0;
	if (hierarchy_fd < 0) {
		*err = *ret_why;
		return err->code;
	}
	options.make = METER_MAKE_NETWORK;
	return open_make(&options, hierarchy_fd, ret_meter, err);
}
