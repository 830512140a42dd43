/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

const struct row net_rows[] = {
	{NULL, NULL, NULL},
};
