/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int release(struct dl_phdr_info *object, size_t size, void *context)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)context;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t start = (object->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
		uintptr_t end =
			(object->dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~(page - 1);

		/* What was never writable holds nothing but the file's bytes. */
		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W) && start < end)
			madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

void memory_release_program(void)
{
	dl_iterate_phdr(release, NULL);
}
