/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A process that has nothing to do for longer than this gives back what it can; a short run never
 * pays for it. */
#define MEMORY_IDLE_MS 1000

/* Drop the program's own read-only pages from this process; the next use maps them again from the
 * page cache (madvise(2), MADV_DONTNEED). For processes that are about to wait for a long time. */
void memory_release_program(void);
