/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static char buffer[1 << 20];
/* Not there, and not even an address of user space: the second fails before the meter hears of it.
 */
static void *volatile nowhere = (void *)8;
static void *volatile kernel_side = (void *)-4096;

static int write_file(void *context)
{
	const size_t *bytes = context;
	autoclose int fd = open("file", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? errno : write(fd, buffer, *bytes) == (ssize_t)*bytes ? 0 : errno;
}

static void row_write_exact(void)
{
	size_t bytes = 12345;

	make_file("file", 0);
	start();
	EXPECT_EQ(within(write_file, &bytes), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 12345);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 1);
	EXPECT_EQ(within(write_file, &bytes), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 24690);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 1);
	EXPECT_EQ(counted(METER_FILES_CREATED), 0);
	/* Control: outside a run nothing is counted. */
	EXPECT_EQ(outside(write_file, &bytes), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 24690);
}

static void row_big_write_refused(void)
{
	size_t bytes = 1 << 20;
	struct tally tally;

	make_file("file", 100);
	world.limits.cap[METER_BYTES_WRITTEN].limit = 1000;
	world.limits.cap[METER_BYTES_WRITTEN].posture = METER_READ_ONLY;
	start();
	EXPECT_EQ(within(write_file, &bytes), EPERM);
	EXPECT_EQ(size_of("file"), 100);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 0);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_READ_ONLY);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_CAP], 1);
	EXPECT_EQ(outside(write_file, &bytes), 0);
}

static int truncate_hundred(void *context)
{
	(void)context;
	for (int i = 0; i < 100; i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "f%d", i);
		fd = open(name, O_WRONLY | O_TRUNC | O_CLOEXEC);
		if (fd < 0)
			return errno;
		close(fd);
	}
	return 0;
}

static int destroy_without_bytes(void *context)
{
	autoclose int fd = open("g0", O_RDWR | O_CLOEXEC);
	autoclose int hole = open("g2", O_RDWR | O_CLOEXEC);

	(void)context;
	if (ftruncate(fd, 0) || truncate("g1", 0))
		return errno;
	return ERRNO_OF(fallocate(hole, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
}

static void row_truncate(void)
{
	char name[16];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(name, 10);
	}
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		make_file(name, 8192);
	}
	start();
	EXPECT_EQ(within(truncate_hundred, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 100);
	EXPECT_EQ(within(destroy_without_bytes, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 103);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 0);
}

static void row_truncate_capped(void)
{
	char name[16];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(name, 10);
	}
	world.limits.cap[METER_FILES_CHANGED].limit = 7;
	start();
	EXPECT_EQ(within(truncate_hundred, NULL), EPERM);
	EXPECT_EQ(size_of("f6"), 0);
	EXPECT_EQ(size_of("f7"), 10);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 7);
}

static int map_and_store(void *context)
{
	bool later = context != NULL;
	autoclose int fd = open("file", O_RDWR | O_CLOEXEC);
	char *memory =
		mmap(NULL, 1 << 20, later ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return errno;
	if (later && mprotect(memory, 1 << 20, PROT_READ | PROT_WRITE))
		return errno;
	memset(memory, 1, 1 << 20);
	return 0;
}

static void row_mapping(void)
{
	make_file("file", 1 << 20);
	start();
	EXPECT_EQ(within(map_and_store, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 1);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 1 << 20);
	EXPECT_EQ(within(map_and_store, shared), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 2 << 20);
	finish();
	world.limits.cap[METER_BYTES_WRITTEN].limit = (1 << 20) - 1;
	start();
	EXPECT_EQ(within(map_and_store, NULL), EPERM);
	EXPECT_EQ(within(map_and_store, shared), EPERM);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 0);
}

/* What a mapping grows by: in place or elsewhere, and by a second one of the same pages. */
static int grow_mapping(void *context)
{
	bool is_private = context != NULL;
	autoclose int fd = open("file", O_RDWR | O_CLOEXEC);
	char *memory = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE, is_private ? MAP_PRIVATE : MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return errno;
	memory = mremap(memory, 4096, 65536, MREMAP_MAYMOVE);
	if (memory == MAP_FAILED)
		return errno;
	memset(memory, 'x', 65536);
	memory = mremap(memory, 65536, 8192, 0);
	if (memory == MAP_FAILED || is_private)
		return memory == MAP_FAILED ? errno : 0;
	return ERRNO_OF(mremap(memory, 0, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
}

static void row_mapping_grows(void)
{
	struct stat status;

	make_file("file", 65536);
	start();
	EXPECT_EQ(within(grow_mapping, shared), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 0);
	EXPECT_EQ(within(grow_mapping, NULL), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 65536 + 8192);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 1);
	finish();
	/* The first page fits, what it grows by does not. */
	make_file("file", 65536);
	world.limits.cap[METER_BYTES_WRITTEN].limit = 65535;
	start();
	EXPECT_EQ(within(grow_mapping, NULL), 1000 + SIGKILL);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 4096);
	EXPECT_EQ(fstatat(world.directory_fd, "file", &status, 0), 0);
	EXPECT_EQ(status.st_blocks, 0);
}

