/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who starts berm by sudo says with its own resource limits (ulimit) how much berm may have: few
 * descriptors, files that may not grow. They are meant for the tool, and must not keep berm from
 * telling what the tool did. */

/* As root: take them off this process, and remember what they were. Who is not root keeps them. A
 * write that cannot be done fails from here on, where it would be a signal. */
void limits_take_off(void);
/* In the process that becomes the tool: what they were, or what was set since where that is less.
 * 0, or -errno and errno. Fine where nothing was taken off. */
int limits_put_on(void);
/* For who starts something that is not the caller's: as root the limits of the host's first
 * process, else each as far as it may be taken back. Before limits_take_off(). */
void limits_leave(void);
