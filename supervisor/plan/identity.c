/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <sodium.h>

#define DEDICATED_UID_INSIDE 1000U
#define USER_NAME_MAX 32

static uint32_t dedicated_uid(const struct compiler *c)
{
	const char *run = c->request->run_id ? c->request->run_id : "";
	unsigned char hash[crypto_generichash_BYTES_MIN];
	uint32_t number = 0;

	/* Different runs shall not share the per-uid limits of the kernel. */
	if (!*run || crypto_generichash(
			     hash, sizeof(hash), (const unsigned char *)run, strlen(run), NULL, 0))
		return DEDICATED_UID_FIRST;
	for (size_t i = 0; i < sizeof(number); i++)
		number = number << 8 | hash[i];
	return DEDICATED_UID_FIRST + number % DEDICATED_UID_COUNT;
}

/* A name that is safe in a line of passwd(5). */
static bool user_name_is_plain(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= USER_NAME_MAX && *name != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       length;
}

static void choose_home(struct compiler *c)
{
	const char *asked = c->request->home ? c->request->home : c->facts->caller_home;
	const Berm__Wire__PathFact *fact = fact_find(c, asked);

	if (fact && *fact->resolved)
		asked = fact->resolved;
	c->home = path_is_normal(asked) && asked[1] && !strpbrk(asked, ":\n") ? asked
									      : PLAN_HOME_DEFAULT;
}

int plan_identity(struct compiler *c)
{
	Berm__Wire__Identity *id = malloc(sizeof(*id));
	const Berm__Wire__HostFacts *f = c->facts;
	bool root = f->caller_uid == 0;

	if (!id)
		return -ENOMEM;
	berm__wire__identity__init(id);
	c->plan->identity = id;
	choose_home(c);
	if (root && !f->privileged && f->initial_user_namespace)
		return error_set(c->err, -EPERM, ERROR_UNSUPPORTED,
			"berm runs as uid 0 without the capabilities to become another user, and a "
			"tool "
			"never runs as the machine's uid 0: start it as an ordinary user or as "
			"full root");
	id->drop_from_root = f->privileged;
	id->outside_uid = f->caller_uid;
	id->outside_gid = f->caller_gid;
	if (f->privileged && root)
		id->outside_uid = id->outside_gid = dedicated_uid(c);
	id->inside_uid = root ? DEDICATED_UID_INSIDE : f->caller_uid;
	id->inside_gid = root || f->caller_gid == 0 ? id->inside_uid : f->caller_gid;
	/* Group 0 owns much of a system; nobody's tool needs it. */
	if (f->privileged && id->outside_gid == 0)
		id->outside_gid = id->outside_uid;
	id->user_name = message_string(
		c, !root && user_name_is_plain(f->caller_name) ? f->caller_name : "tool");
	id->home = message_string(c, c->home);
	return 0;
}

bool identity_maps(const struct compiler *c)
{
	return c->facts->privileged && c->facts->caller_uid == 0 && c->facts->id_mapped_mounts;
}

int plan_owner(struct compiler *c)
{
	if (!c->facts->privileged || c->facts->caller_uid != 0 || c->facts->id_mapped_mounts)
		return 0;
	for (size_t i = 0; i < c->grant_count; i++) {
		const struct grant *g = &c->grants[i];
		int r;

		if (!g->write || g->dropped)
			continue;
		r = feature_missing(c, "idmap", g->rule,
			"the run's own uid can write only what every user of this machine can");
		if (r < 0)
			return r;
	}
	return 0;
}
