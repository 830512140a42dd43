/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/planner-wire.h"

/* What a planner does for an order: the answer (caller frees), also where it is no. Asks over fd
 * about files. NULL: out of memory. */
Berm__Wire__PlannerAnswer *planner_work(int fd, const Berm__Wire__PlannerOrder *order) must_check;
