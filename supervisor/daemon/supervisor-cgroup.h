/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* Where systemd hands a cgroup over (Delegate=), go into a leaf of it: a cgroup with processes of
 * its own gives its children no controllers (cgroups(7), "no internal processes"), so that runs
 * would get theirs further up, where systemd takes them away again and the unit's limits do not
 * hold. Does nothing elsewhere, and where systemd has put this process into a leaf by itself
 * (DelegateSubgroup=, systemd 254). */
int supervisor_cgroup_enter_leaf(struct error *err) must_check;
