/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "apply/network-pool.h"

#include <arpa/inet.h>
#include <string.h>

static const struct {
	const char *text;
	const char *complaint; /* NULL: it is good */
} rows4[] = {
	{"10.143.0.0/16", NULL},
	{"192.168.7.8/29", NULL},
	{"10.0.0.0/8", NULL},
	{"10.143.0.0/7", "between /8 and /29"},
	{"10.143.0.0/30", "between /8 and /29"},
	{"10.143.0.0/33", "not an IPv4 prefix"},
	{"10.143.0.0", "not an IPv4 prefix"},
	{"10.143.0.0/", "not an IPv4 prefix"},
	{"10.143.0.0/ 16", "not an IPv4 prefix"},
	{"10.143.0.0/016", "not an IPv4 prefix"},
	{"10.143/16", "not an IPv4 prefix"},
	{"/16", "not an IPv4 prefix"},
	{"", "not an IPv4 prefix"},
	{"::ffff:10.143.0.0/112", "not an IPv4 prefix"},
	{"10.143.0.1/16", "bits are set behind the first 16"},
	{"10.143.0.4/29", "bits are set behind the first 29"},
	{"127.0.0.0/16", "not for hosts"},
	{"0.0.0.0/8", "not for hosts"},
	{"169.254.0.0/24", "not for hosts"},
	{"168.0.0.0/7", "between /8 and /29"},
	{"169.0.0.0/8", "not for hosts"},
	{"224.0.0.0/8", "not for hosts"},
	{"255.255.255.0/24", "not for hosts"},
};

static const struct {
	const char *text, *complaint;
} rows6[] = {
	{"fd62:6572:6d00::/64", NULL},
	{"2001:db8::/32", NULL},
	{"fd00::8/125", NULL},
	{"fd00::/126", "between /16 and /125"},
	{"fd00::/8", "between /16 and /125"},
	{"fd00::1/64", "bits are set behind the first 64"},
	{"fe80::/64", "neither global"},
	{"ff00::/16", "neither global"},
	{"::/16", "neither global"},
	{"::ffff:0:0/96", "neither global"},
	{"10.0.0.0/8", "not an IPv6 prefix"},
	{"fd00::%1/64", "not an IPv6 prefix"},
};

static void expect(const char *text, int r, const struct error *err, const char *complaint)
{
	if (!complaint && r < 0)
		fail_msg("%s: %s", text, err->text);
	if (!complaint)
		return;
	if (r == 0 || !strstr(err->text, complaint))
		fail_msg("%s: wanted \"%s\", got %d \"%s\"", text, complaint, r, err->text);
	assert_int_equal(err->kind, ERROR_INPUT);
}

static void only_prefixes_of_host_addresses_are_pools(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows4); i++) {
		struct network_pool pool = {0};
		struct error err = {0};

		expect(rows4[i].text, network_pool_read4(rows4[i].text, &pool, &err), &err,
			rows4[i].complaint);
	}
	for (size_t i = 0; i < array_size(rows6); i++) {
		struct network_pool pool = {0};
		struct error err = {0};

		expect(rows6[i].text, network_pool_read6(rows6[i].text, &pool, &err), &err,
			rows6[i].complaint);
		assert_true(pool.has6);
	}
}

static void without_a_second_pool_there_is_no_ipv6(void **state)
{
	struct network_pool pool = {.has6 = true};
	struct error err = {0};

	(void)state;
	assert_int_equal(network_pool_read6("", &pool, &err), 0);
	assert_false(pool.has6);
}

static struct network_pool pool_of(const char *text, const char *text6)
{
	struct network_pool pool = {0};
	struct error err = {0};

	assert_int_equal(network_pool_read4(text, &pool, &err), 0);
	assert_int_equal(network_pool_read6(text6, &pool, &err), 0);
	return pool;
}

