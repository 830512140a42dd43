/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The programs as they are built in: the only file that knows the skeleton is bpf.c. */

#include "meter/internal.h"

/* What exists only while programs are loaded. */
struct loading;

/* Of the object that is built in: what another build pinned has another one. */
const char *programs_digest(void);
/* Load the programs of m->make, and the maps, or take those that are pinned below
 * options->pin_directory. *ret_loading is set also after a failure. */
int programs_load(struct meter *m, const struct meter_options *options,
	struct loading **ret_loading, struct error *err) must_check;
/* Attach all that was loaded and pin the links in a directory; "" = do not pin. */
int programs_attach(struct meter *m, const struct loading *loading,
	const struct meter_options *options, const char *links, struct error *err) must_check;
/* What is attached stays. NULL is fine. */
void programs_unload(struct loading *loading);