static int every_way_of_copying(void *context)
{
	autoclose int in = open("source", O_RDONLY | O_CLOEXEC);
	autoclose int out = open("target", O_RDWR | O_CLOEXEC);
	struct iovec parts[2] = {{buffer, 1000}, {buffer, 500}};
	loff_t off_in = 0, off_out = 0;
	int pipes[2];

	(void)context;
	if (sendfile(out, in, NULL, 4096) != 4096)
		return 1;
	if (copy_file_range(in, &off_in, out, &off_out, 8192, 0) != 8192)
		return 2;
	if (pipe(pipes) || splice(in, NULL, pipes[1], NULL, 2048, 0) != 2048)
		return 3;
	if (splice(pipes[0], NULL, out, NULL, 2048, 0) != 2048)
		return 4;
	if (writev(out, parts, 2) != 1500)
		return 5;
	if (pwritev2(out, parts, 2, 0, 0) != 1500)
		return 6;
	if (pwrite(out, buffer, 77, 3) != 77)
		return 7;
	return 0;
}

static void row_copies(void)
{
	make_file("source", 65536);
	make_file("target", 0);
	start();
	EXPECT_EQ(within(every_way_of_copying, NULL), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 4096 + 8192 + 2048 + 1500 + 1500 + 77);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 1);
}

static int submit_aio(void *context)
{
	autoclose int fd = open("file", O_RDWR | O_CLOEXEC);
	aio_context_t aio = 0;

	(void)context;
	if (syscall(SYS_io_setup, 64, &aio))
		return errno;
	for (int i = 0; i < 100; i++) {
		struct iocb one = {
			.aio_lio_opcode = IOCB_CMD_PWRITE,
			.aio_fildes = (uint32_t)fd,
			.aio_buf = (uintptr_t)buffer,
			.aio_nbytes = 4096,
			.aio_offset = i * 4096,
		};
		struct iocb *list[] = {&one};
		struct io_event event;

		if (syscall(SYS_io_submit, aio, 1, list) != 1 ||
			syscall(SYS_io_getevents, aio, 1, 1, &event, NULL) != 1)
			return errno;
	}
	/* A write that fails must not give back what the others were charged. */
	return write(fd, kernel_side, 4096) < 0 && errno == EFAULT ? 0 : 50;
}

static void row_aio(void)
{
	make_file("file", 0);
	start();
	EXPECT_EQ(within(submit_aio, NULL), 0);
	EXPECT_EQ(size_of("file"), 409600);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 409600);
}

static int write_unnamed_then_link(void *context)
{
	autoclose int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char path[64];

	(void)context;
	if (fd < 0 || write(fd, buffer, 3000) != 3000)
		return errno;
	shared->value[0] = (int64_t)counted(METER_FILES_CHANGED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW))
		return errno;
	return write(fd, buffer, 100) == 100 ? 0 : errno;
}

static void row_tmpfile(void)
{
	start();
	EXPECT_EQ(within(write_unnamed_then_link, NULL), 0);
	EXPECT_EQ(shared->value[0], 0);
	EXPECT(exists("named"));
	EXPECT_EQ(counted(METER_FILES_CREATED), 1);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 1);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 3100);
}

static int write_failing(void *context)
{
	struct rlimit small = {.rlim_cur = 5000, .rlim_max = 5000};
	autoclose int fd = open("file", O_RDWR | O_CLOEXEC);

	(void)context;
	signal(SIGXFSZ, SIG_IGN);
	if (write(fd, nowhere, 4096) != -1 || errno != EFAULT)
		return 1;
	if (open("absent", O_WRONLY | O_CLOEXEC) >= 0)
		return 2;
	if (setrlimit(RLIMIT_FSIZE, &small))
		return 3;
	if (write(fd, buffer, 8000) != 5000) /* cut at the limit */
		return 4;
	if (write(fd, buffer, 1) != -1 || errno != EFBIG)
		return 5;
	if (write(fd, buffer, 0) != 0)
		return 6;
	return 0;
}

static void row_failing_writes(void)
{
	make_file("file", 0);
	start();
	EXPECT_EQ(within(write_failing, NULL), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 5000);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 1);
}

