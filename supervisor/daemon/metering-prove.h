/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "meter/meter.h"
#include "wire/facts.pb-c.h"

/* Open the kernel's meter as runs of this host use it: pinned where there is a file system for
 * pins, its network programs above every cgroup, and proved to fire. It is proved when it is
 * loaded; who adopts it believes the note that this left, which goes with the host's boot. Only as
 * root. The strongest make that this kernel takes; where that is the network's alone, *ret_why says
 * why. Released with meter_close(). */
int metering_open_proved(const Berm__Wire__HostFacts *facts, struct meter **ret_meter,
	struct error *ret_why, struct error *err) must_check;
