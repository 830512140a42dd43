/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/host.h"

#include <string.h>

#include "base/own.h"

static void only_plain_spellings_are_addresses(void **state)
{
	static const struct {
		const char *text;
		bool good, is_ipv4;
	} rows[] = {
		{"10.0.0.1", true, true},
		{"::ffff:10.0.0.1", true, true},
		{"::ffff:a00:1", true, true},
		{"::1", true, false},
		{"fe80::1", true, false},
		{"127.1", false, false},
		{"0x7f.0.0.1", false, false},
		{"010.0.0.1", false, false},
		{"2130706433", false, false},
		{"1.2.3.4.5", false, false},
		{"1.2.3.256", false, false},
		{" 1.2.3.4", false, false},
		{"fe80::1%eth0", false, false},
		{"[::1]", false, false},
		{"", false, false},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct address address;

		assert_int_equal(address_parse(rows[i].text, &address), rows[i].good);
		if (rows[i].good)
			assert_int_equal(address.is_ipv4, rows[i].is_ipv4);
	}
}

static void ranges_hold_whole_prefixes_of_their_own_family(void **state)
{
	static const struct {
		const char *range, *address;
		bool inside;
	} rows[] = {
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "11.1.2.3", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.1.2.3", false},
		{"::/0", "::ffff:10.1.2.3", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"2001:db8:8000::/33", "2001:db8:7fff::1", false},
		{"2001:db8:8000::/33", "2001:db8:8000::1", true},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct address_range range;
		struct address address;

		assert_true(address_range_parse(rows[i].range, &range));
		assert_true(address_parse(rows[i].address, &address));
		assert_int_equal(address_in_range(&address, &range), rows[i].inside);
	}
}

static void ranges_with_stray_bits_or_bad_prefixes_are_refused(void **state)
{
	static const char *const rows[] = {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/",
		"10.0.0.0/08", "10.0.0.0/8/8", "fd00::1/8", "fd00::/129", "/8", "::ffff:0.0.0.0/90",
		"host.example/8", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8"};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct address_range range;

		assert_false(address_range_parse(rows[i], &range));
	}
}

static void names_are_lower_case_and_never_numbers(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"Example.ORG", "example.org"},
		{"example.org.", "example.org"},
		{"localhost", "localhost"},
		{"_dmarc.example.org", "_dmarc.example.org"},
		{"1.example.org", "1.example.org"},
		{"0x.example", "0x.example"},
		{"127.1", NULL},
		{"2130706433", NULL},
		{"0x7f000001", NULL},
		{"0X7F.1", NULL},
		{"a.0x1f", NULL},
		{"a.0x", NULL},
		{"example..org", NULL},
		{".example.org", NULL},
		{"example.org..", NULL},
		{".", NULL},
		{"", NULL},
		{"-a.example", NULL},
		{"a-.example", NULL},
		{"a b.example", NULL},
		{"a/b", NULL},
		{"user@example.org", NULL},
		{"ex\xc3\xa4mple.org", NULL},
		{"example.org%00.evil", NULL},
		{"*.example.org", NULL},
	};
	char name[HOST_NAME_MAX_BYTES + 1], longest[300];

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		assert_int_equal(host_name_normalise(rows[i].in, name), rows[i].out != NULL);
		if (rows[i].out)
			assert_string_equal(name, rows[i].out);
	}
	for (size_t i = 0; i < sizeof(longest) - 1; i++)
		longest[i] = i % 2 ? '.' : 'a';
	longest[253] = '\0';
	assert_true(host_name_normalise(longest, name));
	longest[253] = '.';
	longest[254] = 'a';
	longest[255] = '\0';
	assert_false(host_name_normalise(longest, name));
	memset(longest, 'a', 64);
	longest[64] = '\0';
	assert_false(host_name_normalise(longest, name));
	longest[63] = '\0';
	assert_true(host_name_normalise(longest, name));
}

static void one_star_is_one_label_two_are_any_and_the_apex_is_never_in(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool match;
	} rows[] = {
		{"example.org", "example.org", true},
		{"EXAMPLE.org.", "example.org", true},
		{"example.org", "www.example.org", false},
		{"*.example.org", "www.example.org", true},
		{"*.example.org", "a.b.example.org", false},
		{"*.example.org", "example.org", false},
		{"*.example.org", "evilexample.org", false},
		{"*.example.org", "www.example.org.evil.test", false},
		{"**.example.org", "www.example.org", true},
		{"**.example.org", "a.b.c.example.org", true},
		{"**.example.org", "example.org", false},
		{"**.example.org", "evilexample.org", false},
		{"*", "example.org", false},
		{"**", "example.org", false},
		{"*.org", "example.org", false},
		{"*.co.uk", "example.co.uk", false},
		{"*.example.co.uk", "www.example.co.uk", true},
		{"***.example.org", "www.example.org", false},
		{"www.*.org", "www.example.org", false},
		{"*example.org", "evilexample.org", false},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		assert_int_equal(host_matches(rows[i].pattern, rows[i].host), rows[i].match);
}

static void patterns_over_public_suffixes_are_refused(void **state)
{
	static const struct {
		const char *pattern;
		bool valid;
	} rows[] = {
		{"example.org", true},
		{"*.example.org", true},
		{"**.example.org", true},
		{"192.0.2.7", true},
		{"2001:db8::7", true},
		{"*.githubusercontent.com", true},
		{"*", false},
		{"**", false},
		{"*.", false},
		{"*.com", false},
		{"**.org", false},
		{"*.co.uk", false},
		{"**.com.au", false},
		{"*.foo.uk", true},
		{"*.1.2.3", false},
		{"a.*.example.org", false},
		{"", false},
		{"https://example.org", false},
		{"example.org:443", false},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		assert_int_equal(host_pattern_is_valid(rows[i].pattern), rows[i].valid);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(only_plain_spellings_are_addresses),
		cmocka_unit_test(ranges_hold_whole_prefixes_of_their_own_family),
		cmocka_unit_test(ranges_with_stray_bits_or_bad_prefixes_are_refused),
		cmocka_unit_test(names_are_lower_case_and_never_numbers),
		cmocka_unit_test(one_star_is_one_label_two_are_any_and_the_apex_is_never_in),
		cmocka_unit_test(patterns_over_public_suffixes_are_refused),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
