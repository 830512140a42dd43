/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recording-internal.h"

#include "policy/diagnostics.h"

#include <sodium.h>
#include <string.h>

/* A record has a largest size, most of which the command line may need. */
#define FILES_BYTES_MAX (20U << 10)
#define DIGEST_BYTES 32

static Berm__Wire__ProfileFile *make_row(
	const struct redactor *redactor, const struct source_file *file)
{
	Berm__Wire__ProfileFile *row = calloc(1, sizeof(*row));
	autotext struct text path = {0};
	uint8_t *digest;

	if (!row)
		return NULL;
	berm__wire__profile_file__init(row);
	redact_text(redactor, file->real, strlen(file->real), false, &path);
	row->path.len = path.length;
	row->path.data = (uint8_t *)text_take(&path);
	row->name = strdup(file->name);
	digest = malloc(DIGEST_BYTES);
	row->digest.data = digest;
	row->digest.len = DIGEST_BYTES;
	row->has_path = row->has_digest = true;
	if (row->path.data && row->name && digest) {
		crypto_generichash(digest, DIGEST_BYTES, (const unsigned char *)file->data,
			file->length, NULL, 0);
		return row;
	}
	berm__wire__profile_file__free_unpacked(row, NULL);
	return NULL;
}

/* The list is newest first. */
static const struct source_file *nth(const struct profile *profile, size_t index)
{
	const struct source_file *file = profile->sources;

	for (size_t i = profile->file_count - 1; file && i > index; i--)
		file = file->next;
	return file;
}

void recording_fill_files(
	const struct redactor *redactor, const struct profile *profile, Berm__Wire__RunStart *start)
{
	size_t count = profile ? profile->file_count : 0, bytes = 0;

	start->profile_files = count ? calloc(count, sizeof(Berm__Wire__ProfileFile *)) : NULL;
	for (size_t i = 0; start->profile_files && i < count; i++) {
		const struct source_file *file = nth(profile, i);
		Berm__Wire__ProfileFile *row = file ? make_row(redactor, file) : NULL;

		if (!row)
			break;
		bytes += row->path.len + strlen(row->name) + DIGEST_BYTES + 16;
		if (bytes > FILES_BYTES_MAX) {
			berm__wire__profile_file__free_unpacked(row, NULL);
			break;
		}
		start->profile_files[start->n_profile_files++] = row;
	}
	start->has_profile_files_cut = start->n_profile_files < count;
	start->profile_files_cut = start->has_profile_files_cut;
}

void recording_free_files(Berm__Wire__RunStart *start)
{
	for (size_t i = 0; i < start->n_profile_files; i++)
		berm__wire__profile_file__free_unpacked(start->profile_files[i], NULL);
	free(start->profile_files);
}
