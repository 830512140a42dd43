/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "apply/apply.h"
#include "apply/probe-bpf.h"

#include <linux/btf.h>
#include <string.h>

/* Both ways ask the same kernel: where they differ, a run would start on wishes. */
static void quick_and_thorough_probes_agree(void **state)
{
	struct facts_request request = {0};
	Berm__Wire__HostFacts *quick = NULL, *thorough = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(facts_gather(&request, &quick, &err), 0);
	request.thorough = true;
	assert_int_equal(facts_gather(&request, &thorough, &err), 0);
	assert_int_equal(quick->landlock_abi, thorough->landlock_abi);
	assert_int_equal(quick->seccomp_filter, thorough->seccomp_filter);
	assert_int_equal(quick->seccomp_notify, thorough->seccomp_notify);
	assert_int_equal(quick->user_namespaces, thorough->user_namespaces);
	assert_int_equal(quick->network_namespaces, thorough->network_namespaces);
	berm__wire__host_facts__free_unpacked(quick, NULL);
	berm__wire__host_facts__free_unpacked(thorough, NULL);
}

struct small_btf {
	struct btf_header header;
	struct btf_type integer;
	uint32_t integer_bits;
	struct btf_type prototype;
	struct btf_param parameter;
	struct btf_type function;
	char strings[32];
};

static struct small_btf make_btf(void)
{
	struct small_btf btf = {
		.header = {.magic = BTF_MAGIC, .version = 1, .hdr_len = sizeof(struct btf_header)},
		.integer = {.info = BTF_KIND_INT << 24, .size = 4},
		.prototype = {.info = BTF_KIND_FUNC_PROTO << 24 | 1, .type = 1},
		.parameter = {.type = 1},
		.function = {.name_off = 1, .info = BTF_KIND_FUNC << 24, .type = 2},
		.strings = "\0hook",
	};

	btf.header.type_len = offsetof(struct small_btf, strings) - sizeof(struct btf_header);
	btf.header.str_off = btf.header.type_len;
	btf.header.str_len = sizeof(btf.strings);
	return btf;
}

static void a_function_is_found_in_btf_by_its_whole_name(void **state)
{
	struct small_btf btf = make_btf();

	(void)state;
	assert_int_equal(btf_find_function(&btf, sizeof(btf), "hook"), 3);
	assert_int_equal(btf_find_function(&btf, sizeof(btf), "hoo"), -ENOENT);
	assert_int_equal(btf_find_function(&btf, sizeof(btf), "hooks"), -ENOENT);
}

static void broken_btf_is_refused(void **state)
{
	struct small_btf btf = make_btf();

	(void)state;
	for (size_t length = 0; length < sizeof(btf); length++)
		assert_int_equal(btf_find_function(&btf, length, "hook"), -EBADMSG);
	btf.prototype.info = (uint32_t)BTF_KIND_FUNC_PROTO << 24 | 0xffff;
	assert_int_equal(btf_find_function(&btf, sizeof(btf), "hook"), -EBADMSG);
	btf = make_btf();
	btf.header.type_off = UINT32_MAX;
	assert_int_equal(btf_find_function(&btf, sizeof(btf), "hook"), -EBADMSG);
	btf = make_btf();
	btf.integer.info = 31u << 24;
	assert_int_equal(btf_find_function(&btf, sizeof(btf), "hook"), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(quick_and_thorough_probes_agree),
		cmocka_unit_test(a_function_is_found_in_btf_by_its_whole_name),
		cmocka_unit_test(broken_btf_is_refused),
	};

	return cmocka_run_group_tests_name("apply-probe", list, NULL, NULL);
}
