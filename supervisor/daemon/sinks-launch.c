/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-file.h"
#include "daemon/role.h"
#include "daemon/sinks-role.h"

#include <fcntl.h>

void sinks_launch(const char *state, const Berm__Wire__Plan *plan)
{
	bool wanted = plan && plan->recorder && plan->recorder->n_sinks > 0;
	autofree char *path = NULL;
	struct error ignored = {0};

	if (!wanted && (asprintf(&path, "%s/%s", state, RECORDER_FILE) < 0 ||
			       faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0))
		return;
	(void)!role_launch(ROLE_SINKS, state, -1, &ignored);
}
