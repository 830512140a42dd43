/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb.h"
#include "policy/schema.h"

static int print(const struct verb *verb, int argc, char **argv, void (*make)(struct text *out))
{
	autotext struct text out = {0};

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	make(&out);
	return verb_print(&out, CLI_GOOD);
}

static int schema(const struct verb *verb, const void *options, int argc, char **argv)
{
	(void)options;
	return print(verb, argc, argv, profile_schema_print);
}

static int reference(const struct verb *verb, const void *options, int argc, char **argv)
{
	(void)options;
	return print(verb, argc, argv, profile_reference_print);
}

const struct verb verb_profile_schema = {
	.name = "profile schema",
	.summary = "Print the JSON Schema of profiles for editors",
	.usage = "",
	.function = schema,
};

const struct verb verb_profile_reference = {
	.name = "profile reference",
	.summary = "Print the reference of every key of a profile",
	.usage = "",
	.function = reference,
};
