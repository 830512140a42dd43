/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The role "backup": the run of a group's backup, from the moment when it is due to its end. In
 * ROLE_FD, a pipe, lies the name of the group and nothing else; the rest is in files of the
 * operator's. Nothing of whoever caused it comes here: no environment, directory or descriptor, no
 * limits, no terminal. Returns the exit code of the process, which nobody waits for. */
int backup_role(int argc, char **argv);

/* Where what the run prints is kept, in STATE: one file a group, of its last run, and so much of
 * it. */
#define BACKUP_OUTPUT_DIR "backups"
#define BACKUP_OUTPUT_MAX (1024 * 1024)
