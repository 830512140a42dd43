/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recording-internal.h"

#include "daemon/outputs.h"
#include "policy/diagnostics.h"

#include <sodium.h>
#include <string.h>

/* A record has a largest size, most of which the command line may need. */
#define FILES_BYTES_MAX (20U << 10)
#define DIGEST_BYTES 32
#define OUTPUTS_BYTES_IN_RECORD (100U << 10)

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

/* ---- outputs ---- */

static Berm__Wire__OutputHash *make_output(
	const struct redactor *redactor, const struct output *output)
{
	const char *state = output_state_word(output->state);
	Berm__Wire__OutputHash *row = calloc(1, sizeof(*row));
	autotext struct text path = {0};
	bool good;

	if (!row)
		return NULL;
	berm__wire__output_hash__init(row);
	redact_text(redactor, output->path, strlen(output->path), false, &path);
	row->has_path = true;
	row->path.len = path.length;
	row->path.data = (uint8_t *)text_take(&path);
	row->state = state ? strdup(state) : NULL;
	row->has_digest = !state;
	row->digest.data = state ? NULL : malloc(OUTPUT_DIGEST_BYTES);
	row->digest.len = state ? 0 : OUTPUT_DIGEST_BYTES;
	row->has_bytes = !state || output->bytes > 0;
	row->bytes = output->bytes;
	good = row->path.data && (state ? row->state != NULL : row->digest.data != NULL);
	if (good && !state)
		memcpy(row->digest.data, output->digest, OUTPUT_DIGEST_BYTES);
	if (good)
		return row;
	berm__wire__output_hash__free_unpacked(row, NULL);
	return NULL;
}

void recording_fill_outputs(
	const struct redactor *redactor, const struct session *session, Berm__Wire__RunEnd *end)
{
	size_t count = session->output_count, bytes = 0;

	end->outputs = count ? calloc(count, sizeof(Berm__Wire__OutputHash *)) : NULL;
	for (size_t i = 0; end->outputs && i < count; i++) {
		Berm__Wire__OutputHash *row = make_output(redactor, &session->outputs[i]);

		if (!row)
			break;
		bytes += row->path.len + OUTPUT_DIGEST_BYTES + 32;
		if (bytes > OUTPUTS_BYTES_IN_RECORD) {
			berm__wire__output_hash__free_unpacked(row, NULL);
			break;
		}
		end->outputs[end->n_outputs++] = row;
	}
	end->has_outputs_cut = end->n_outputs < count;
	end->outputs_cut = end->has_outputs_cut;
}

void recording_free_outputs(Berm__Wire__RunEnd *end)
{
	for (size_t i = 0; i < end->n_outputs; i++)
		berm__wire__output_hash__free_unpacked(end->outputs[i], NULL);
	free(end->outputs);
}
