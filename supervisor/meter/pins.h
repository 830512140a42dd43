/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Directories on the bpffs. */

#include "base/error.h"

/* Make the pin directory where it is absent, open it and lock it until the descriptor is closed, so
 * that two that start at once do not both attach. */
int pins_open(const char *directory, struct error *err) must_check;
/* Unlink a directory of pins; its programs detach once nobody else holds them. */
void pins_remove(int parent_fd, const char *name);
/* Every set of links but the one to keep (NULL = all). */
/* Rename a directory of links so that pins_remove_links() finds it; 0 where it is not there. */
int pins_put_aside(int parent_fd, const char *name, struct error *err) must_check;
void pins_remove_links(int directory_fd, const char *keep);
