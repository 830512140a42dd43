/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/effects.h"

/* What a refused call means for the breaker, where the kernel's programs do not say it: by the
 * words of the refusal (struct denial_event of apply/). Pure.
 *
 * DENIAL_ESCAPE: calls that an ordinary tool has no use for and an escape has. DENIAL_QUIET: what
 * ordinary programs and libraries try and live without. DENIAL_COUNTED: everything else, also what
 * is not known. */
enum denial_class denial_class_of(const char *operation, const char *target);