static void the_smaller_pool_says_how_many_links_there_are(void **state)
{
	struct network_pool pool = pool_of("10.143.0.0/16", "");

	(void)state;
	assert_int_equal(network_pool_links(&pool), 16384);
	pool = pool_of("10.143.0.0/29", "");
	assert_int_equal(network_pool_links(&pool), 2);
	pool = pool_of("10.0.0.0/8", "fd00::/64");
	assert_int_equal(network_pool_links(&pool), 1 << 22);
	pool = pool_of("10.143.0.0/16", "fd00::/120");
	assert_int_equal(network_pool_links(&pool), 64);
}

static void expect_ends(const struct network_pool *pool, uint32_t number, const char *wanted)
{
	char host[INET6_ADDRSTRLEN], run[INET6_ADDRSTRLEN], host6[INET6_ADDRSTRLEN] = "",
							    run6[INET6_ADDRSTRLEN] = "";
	char name[IFNAMSIZ], got[256];
	struct network_ends ends;
	struct in_addr a;

	network_pool_ends(pool, number, &ends);
	network_end_name(&ends, name);
	a.s_addr = htonl(ends.host);
	inet_ntop(AF_INET, &a, host, sizeof(host));
	a.s_addr = htonl(ends.run);
	inet_ntop(AF_INET, &a, run, sizeof(run));
	if (ends.has6) {
		inet_ntop(AF_INET6, &ends.host6, host6, sizeof(host6));
		inet_ntop(AF_INET6, &ends.run6, run6, sizeof(run6));
	}
	snprintf(got, sizeof(got), "%s %s %s %s %s", name, host, run, host6, run6);
	assert_string_equal(got, wanted);
}

static void a_link_has_the_second_and_third_address_of_its_share(void **state)
{
	struct network_pool pool = pool_of("10.143.0.0/16", "fd62:6572:6d00::/64");

	(void)state;
	expect_ends(&pool, 0,
		"berm-0a8f0000 10.143.0.1 10.143.0.2 fd62:6572:6d00::1 fd62:6572:6d00::2");
	expect_ends(&pool, 16383,
		"berm-0a8ffffc 10.143.255.253 10.143.255.254 fd62:6572:6d00::fffd "
		"fd62:6572:6d00::fffe");
	pool = pool_of("192.168.7.8/29", "");
	expect_ends(&pool, 1, "berm-c0a8070c 192.168.7.13 192.168.7.14  ");
	pool = pool_of("192.168.7.8/29", "fd00::abcd:8/125");
	expect_ends(&pool, 1, "berm-c0a8070c 192.168.7.13 192.168.7.14 fd00::abcd:d fd00::abcd:e");
	pool = pool_of("10.0.0.0/8", "fd00::ff00:0/104");
	expect_ends(&pool, (1 << 22) - 1,
		"berm-0afffffc 10.255.255.253 10.255.255.254 fd00::ffff:fffd fd00::ffff:fffe");
}

static void no_two_links_share_an_address(void **state)
{
	struct network_pool pool = pool_of("10.143.0.0/24", "fd00::/64");
	uint32_t last = pool.base;

	(void)state;
	for (uint32_t i = 0; i < network_pool_links(&pool); i++) {
		struct network_ends ends;

		network_pool_ends(&pool, i, &ends);
		assert_true(ends.host > last || i == 0);
		assert_int_equal(ends.run, ends.host + 1);
		assert_int_equal(ends.host6.s6_addr[15] & 3, 1);
		assert_int_equal(ends.run6.s6_addr[15], ends.host6.s6_addr[15] + 1);
		last = ends.run + 1; /* the broadcast address of this one */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_prefixes_of_host_addresses_are_pools),
		cmocka_unit_test(without_a_second_pool_there_is_no_ipv6),
		cmocka_unit_test(the_smaller_pool_says_how_many_links_there_are),
		cmocka_unit_test(a_link_has_the_second_and_third_address_of_its_share),
		cmocka_unit_test(no_two_links_share_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
