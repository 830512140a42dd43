/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>

/* Give every file of the directories in argv to the target, one test each, in TAP. Each is followed
 * by its halves and by copies with one byte changed, always the same ones, so that builds without
 * libFuzzer see a little more than what is kept. */

#define FILE_BYTES_MAX (1 << 20)
#define FILES_MAX 4096
#define CHANGES 16

static char *files[FILES_MAX];
static size_t file_count;
static const char *current = "none";

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Say which input it was; write(2) alone is safe here. */
static void on_abort(int number)
{
	ssize_t ignored = write(STDERR_FILENO, "input: ", 7);

	ignored = write(STDERR_FILENO, current, strlen(current));
	ignored = write(STDERR_FILENO, "\n", 1);
	(void)ignored;
	signal(number, SIG_DFL);
	raise(number);
}

static void list(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	if (!dir) {
		fprintf(stderr, "replay: %s: %s\n", directory, strerror(errno));
		exit(1);
	}
	while ((entry = readdir(dir))) {
		char path[PATH_MAX];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		assert(file_count < FILES_MAX);
		files[file_count] = strdup(path);
		assert(files[file_count]);
		file_count++;
	}
	closedir(dir);
}

static void replay(const char *path)
{
	autofree char *data = NULL;
	struct error err;
	size_t length;

	if (io_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &data, &length, &err) < 0) {
		fprintf(stderr, "replay: %s\n", err.text);
		exit(1);
	}
	/* A copy of exactly this size, so that the sanitizers see a read past its end. */
	for (size_t i = 0; i <= CHANGES + 2; i++) {
		size_t size = i == 1 ? length / 2 : i == 2 ? length - length / 4 : length;
		autofree uint8_t *copy = malloc(size ? size : 1);

		assert(copy);
		memcpy(copy, data, size);
		if (i > 2 && size)
			copy[(i * 2654435761U) % size] ^= (uint8_t)(1U << i % 8);
		LLVMFuzzerTestOneInput(copy, size);
		if (size == 0)
			break;
	}
}

int main(int argc, char **argv)
{
	signal(SIGABRT, on_abort);
	signal(SIGALRM, on_abort);
	for (int i = 1; i < argc; i++)
		list(argv[i]);
	qsort(files, file_count, sizeof(*files), compare);
	printf("1..%zu\n", file_count);
	for (size_t i = 0; i < file_count; i++) {
		const char *slash = strrchr(files[i], '/');

		current = files[i];
		alarm(60);
		replay(files[i]);
		alarm(0);
		printf("ok %zu - %s\n", i + 1, slash ? slash + 1 : files[i]);
		fflush(stdout);
		free(files[i]);
	}
	return file_count == 0;
}
