/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The record that the benchmarks of the recorder write: about 220 bytes with what is around it. */

#include "wire/record.pb-c.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct activity {
	Berm__Wire__Record record;
	Berm__Wire__FileActivity file;
	Berm__Wire__Evidence evidence;
	char path[64];
};

/* The n-th one; it borrows from a. */
static inline const Berm__Wire__Record *activity_make(struct activity *a, uint64_t n)
{
	static char operation[] = "open";

	berm__wire__record__init(&a->record);
	berm__wire__file_activity__init(&a->file);
	berm__wire__evidence__init(&a->evidence);
	snprintf(a->path, sizeof(a->path), "/srv/repo/src/module/file-%llu.c",
		(unsigned long long)n % 5000);
	a->file.operation = operation;
	a->file.has_path = a->file.has_inode = a->file.has_device = a->file.has_flags = true;
	a->file.path = (ProtobufCBinaryData){strlen(a->path), (uint8_t *)a->path};
	a->file.inode = 1000000 + n % 5000;
	a->file.device = 0xfe00;
	a->file.flags = 0x8241;
	a->evidence.has_event_boot_ns = a->evidence.has_kernel_sequence = true;
	a->evidence.has_pid = true;
	a->evidence.event_boot_ns = 1234567890123 + n;
	a->evidence.kernel_sequence = n;
	a->evidence.pid = 4711;
	a->record.evidence = &a->evidence;
	a->record.body_case = BERM__WIRE__RECORD__BODY_FILE;
	a->record.file = &a->file;
	return &a->record;
}
