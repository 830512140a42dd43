/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The process that reads what people wrote, for a session that has rights: it has none, opens
 * nothing, and answers orders (daemon/planner-wire.h) over the one descriptor that it is started
 * with, one after the other, until that ends. Returns its exit code. */
int planner_role(int argc, char **argv);
