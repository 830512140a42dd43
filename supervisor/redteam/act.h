/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the compromised tools of the suite do. Each act works on what its words name and on nothing
 * else, so that it may be run without berm as a control. */

/* One technique of "write", in a directory that is the working directory, with the file "victim" in
 * it. 0 where the calls said that it was done; a negative errno otherwise. */
struct technique {
	const char *name;
	int (*attempt)(void);
};
extern const struct technique techniques[];
extern const size_t technique_count;
int write_through_ring(void);

/* "NAME MICROSECONDS" of boot time on stdout, at once. */
void act_tell(const char *name);
void act_tell_number(const char *name, uint64_t number);

int act_write(int argc, char **argv);
int act_touch(int argc, char **argv);
int act_tick(int argc, char **argv);
int act_deaf(int argc, char **argv);
int act_orphan(int argc, char **argv);
int act_forks(int argc, char **argv);
int act_wakes(int argc, char **argv);
int act_escape(int argc, char **argv);
int act_steal(int argc, char **argv);
int act_send(int argc, char **argv);
int act_forge(int argc, char **argv);
int act_judge(int argc, char **argv);
int act_hand(int argc, char **argv);
