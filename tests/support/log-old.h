/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A log of three years ago in an empty state directory: runs that wanted their records kept for
 * different times, in segments of a few records, closed as it should be. Tells on stdout, a line a
 * run, its id and the segments that it begins and ends in. 0, or 2 with words on stderr. */
int log_write_old(int state_dir);
