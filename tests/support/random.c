/* SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

static uint64_t stream = 0x9e3779b97f4a7c15ULL;

void random_seed(uint64_t seed)
{
	stream = seed ? seed : 1;
}

uint64_t random_u64(void)
{
	stream ^= stream >> 12;
	stream ^= stream << 25;
	stream ^= stream >> 27;
	return stream * 0x2545f4914f6cdd1dULL;
}

uint32_t random_below(uint32_t limit)
{
	return (uint32_t)((random_u64() >> 32) * limit >> 32);
}
