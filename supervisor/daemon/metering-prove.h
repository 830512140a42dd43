/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "meter/meter.h"
#include "wire/facts.pb-c.h"

/* Open the kernel's meter as runs of this host use it: pinned on a bpffs, which is mounted where
 * there is none, its network programs above every cgroup, and proved to fire. It is proved when it
 * is loaded; who adopts it believes the note beside the pins, which goes with the host's boot as
 * they do. Only as root. The strongest make that this kernel takes; where that is the network's
 * alone, *ret_lacks says why. Errors: ERROR_REFUSED where something else is in place of the pins.
 * Released with meter_close(). */
int metering_open_proved(const Berm__Wire__HostFacts *facts, struct meter **ret_meter,
	struct error *ret_lacks, struct error *err) must_check;
/* What metering_open_proved() would most likely come to: what is pinned, else what the host is
 * tried for. Loads none of the meter's programs and changes nothing. */
int metering_probe(const Berm__Wire__HostFacts *facts, enum meter_make *ret_make,
	struct error *ret_lacks, struct error *err) must_check;
