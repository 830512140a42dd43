/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "cli/explain-denial.h"
#include "policy/document.h"

#include <ctype.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGEST_BYTES 32
#define WORDS_BYTES 400

/* The path as a string. A NUL in it, or no absolute path: none. */
static bool path_of(const Berm__Wire__ProfileFile *file, char ret_path[PATH_MAX])
{
	if (!file->has_path || file->path.len == 0 || file->path.len >= PATH_MAX ||
		file->path.data[0] != '/' || memchr(file->path.data, '\0', file->path.len))
		return false;
	memcpy(ret_path, file->path.data, file->path.len);
	ret_path[file->path.len] = '\0';
	return true;
}

/* Nothing waits for a pipe that somebody put there. */
static int read_regular(const char *path, char **ret_data, size_t *ret_length)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	struct error ignored = {0};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	return io_read_fd(fd, path, DOCUMENT_BYTES_MAX, ret_data, ret_length, &ignored);
}

/* What is there today against what the run read. */
static enum rule_file_state compare(
	const Berm__Wire__ProfileFile *file, const char *path, char **ret_data)
{
	uint8_t digest[DIGEST_BYTES];
	size_t length = 0;

	if (read_regular(path, ret_data, &length) < 0)
		return RULE_FILE_GONE;
	crypto_generichash(
		digest, sizeof(digest), (const unsigned char *)*ret_data, length, NULL, 0);
	return file->digest.len == sizeof(digest) &&
			       memcmp(file->digest.data, digest, sizeof(digest)) == 0
		       ? RULE_FILE_SAME
		       : RULE_FILE_CHANGED;
}

static void take_line(const char *data, uint32_t number, char *out, size_t size)
{
	const char *line = data;
	size_t length;

	for (uint32_t i = 1; line && i < number; i++) {
		line = strchr(line, '\n');
		line += line != NULL;
	}
	if (!line || number == 0)
		return;
	while (*line == ' ' || *line == '\t')
		line++;
	length = strcspn(line, "\n");
	while (length > 0 && isspace((unsigned char)line[length - 1]))
		length--;
	snprintf(out, size, "%.*s", (int)(length < size ? length : size), line);
}

static const Berm__Wire__RunStart *start_of(const struct refusal *refusal)
{
	return refusal->start ? refusal->start->run_start : NULL;
}

void explain_rule_file(const struct refusal *refusal, struct rule_file *ret_file)
{
	const Berm__Wire__RunStart *start = start_of(refusal);
	const Berm__Wire__RecordRule *rule = refusal->first->denial->rule;

	*ret_file = (struct rule_file){.state = RULE_FILE_UNKNOWN};
	for (size_t i = 0; start && rule && rule->file && i < start->n_profile_files; i++) {
		const Berm__Wire__ProfileFile *file = start->profile_files[i];
		autofree char *data = NULL;

		if (!file->name || strcmp(file->name, rule->file) != 0 ||
			!path_of(file, ret_file->path))
			continue;
		ret_file->state = compare(file, ret_file->path, &data);
		if (ret_file->state == RULE_FILE_SAME && data)
			take_line(data, rule->line, ret_file->line, sizeof(ret_file->line));
		return;
	}
}

char *explain_profile_path(const struct refusal *refusal)
{
	const Berm__Wire__RunStart *start = start_of(refusal);
	char path[PATH_MAX];

	if (!start || start->n_profile_files == 0 || !path_of(start->profile_files[0], path))
		return NULL;
	return strdup(path);
}

void explain_changed_files(const struct refusal *refusal, struct text *out)
{
	const Berm__Wire__RunStart *start = start_of(refusal);

	for (size_t i = 0; start && i < start->n_profile_files; i++) {
		autofree char *data = NULL;
		char path[PATH_MAX];

		if (!path_of(start->profile_files[i], path) ||
			compare(start->profile_files[i], path, &data) == RULE_FILE_SAME)
			continue;
		text_puts(out, out->length ? ", " : "");
		text_escape(out, path, strlen(path), WORDS_BYTES);
	}
}