static int make_noise(void *context)
{
	autoclose int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	autoclose int memory = (int)syscall(SYS_memfd_create, "noise", 0);
	int pipes[2], sockets[2];

	(void)context;
	if (pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		return errno;
	for (int i = 0; i < 16; i++)
		if (write(null, buffer, sizeof(buffer)) < 0 ||
			write(memory, buffer, sizeof(buffer)) < 0)
			return errno;
	if (write(pipes[1], buffer, 4096) != 4096 || write(sockets[0], buffer, 4096) != 4096)
		return errno;
	return 0;
}

static void row_noise(void)
{
	start();
	EXPECT_EQ(within(make_noise, NULL), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 0);
}

static int write_through_old_descriptor(void *context)
{
	autoclose int fd = open("file", O_RDWR | O_CLOEXEC);

	(void)context;
	if (write(fd, buffer, 10) != 10)
		return 1;
	/* The store that a supervisor makes. */
	meter_posture_change(world.meter, world.slot, METER_READ_ONLY, 0);
	if (write(fd, buffer, 10) != -1 || errno != EPERM)
		return 2;
	if (ftruncate(fd, 0) != -1 || errno != EPERM)
		return 3;
	if (open("file", O_WRONLY | O_CLOEXEC) >= 0 ||
		open("new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0)
		return 4;
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		return 5;
	if (unlink("file") != -1 || errno != EPERM)
		return 6;
	if (rename("file", "elsewhere") != -1 || errno != EPERM)
		return 9;
	if (chmod("file", 0600) != -1 || errno != EPERM)
		return 10;
	if (read(fd, buffer, 1) < 0)
		return 7;
	meter_posture_change(world.meter, world.slot, 0, METER_READ_ONLY);
	return write(fd, buffer, 10) == 10 ? 0 : 8;
}

static void row_read_only(void)
{
	struct tally tally;

	make_file("file", 0);
	start();
	EXPECT_EQ(within(write_through_old_descriptor, NULL), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 20);
	EXPECT_EQ(size_of("file"), 20);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_POSTURE], 8);
}

/* One byte far away, and a size without a byte. */
static int write_sparse(void *context)
{
	autoclose int far = open("far", O_RDWR | O_CLOEXEC);
	autoclose int large = open("large", O_RDWR | O_CLOEXEC);

	(void)context;
	if (pwrite(far, "x", 1, 1LL << 32) != 1)
		return errno;
	return ERRNO_OF(ftruncate(large, 1LL << 32));
}

static void row_sparse(void)
{
	make_file("far", 1);
	make_file("large", 1);
	start();
	EXPECT_EQ(within(write_sparse, NULL), 0);
	EXPECT_EQ(size_of("far"), (1LL << 32) + 1);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 1);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 2);
}

/* Data that is no file's contents, and commands that change a file without writing to it. */
static int hide_data(void *context)
{
	static const unsigned long commands[] = {0x40086602 /* FS_IOC_SETFLAGS */,
		0xc0185879 /* FITRIM */, 0xc028660f /* EXT4_IOC_MOVE_EXT */,
		0x6611 /* EXT4_IOC_SWAP_BOOT */, 0x40049409 /* FICLONE */};
	autoclose int fd = open("file", O_RDWR | O_CLOEXEC);
	char name[128], value[4096] = "";

	(void)context;
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "trusted.hidden%d", i);
		if (setxattr(i % 2 ? "file" : "other", name, value, sizeof(value), 0))
			return errno;
	}
	for (size_t i = 0; i < array_size(commands); i++)
		shared->refused += ioctl(fd, commands[i], value) == -1 &&
				   (errno == EPERM || errno == EOPNOTSUPP);
	return ioctl(fd, 0x660b0000UL /* nobody's */, value) == -1 && errno == ENOTTY ? 0 : 1;
}

static void row_hidden_data(void)
{
	make_file("file", 1);
	make_file("other", 1);
	start();
	EXPECT_EQ(within(hide_data, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 2);
	EXPECT_EQ(shared->refused, 5);
	/* Copying by reference is no offence: callers fall back on copying. */
	EXPECT_EQ(counted(METER_DENIALS), 4);
}

const struct row write_rows[] = {
	{"written bytes are counted to the byte, inside a run only", row_write_exact,
		"file_permission"},
	{"the write that would cross the cap leaves the file as it was", row_big_write_refused,
		NULL},
	{"destroying without a byte counts each file once", row_truncate, NULL},
	{"truncation stops at the cap", row_truncate_capped, NULL},
	{"a shared mapping is charged when it is made or made writable", row_mapping, "mmap_file"},
	{"a shared mapping that grows is charged for it, or its process is gone", row_mapping_grows,
		"vma_to_resize"},
	{"sendfile, splice, copy_file_range and vectors are exact", row_copies, NULL},
	{"asynchronous writes stay charged", row_aio, NULL},
	{"an unnamed file counts when it gets a name", row_tmpfile, NULL},
	{"failing and cut writes count what was really written", row_failing_writes, "vfs_write"},
	{"devices, pipes, sockets and memfd are no files", row_noise, NULL, .not_outside = true},
	{"a byte far away is one byte, a size is none", row_sparse, "file_permission"},
	{"data beside the contents is a change, commands on files are refused", row_hidden_data,
		"file_ioctl"},
	{"read-only holds for descriptors that were open before", row_read_only, NULL},
	{NULL, NULL, NULL},
};
