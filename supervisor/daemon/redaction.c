/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/redaction.h"

#include "policy/risky-env.h"

#include <string.h>

/* Names of values that are secret even where nobody says so. */
static const char *const secret_names[] = {"*TOKEN*", "*SECRET*", "*PASSWORD*", "*PASSWD*",
	"*PASSPHRASE*", "*_PASS", "*_PWD", "*_KEY", "*_KEY_ID", "*APIKEY*", "*CREDENTIAL*",
	"*_AUTH", "*COOKIE*", "*_DSN"};
#define SECRET_BYTES_MIN 8 /* of those: a shorter one is a word, such as "true" */

/* Never secret, and to blank them would blank every path: for env.hide: ["*"]. */
static const char *const plain_names[] = {"PATH", "HOME", "PWD", "OLDPWD", "SHELL", "USER",
	"LOGNAME", "LANG", "LANGUAGE", "LC_*", "TERM", "TMPDIR", "TZ", "EDITOR", "PAGER", "VISUAL",
	"HOSTNAME", "DISPLAY", "XDG_*", "SHLVL", "_"};

static bool is_one_of(const char *const *patterns, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (env_hides(patterns[i], name))
			return true;
	return false;
}

static bool is_hidden(const struct profile *profile, const char *name)
{
	for (size_t i = 0; profile && i < profile->env.hide.count; i++)
		if (env_hides(profile->env.hide.items[i].text, name))
			return !is_one_of(plain_names, array_size(plain_names), name);
	return false;
}

static bool is_secret(const struct profile *profile, const char *name, const char *value)
{
	if (is_hidden(profile, name))
		return true;
	return strlen(value) >= SECRET_BYTES_MIN && value[0] != '/' &&
	       is_one_of(secret_names, array_size(secret_names), name);
}

static int add_variables(const struct profile *profile, const char *const *list,
	struct redactor *redactor, struct error *err)
{
	for (; list && *list; list++) {
		const char *equals = strchr(*list, '=');
		autofree char *name = equals ? strndup(*list, (size_t)(equals - *list)) : NULL;
		int r = 0;

		if (!equals) /* --env NAME: its value is in the environment */
			continue;
		if (!name)
			return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to keep secrets");
		if (is_secret(profile, name, equals + 1))
			r = redactor_add_value(redactor, name, equals + 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_set(const struct profile *profile, struct redactor *redactor, struct error *err)
{
	int r = 0;

	for (size_t i = 0; profile && r == 0 && i < profile->env.set_count; i++) {
		const struct env_set *set = &profile->env.set[i];

		if (is_secret(profile, set->name, set->value))
			r = redactor_add_value(redactor, set->name, set->value, err);
	}
	return r;
}

int redaction_make(const struct profile *profile, const char *const *environment,
	const char *const *env_extra, struct redactor **ret_redactor, struct error *err)
{
	struct redactor *redactor = NULL;
	int r = redactor_create(&redactor, err);

	if (r == 0)
		r = add_variables(profile, environment, redactor, err);
	if (r == 0)
		r = add_variables(profile, env_extra, redactor, err);
	if (r == 0)
		r = add_set(profile, redactor, err);
	for (size_t i = 0; profile && r == 0 && i < profile->recorder.redact.count; i++)
		r = redactor_add_pattern(redactor, profile->recorder.redact.items[i].text, err);
	if (r < 0)
		redactor_destroy(redactor);
	else
		*ret_redactor = redactor;
	return r;
}
