/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "daemon/status.h"
#include "fuzz.h"
#include "plan/plan.h"
#include "wire/verdict.h"

#include <jansson.h>
#include <linux/audit.h>

/* A Plan message from anywhere: readers survive it, what is printed of it is safe to show, its
 * digest is that of its content. Input: the packed message. */

static void check_digest(const Berm__Wire__Plan *plan)
{
	uint8_t digest[PLAN_DIGEST_BYTES], again[PLAN_DIGEST_BYTES];
	size_t length = berm__wire__plan__get_packed_size(plan);
	autofree uint8_t *packed = malloc(length + 1);
	Berm__Wire__Plan *copy;

	assert(packed && berm__wire__plan__pack(plan, packed) == length);
	copy = berm__wire__plan__unpack(NULL, length, packed);
	/* protobuf-c takes an unknown field 0 whose tag is two bytes long, and packs it with a tag
	 * of one, which it does not take. fuzz-profile.c asserts this for the plans that berm
	 * makes. */
	if (!copy)
		return;
	assert(plan_digest(plan, digest) == 0 && plan_digest(copy, again) == 0);
	assert(memcmp(digest, again, sizeof(digest)) == 0);
	copy->version++;
	assert(plan_digest(copy, again) == 0);
	assert(memcmp(digest, again, sizeof(digest)) != 0);
	berm__wire__plan__free_unpacked(copy, NULL);
}

/* Two keys that differ in what is no UTF-8 are the same in JSON. */
static size_t flags_for(const Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_rules; i++) {
		const char *key = plan->rules[i]->key;
		uint32_t point;

		for (size_t length = strlen(key), n; length; key += n, length -= n)
			if (!(n = text_decode(key, length, &point)))
				return 0;
	}
	return JSON_REJECT_DUPLICATES;
}

static void check_status(const Berm__Wire__Plan *plan)
{
	static const struct denials denials;
	const struct status status = {.run_id = "r1", .plan = plan, .denials = &denials};
	autotext struct text record = {0}, footer = {0};
	json_t *root;

	status_record(&status, &record);
	assert(!record.failed);
	root = json_loadb(record.data, record.length, flags_for(plan), NULL);
	assert(root);
	json_decref(root);
	status_footer(&status, &footer);
	assert(!footer.failed && is_safe_to_show(text_string(&footer), footer.length));
}

static void ask(const Berm__Wire__Seccomp *seccomp, uint32_t arch, uint32_t number)
{
	static const uint64_t arguments[][6] = {
		{0}, {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

	for (size_t i = 0; i < array_size(arguments); i++) {
		struct syscall_verdict verdict = {.name = NULL};

		syscall_verdict(seccomp, arch, number, arguments[i], &verdict);
		assert(verdict.name);
		if (arch != seccomp->audit_arch)
			assert(verdict.action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL);
	}
}

static void check_calls(const Berm__Wire__Seccomp *seccomp)
{
	for (size_t i = 0; i < seccomp->n_syscalls; i++)
		ask(seccomp, seccomp->audit_arch, seccomp->syscalls[i]->number);
	ask(seccomp, seccomp->audit_arch, UINT32_MAX);
	ask(seccomp, AUDIT_ARCH_X86_64, VERDICT_X32_BIT);
	ask(seccomp, seccomp->audit_arch ^ 1, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Berm__Wire__Plan *plan = berm__wire__plan__unpack(NULL, size, data);
	autotext struct text out = {0};

	if (!plan)
		return 0;
	plan_print(plan, &out);
	assert(!out.failed && is_safe_to_show(out.data, out.length));
	check_digest(plan);
	check_status(plan);
	if (plan->seccomp)
		check_calls(plan->seccomp);
	plan_destroy(plan);
	return 0;
}
