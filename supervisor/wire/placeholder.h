/* SPDX-License-Identifier: Apache-2.0 */
/* The mark by which a placeholder is known (apply/reserve.c makes it, plan/protect.c looks through
 * it): an empty directory of exactly this mode. Nobody else's directory is likely to have it, and
 * one that has is only protected more. */
#ifndef BERM_WIRE_PLACEHOLDER_H
#define BERM_WIRE_PLACEHOLDER_H

#include <sys/stat.h>

#define PLACEHOLDER_MODE ((unsigned)(S_ISVTX | S_IRWXU))

#endif
