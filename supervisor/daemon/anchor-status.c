/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/anchor-role.h"

#include "base/io.h"

#include <inttypes.h>
#include <string.h>

#define STATUS_BYTES_MAX (ERROR_TEXT_MAX + 128)

int anchor_status_write(int own_fd, const struct anchor_status *status)
{
	char words[STATUS_BYTES_MAX];
	int n = snprintf(words, sizeof(words), "berm-anchor-1 %d %" PRIu64 " %" PRIu64 " %s\n",
		-status->code, status->sequence, status->wall_ms, status->text);

	return storage_replace(&storage_system, own_fd, ANCHOR_STATUS, 0640, words, (size_t)n);
}

int anchor_status_read(int own_fd, struct anchor_status *ret_status, struct error *err)
{
	struct anchor_status status = {0};
	autofree char *words = NULL;
	int at = 0, r;

	r = io_read_file(own_fd, ANCHOR_STATUS, STATUS_BYTES_MAX, &words, NULL, err);
	if (r < 0)
		return r;
	if (sscanf(words, "berm-anchor-1 %d %" SCNu64 " %" SCNu64 " %n", &status.code,
		    &status.sequence, &status.wall_ms, &at) != 3 ||
		!at)
		return error_set(
			err, -EBADMSG, ERROR_INTERNAL, "%s is no such file", ANCHOR_STATUS);
	status.code = -status.code;
	snprintf(status.text, sizeof(status.text), "%.*s", (int)strcspn(words + at, "\n"),
		words + at);
	*ret_status = status;
	return 0;
}
