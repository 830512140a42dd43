/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "test.h"

#include "wire/plan.pb-c.h"

#include <string.h>

/* Plans of a planner that was taken over: what they would have done to the host. */

static void put_string(char **to, const char *words)
{
	if (*to != protobuf_c_empty_string)
		free(*to);
	*to = strdup(words);
}

static Berm__Wire__Mount *find_mount(
	Berm__Wire__Plan *plan, Berm__Wire__MountKind kind, const char *target)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == kind && strcmp(plan->mounts[i]->target, target) == 0)
			return plan->mounts[i];
	fail_msg("nothing of that kind is at %s", target);
	return NULL;
}

#define BIND BERM__WIRE__MOUNT_KIND__MOUNT_BIND
#define RESERVE BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE

static void bind_of_another_place(Berm__Wire__Plan *plan)
{
	put_string(&find_mount(plan, BIND, "/w")->source, "/root");
}

static void bind_of_an_unknown_object(Berm__Wire__Plan *plan)
{
	find_mount(plan, BIND, "/w")->source_dev = 0;
	find_mount(plan, BIND, "/w")->source_ino = 0;
}

static void mapped_from_root(Berm__Wire__Plan *plan)
{
	assert_true(find_mount(plan, BIND, "/w")->id_mapped);
	find_mount(plan, BIND, "/w")->owner_uid = 0;
}

static void mapped_for_a_user(Berm__Wire__Plan *plan)
{
	find_mount(plan, BIND, "/usr")->id_mapped = true;
}

static void tree_as_a_device(Berm__Wire__Plan *plan)
{
	find_mount(plan, BIND, "/w")->kind = BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE;
}

static void device_of_another_name(Berm__Wire__Plan *plan)
{
	put_string(&find_mount(plan, BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE, "/dev/null")->source,
		"/dev/sda");
}

static void reserved_elsewhere(Berm__Wire__Plan *plan)
{
	put_string(&find_mount(plan, RESERVE, "/w/hooks")->source, "/etc/systemd/system/x.d");
}

static void reserved_in_what_is_read(Berm__Wire__Plan *plan)
{
	Berm__Wire__Mount *reserve = find_mount(plan, RESERVE, "/w/hooks");

	put_string(&reserve->source, "/usr/hooks");
	put_string(&reserve->target, "/usr/hooks");
}

static void reserved_for_another(Berm__Wire__Plan *plan)
{
	find_mount(plan, RESERVE, "/w/hooks")->owner_uid = 1001;
}

static void staged_without_a_tree(Berm__Wire__Plan *plan)
{
	find_mount(plan, RESERVE, "/w/hooks")->kind = BERM__WIRE__MOUNT_KIND__MOUNT_STAGE;
}

static void core_pattern(Berm__Wire__Plan *plan)
{
	put_string(&plan->cgroup->values[0]->file, "/proc/sys/kernel/core_pattern");
}

static void parents_processes(Berm__Wire__Plan *plan)
{
	put_string(&plan->cgroup->values[0]->file, "../cgroup.procs");
}

static void two_controllers(Berm__Wire__Plan *plan)
{
	put_string(&plan->cgroup->values[0]->file, "pids -memory.max");
}

static void two_lines(Berm__Wire__Plan *plan)
{
	put_string(&plan->cgroup->values[0]->value, "1\n2");
}

static void linked(Berm__Wire__Plan *plan)
{
	plan->network->mode = BERM__WIRE__NETWORK_MODE__NETWORK_LINK;
	plan->meter->programs = BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE;
}

static void linked_by_another_prefix(Berm__Wire__Plan *plan)
{
	plan->network->mode = BERM__WIRE__NETWORK_MODE__NETWORK_LINK;
	put_string(&plan->network->pool6, "fd00::/64");
}

/* ---- what is run as root, or left out ---- */

static void asks_nobody(Berm__Wire__Plan *plan)
{
	berm__wire__approvals__free_unpacked(plan->approvals, NULL);
	plan->approvals = NULL;
}

static void asks_another_program(Berm__Wire__Plan *plan)
{
	put_string(&plan->approvals->exec[0], "/bin/sh");
}

static void asks_as_the_operator(Berm__Wire__Plan *plan)
{
	plan->approvals->exec_is_operators = !plan->approvals->exec_is_operators;
}

static void asks_of_nothing(Berm__Wire__Plan *plan)
{
	plan->approvals->on = 0;
}

static void judged_by_another_program(Berm__Wire__Plan *plan)
{
	put_string(&plan->approvals->gates[0]->exec[1], "other");
}

static void judged_as_the_operator(Berm__Wire__Plan *plan)
{
	plan->approvals->gates[0]->operators = !plan->approvals->gates[0]->operators;
}

static void judged_of_nothing(Berm__Wire__Plan *plan)
{
	plan->approvals->gates[0]->on = 0;
}
