/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/internal.h"

int meter_prove(struct meter *meter, int directory_fd, struct error *err)
{
	(void)meter;
	(void)directory_fd;
	return error_set(err, -ENOSYS, ERROR_UNSUPPORTED, "not yet");
}
