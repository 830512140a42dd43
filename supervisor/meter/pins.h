/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Directories on the bpffs. */

#include "base/error.h"

#include <stdbool.h>

/* Open the pin directory and lock it until the descriptor is closed, so that two that start at once
 * do not both attach; with make, make it where it is absent (else -ENOENT). Its parent is there.
 * Errors: ERROR_REFUSED where it is on no bpffs or not root's alone. */
int pins_open(const char *directory, bool make, struct error *err) must_check;
/* Unlink a directory of pins; its programs detach once nobody else holds them. */
void pins_remove(int parent_fd, const char *name);
/* Every set of links but the one to keep (NULL = all). */
/* Rename a directory of links so that pins_remove_links() finds it; 0 where it is not there. */
int pins_put_aside(int parent_fd, const char *name, struct error *err) must_check;
void pins_remove_links(int directory_fd, const char *keep);
/* 0 where a directory is on a bpffs and root's alone; else ERROR_REFUSED. */
int pins_check(int fd, const char *path, struct error *err) must_check;
