/* SPDX-License-Identifier: Apache-2.0 */
/* /proc, /sys and /dev. Targets: TOKEN a word on the command line of a host process. */
#include "payload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Command lines of every process that /proc shows; our own holds the token too and is left out. */
static void list_processes(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[300], line[4096];
	long seen = 0;

	while (proc && (entry = readdir(proc))) {
		autoclose int fd = -1;
		ssize_t n;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
			atoi(entry->d_name) == getpid())
			continue;
		seen++;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
		for (ssize_t i = 0; i < n; i++)
			if (!line[i])
				line[i] = ' ';
		line[n < 0 ? 0 : n] = '\0';
		if (strstr(line, target("TOKEN")))
			proof("process %s: %s", entry->d_name, line);
	}
	printf("PROCESSES %ld\n", seen);
	if (proc)
		closedir(proc);
}

static void guess_processes(void)
{
	long first = target_number("PID", 1);
	char path[64];

	for (long pid = first - 50 > 1 ? first - 50 : 2; pid < first + 50; pid++) {
		autoclose int fd = -1;

		if (pid == getpid() || pid == getppid())
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			proof("%s exists", path);
	}
}

static void pseudo_file_systems(void)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug",
		"/sys/kernel/security", "/sys/firmware/efi/efivars", "/sys/fs/bpf",
		"/sys/kernel/config", "/sys/fs/cgroup", "/sys/power", "/sys/class/net",
		"/sys/block", "/dev/mapper", "/dev/cpu", "/dev/vfio", "/dev/bus", "/sys"};

	for (size_t i = 0; i < array_size(places); i++) {
		DIR *directory = opendir(places[i]);
		int entries = 0;

		while (directory && readdir(directory))
			entries++;
		if (entries > 2)
			proof("%s lists %d entries", places[i], entries);
		if (directory)
			closedir(directory);
	}
}

/* Every node in /dev, with what it is: the driver compares with the list of the documentation. */
static void device_nodes(void)
{
	DIR *dev = opendir("/dev");
	struct dirent *entry;

	while (dev && (entry = readdir(dev))) {
		struct stat st;

		if (entry->d_name[0] == '.' ||
			fstatat(dirfd(dev), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		printf("NODE %s %o\n", entry->d_name, st.st_mode & S_IFMT);
		if (S_ISBLK(st.st_mode))
			proof("block device %s", entry->d_name);
	}
	if (dev)
		closedir(dev);
}

static void device_access(void)
{
	static const char *const devices[] = {"/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda",
		"/dev/loop0", "/dev/loop-control", "/dev/fuse", "/dev/kvm", "/dev/vhost-net",
		"/dev/net/tun", "/dev/vsock", "/dev/console", "/dev/tty0", "/dev/userfaultfd",
		"/dev/snapshot", "/dev/hpet", "/dev/rtc0", "/dev/uinput", "/dev/input/event0",
		"/dev/autofs", "/dev/hwrng", "/dev/port", "/dev/random"};

	/* /dev/random is the control that the loop works at all, and is no proof. */
	for (size_t i = 0; i < array_size(devices); i++) {
		autoclose int fd = open(devices[i], O_RDWR | O_NONBLOCK | O_CLOEXEC);

		if (fd >= 0 && i + 1 < array_size(devices))
			proof("%s opened", devices[i]);
	}
}

/* The path through which the host can be recognised: the driver looks for names that were never
 * granted. */
static void mount_list(void)
{
	spill_path("/proc/self/mountinfo");
	spill_path("/proc/self/mounts");
	spill_path("/proc/self/mountstats");
	spill_path("/proc/self/cgroup");
	spill_path("/proc/net/unix");
	spill_path("/proc/net/tcp");
	spill_path("/proc/swaps");
	spill_path("/proc/partitions");
	spill_path("/proc/cmdline");
}

const struct technique sys_techniques[] = {
	{"S04", "list-processes", "pid namespace", list_processes},
	{"S04", "guess-processes", "pid namespace", guess_processes},
	{"S08", "pseudo-file-systems", "mount namespace", pseudo_file_systems},
	{"S08", "device-nodes", "mount namespace", device_nodes},
	{"S08", "device-access", "mount namespace", device_access},
	{"S10", "mount-list", "mount namespace", mount_list},
	{0},
};
