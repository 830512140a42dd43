/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/decide.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "loading.h"

/* A hint is worth something only if the parser takes it and it does what it says: each one is added
 * to the profile as it stands, and the question is asked again. */

static const char base[] = "version: 1\n"
			   "name: base\n"
			   "fs: {read: [/usr], write: [/srv/w]}\n";

#define HINTS_MAX 3 /* a program elsewhere needs to be seen before it can be run */

/* "fs.read: - /x" as a profile that extends the one before. */
static void add_hint(struct loading *l, unsigned number, const char *hint)
{
	const char *dot = strchr(hint, '.'), *colon = strstr(hint, ": - ");
	autotext struct text text = {0};
	char file[32];

	assert_non_null(dot);
	assert_non_null(colon);
	text_printf(&text, "version: 1\nname: p%u\nextends: [p%u]\n", number, number - 1);
	text_printf(&text, "%.*s: {%.*s: [%s]}\n", (int)(dot - hint), hint, (int)(colon - dot - 1),
		dot + 1, colon + 4);
	assert_false(text.failed);
	snprintf(file, sizeof(file), "p%u.yaml", number);
	loading_string(l, file, text_string(&text));
}

static void follow_hints(enum operation operation, const char *object)
{
	autoloading struct loading l;
	struct verdict v = {.decision = DECISION_DENY};

	loading_init(&l);
	loading_string(&l, "p0.yaml", base);
	for (unsigned i = 0; i <= HINTS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%u", i);
		if (loading_load(&l, name) < 0)
			fail_msg("%s %s: \"%s\": %s\n%s", operation_name(operation), object, v.hint,
				l.err.text, text_string(&l.out));
		decide(l.profile, operation, object, &v);
		if (v.decision == DECISION_ALLOW) {
			/* The first question would have been pointless otherwise. */
			assert_true(i > 0);
			return;
		}
		if (v.keep_denied || v.hint[0] == '\0')
			break;
		add_hint(&l, i + 1, v.hint);
	}
	fail_msg("%s %s: still %s by %s, hint \"%s\"", operation_name(operation), object,
		decision_name(v.decision), v.rule, v.hint);
}

static void a_hint_added_to_the_profile_allows_what_was_denied(void **state)
{
	static const struct {
		enum operation operation;
		const char *object;
	} rows[] = {
		{OPERATION_READ, "/opt/data/file"},
		{OPERATION_READ, "/srv/with blank/and: colon"},
		{OPERATION_READ, "/srv/- dash"},
		{OPERATION_READ, "/srv/#hash,comma]{brace}"},
		{OPERATION_READ, "/srv/it's"},
		{OPERATION_READ, "/srv/100%"},
		{OPERATION_READ, "/srv/@at&and!bang"},
		{OPERATION_READ, "/srv/\xc3\xa4\xe2\x82\xac"},
		{OPERATION_READ, "/etc/ssl/certs/own.pem"},
		{OPERATION_WRITE, "/srv/out/file"},
		{OPERATION_WRITE, "/home/user/project/file"},
		{OPERATION_EXEC, "/opt/tool/bin/tool"},
		{OPERATION_EXEC, "/srv/w/a.out"},
		{OPERATION_EXEC, "/tmp/a.out"},
		{OPERATION_CONNECT, "api.example.org:443"},
		{OPERATION_CONNECT, "api.example.org:53/udp"},
		{OPERATION_CONNECT, "api.example.org:443 by /usr/bin/curl"},
		{OPERATION_CONNECT, "192.0.2.1:80"},
		{OPERATION_CONNECT, "[2001:db8::1]:80"},
		{OPERATION_CONNECT, "[::ffff:192.0.2.1]:80"},
		{OPERATION_CONNECT, "unix:/srv/other/app.sock"},
		{OPERATION_ENV, "LANG"},
		{OPERATION_ENV, "MY_SETTING"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		follow_hints(rows[i].operation, rows[i].object);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_hint_added_to_the_profile_allows_what_was_denied),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
