/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metering-kernel.h"
#include "daemon/metering.h"

#include <string.h>

/* A build without the kernel's programs: no host has them. */

int metering_kernel_facts(Berm__Wire__HostFacts *facts, bool starts, struct error *err)
{
	char *words = strdup("this berm was built without the kernel's programs");

	(void)starts;
	if (!words)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	facts->meter_missing = words;
	return 0;
}

bool metering_pins(const Berm__Wire__HostFacts *facts, struct text *words)
{
	(void)facts;
	text_puts(words, "this berm was built without the kernel's programs");
	return false;
}

int metering_kernel_create(const Berm__Wire__Plan *plan, const char *run_id, int epoll_fd,
	const struct metering_kernel_sink *sink, struct metering_kernel **ret_kernel,
	struct error *err)
{
	(void)plan;
	(void)run_id;
	(void)epoll_fd;
	(void)sink;
	(void)ret_kernel;
	return error_set(err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
		"this berm was built without the kernel's programs");
}

void metering_kernel_destroy(struct metering_kernel *kernel)
{
	(void)kernel;
}

int metering_kernel_enter(
	struct metering_kernel *kernel, const struct run_entry *entry, struct error *err)
{
	(void)kernel;
	(void)entry;
	return error_set(err, -EOPNOTSUPP, ERROR_UNSUPPORTED, "no programs");
}

bool metering_kernel_read(struct metering_kernel *kernel)
{
	(void)kernel;
	return false;
}

uint32_t metering_kernel_posture(const struct metering_kernel *kernel)
{
	(void)kernel;
	return POSTURE_OPEN;
}

void metering_kernel_tighten(struct metering_kernel *kernel, uint32_t posture)
{
	(void)kernel;
	(void)posture;
}

void metering_kernel_set(struct metering_kernel *kernel, uint32_t posture)
{
	(void)kernel;
	(void)posture;
}

void metering_kernel_look(const struct metering_kernel *kernel, struct effects *effects)
{
	(void)kernel;
	(void)effects;
}
