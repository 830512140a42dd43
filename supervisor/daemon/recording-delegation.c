/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recording-internal.h"

#include <string.h>

static char *words_of(const char *words)
{
	return (char *)(uintptr_t)words;
}

void recording_fill_chain(const struct delegation_chain *chain, struct recording_chain *ret_chain,
	Berm__Wire__RunStart *start)
{
	for (size_t i = 0; i < chain->count; i++) {
		Berm__Wire__DelegationHop *hop = &ret_chain->hops[i];

		berm__wire__delegation_hop__init(hop);
		hop->run = words_of(chain->hops[i].run);
		hop->agent_id = words_of(chain->hops[i].agent_id);
		hop->agent = words_of(chain->hops[i].agent);
		ret_chain->pointers[i] = hop;
	}
	start->n_delegated_by = chain->count;
	start->delegated_by = ret_chain->pointers;
}
