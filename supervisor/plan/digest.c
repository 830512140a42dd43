/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include <errno.h>
#include <sodium.h>

static const unsigned char domain[] = "berm plan 1"; /* its NUL is part of it */

int plan_digest(const Berm__Wire__Plan *plan, uint8_t ret_digest[PLAN_DIGEST_BYTES])
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
