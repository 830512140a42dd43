/* SPDX-License-Identifier: Apache-2.0 */

/* A run of many tasks that crosses a cap: bench-stop TASKS MICROSECONDS. Each task writes the time
 * into its place of the shared file "stop" again and again, waiting so long in between (0 = not at
 * all), until it is stopped. When all of them have begun, the first process changes the mode of a
 * file until that is refused; the time before the last attempt is in place 0. Whoever reads the
 * file afterwards knows when the last task could still do something. CLOCK_MONOTONIC, ns. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "stop"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static _Noreturn void work(volatile uint64_t *place, useconds_t wait)
{
	for (;;) {
		*place = now_ns();
		if (wait)
			usleep(wait);
	}
}

int main(int argc, char **argv)
{
	size_t tasks = argc > 2 ? strtoul(argv[1], NULL, 10) : 0, begun = 0;
	useconds_t wait = argc > 2 ? (useconds_t)strtoul(argv[2], NULL, 10) : 0;
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	volatile uint64_t *places;

	if (tasks == 0 || fd < 0 || ftruncate(fd, (off_t)((tasks + 1) * sizeof(*places))))
		return 2;
	places = mmap(
		NULL, (tasks + 1) * sizeof(*places), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (places == MAP_FAILED)
		return 2;
	for (size_t i = 1; i <= tasks; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (pid == 0)
			work(&places[i], wait);
	}
	while (begun < tasks) {
		usleep(1000);
		begun = 0;
		for (size_t i = 1; i <= tasks; i++)
			begun += places[i] != 0;
	}
	usleep(200000);
	do
		places[0] = now_ns();
	while (chmod(FILE_NAME, 0644) == 0);
	for (;;)
		pause();
}
