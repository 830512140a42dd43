/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <errno.h>
#include <sodium.h>

static const unsigned char domain[] = "berm plan 1"; /* its NUL is part of it */

static uint32_t same_for_all_runs(uint32_t id)
{
	return id - DEDICATED_UID_FIRST < DEDICATED_UID_COUNT ? DEDICATED_UID_FIRST : id;
}

/* A copy of the plan without what is different in each run of it: the run's name in the environment
 * and the uid that nobody else has. Shares everything with the plan but *identity and environment
 * (room for each entry). */
static Berm__Wire__Plan without_run(
	const Berm__Wire__Plan *plan, Berm__Wire__Identity *identity, char **environment)
{
	Berm__Wire__Plan copy = *plan;

	copy.environment = environment;
	copy.n_environment = 0;
	for (size_t i = 0; i < plan->n_environment; i++)
		if (strncmp(plan->environment[i], "BERM_RUN=", 9) != 0)
			environment[copy.n_environment++] = plan->environment[i];
	if (plan->identity) {
		*identity = *plan->identity;
		identity->outside_uid = same_for_all_runs(identity->outside_uid);
		identity->outside_gid = same_for_all_runs(identity->outside_gid);
		copy.identity = identity;
	}
	return copy;
}

static int hash_plan(const Berm__Wire__Plan *plan, uint8_t ret_digest[PLAN_DIGEST_BYTES])
{
	size_t length = berm__wire__plan__get_packed_size(plan);
	autofree uint8_t *packed = malloc(length + 1);
	crypto_generichash_state state;

	if (!packed)
		return -ENOMEM;
	if (berm__wire__plan__pack(plan, packed) != length)
		return -EIO;
	if (crypto_generichash_init(&state, NULL, 0, PLAN_DIGEST_BYTES) ||
		crypto_generichash_update(&state, domain, sizeof(domain)) ||
		crypto_generichash_update(&state, packed, length) ||
		crypto_generichash_final(&state, ret_digest, PLAN_DIGEST_BYTES))
		return -EIO;
	return 0;
}

int plan_digest(const Berm__Wire__Plan *plan, uint8_t ret_digest[PLAN_DIGEST_BYTES])
{
	autofree char **environment = calloc(plan->n_environment + 1, sizeof(*environment));
	Berm__Wire__Identity identity;
	Berm__Wire__Plan copy;

	if (!environment)
		return -ENOMEM;
	copy = without_run(plan, &identity, environment);
	return hash_plan(&copy, ret_digest);
}
