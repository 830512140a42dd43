/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/read.h"

#include <string.h>

/* The three ways an entry of a list can be named in `remove`: by its words as they are written. */
static bool path_rule_is(const struct path_rule *rule, const char *text)
{
	return strcmp(rule->written, text) == 0;
}

static bool network_rule_is(const struct network_rule *rule, const char *text)
{
	return strcasecmp(rule->host ? rule->host : rule->cidr, text) == 0;
}

static bool exec_rule_is(const struct exec_rule *rule, const char *text)
{
	if (rule->written)
		return strcmp(rule->written, text) == 0;
	for (size_t i = 0; i < rule->command_count; i++) {
		size_t n = strlen(rule->command[i]);

		if (strncmp(text, rule->command[i], n) != 0)
			return false;
		text += n;
		if (i + 1 < rule->command_count && *text++ != ' ')
			return false;
	}
	return *text == '\0';
}

static bool string_rule_is(const struct string_rule *rule, const char *text)
{
	return strcmp(rule->text, text) == 0;
}

static bool env_set_is(const struct env_set *set, const char *text)
{
	return strcmp(set->name, text) == 0;
}

/* Take every item that is `text` out of a list; evaluates to whether there was one. */
#define take_out(items, count, is, text)                                                           \
	({                                                                                         \
		size_t kept_ = 0, before_ = (count);                                               \
		for (size_t i_ = 0; i_ < before_; i_++) {                                          \
			if (!is(&(items)[i_], text))                                               \
				(items)[kept_++] = (items)[i_];                                    \
		}                                                                                  \
		(count) = kept_;                                                                   \
		kept_ != before_;                                                                  \
	})

/* Remove from the list that a row is about; ret_list tells whether it is about one at all. */
static bool remove_entry(struct profile *p, const struct key *key, const char *text, bool *ret_list)
{
	void *field = (char *)p + key->offset;

	*ret_list = key->stored;
	if (!key->stored)
		return false;
	if (key->type == VALUE_PATH_RULES) {
		struct path_rules *rules = field;

		return take_out(rules->items, rules->count, path_rule_is, text);
	}
	if (key->type == VALUE_NETWORK_RULES) {
		struct network_rules *rules = field;

		return take_out(rules->items, rules->count, network_rule_is, text);
	}
	if (key->type == VALUE_EXEC_RULES) {
		struct exec_rules *rules = field;

		return take_out(rules->items, rules->count, exec_rule_is, text);
	}
	if (key->type == VALUE_STRING_LIST) {
		struct string_rules *rules = field;

		return take_out(rules->items, rules->count, string_rule_is, text);
	}
	if (key->type == VALUE_STRING_MAP)
		return take_out(p->env.set, p->env.set_count, env_set_is, text);
	*ret_list = false;
	return false;
}

static void remove_from(struct reader *r, const struct key *key, const struct node *list)
{
	if (!value_is_list(r, list, VALUE_STRING_LIST))
		return;
	for (const struct node *entry = list->first; entry; entry = entry->next) {
		const char *text = value_string(r, entry, CONTENT_LINE);
		bool is_list;

		if (!text || remove_entry(r->profile, key, text, &is_list))
			continue;
		if (!is_list) {
			diagnostics_report(r->d, CODE_REMOVE_KEY, list->key_at,
				key->type == VALUE_OBJECT_LIST
					? "the entries of `%s` have no name to remove them by"
					: "`%s` is not a list; write its new value instead of "
					  "removing the old one",
				list->key);
			return;
		}
		diagnostics_report(r->d, CODE_REMOVE_ABSENT, entry->at,
			"`%s` has no entry `%s` in the profiles that this one extends", list->key,
			text);
	}
}

void read_remove(struct reader *r, const struct node *mapping)
{
	if (!value_is_mapping(r, mapping, VALUE_REMOVE_MAP))
		return;
	for (const struct node *entry = mapping->first; entry; entry = entry->next) {
		const struct key *key = key_resolve(entry->key, NULL);

		if (key) {
			remove_from(r, key, entry);
			continue;
		}
		diagnostics_report(r->d, CODE_UNKNOWN_KEY, entry->key_at,
			"`remove` names `%s`, which is no key; keys are written in "
			"full, such as fs.read",
			entry->key);
	}
}
