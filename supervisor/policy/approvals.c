/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/approvals.h"

bool approvals_are_written(const struct profile *p)
{
	return p->approvals.on.set || p->approvals.channels.set || p->gates.count ||
	       p->approvals.exec.count || p->approvals.timeout_ms.set || p->approvals.rate_max.set;
}

unsigned approvals_channels(const struct profile *profile)
{
	const struct limit *channels = &profile->approvals.channels;

	return channels->set ? (unsigned)channels->value : APPROVAL_SOCKET;
}

uint64_t approvals_timeout_ms(const struct profile *profile)
{
	const struct limit *timeout = &profile->approvals.timeout_ms;

	return timeout->set ? timeout->value : APPROVAL_TIMEOUT_DEFAULT_MS;
}

uint64_t approvals_rate(const struct profile *profile, uint64_t *ret_within_ms)
{
	const struct limit *max = &profile->approvals.rate_max;

	*ret_within_ms =
		max->set ? profile->approvals.rate_within_ms.value : APPROVAL_WITHIN_DEFAULT_MS;
	return max->set ? max->value : APPROVAL_RATE_DEFAULT;
}

uint64_t gate_timeout_ms(const struct judge_rule *gate)
{
	return gate->timeout_ms.set ? gate->timeout_ms.value : APPROVAL_TIMEOUT_DEFAULT_MS;
}
