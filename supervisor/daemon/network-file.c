/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/network-file.h"

#include "apply/network-pool.h"
#include "policy/document.h"
#include "policy/trust.h"

#include <fcntl.h>
#include <string.h>

struct reading {
	struct diagnostics d;
	struct network_pool pool;
};

static bool check_version(struct reading *r, const struct node *node)
{
	if (node->plain && strcmp(node->text, "1") == 0)
		return true;
	diagnostics_report(&r->d, CODE_VERSION, node->at, "version must be 1");
	return false;
}

static bool check_pool(struct reading *r, const struct node *node)
{
	struct error err = {0};

	if (network_pool_read4(node->text, &r->pool, &err) == 0)
		return true;
	diagnostics_report(&r->d, CODE_CIDR, node->at, "pool: %s", err.text);
	return false;
}

static bool check_pool6(struct reading *r, const struct node *node)
{
	struct error err = {0};

	if (*node->text && network_pool_read6(node->text, &r->pool, &err) == 0)
		return true;
	diagnostics_report(&r->d, CODE_CIDR, node->at, "pool6: %s",
		err.code ? err.text : "empty; leave the key out for no IPv6");
	return false;
}

/* What the kernel takes (dev_valid_name), and what is safe in a path beneath /proc/sys. */
static bool is_interface(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= IFNAMSIZ || name[0] == '.')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789_-.@") == length;
}

static bool check_uplink(struct reading *r, const struct node *node)
{
	const char *why = NULL;

	if (!is_interface(node->text))
		why = "is no name of a network interface";
	else if (strcmp(node->text, "lo") == 0)
		why = "leads to this host alone; leave the key out for that";
	else if (strncmp(node->text, "berm-", 5) == 0)
		why = "is the link of a run";
	if (why)
		diagnostics_report(
			&r->d, CODE_WRONG_TYPE, node->at, "uplink: `%s` %s", node->text, why);
	return !why;
}

static const struct {
	const char *key;
	bool required;
	bool (*check)(struct reading *r, const struct node *node);
	size_t offset; /* of the fact; 0: none */
} keys[] = {
	{"version", true, check_version, 0},
	{"pool", true, check_pool, offsetof(Berm__Wire__HostFacts, network_pool)},
	{"pool6", false, check_pool6, offsetof(Berm__Wire__HostFacts, network_pool6)},
	{"uplink", false, check_uplink, offsetof(Berm__Wire__HostFacts, network_uplink)},
};

static bool check_entry(struct reading *r, const struct node *entry, size_t *ret_row)
{
	const char *names[array_size(keys)], *near;

	for (size_t i = 0; i < array_size(keys); i++) {
		names[i] = keys[i].key;
		if (strcmp(keys[i].key, entry->key) != 0)
			continue;
		*ret_row = i;
		if (entry->kind == NODE_SCALAR && !node_is_null(entry))
			return keys[i].check(r, entry);
		diagnostics_report(
			&r->d, CODE_WRONG_TYPE, entry->at, "%s: must be one word", entry->key);
		return false;
	}
	near = text_nearest(entry->key, names, array_size(names));
	diagnostics_report(&r->d, CODE_UNKNOWN_KEY, entry->key_at, "unknown key `%s`%s%s%s",
		entry->key, near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
	return false;
}

static int keep(Berm__Wire__HostFacts *facts, size_t offset, const char *text)
{
	char *copy;

	if (!offset)
		return 0;
	copy = strdup(text);
	if (copy)
		memcpy((char *)facts + offset, &copy, sizeof(copy));
	return copy ? 0 : -ENOMEM;
}

static int read_root(struct reading *r, const struct source_file *file, const struct node *root,
	Berm__Wire__HostFacts *facts)
{
	struct source nowhere = {file->name, 1, 1};
	const struct node *found[array_size(keys)] = {NULL};
	size_t row;
	int result = 0;

	if (!root || root->kind != NODE_MAPPING) {
		diagnostics_report(&r->d, CODE_WRONG_TYPE, root ? root->at : nowhere,
			"the file must be a mapping");
		return -EINVAL;
	}
	for (const struct node *entry = root->first; entry; entry = entry->next)
		if (check_entry(r, entry, &row))
			found[row] = entry;
	for (size_t i = 0; i < array_size(keys); i++)
		if (keys[i].required && !node_get(root, keys[i].key))
			diagnostics_report(
				&r->d, CODE_MISSING_KEY, root->at, "`%s` is missing", keys[i].key);
	if (r->d.errors)
		return -EINVAL;
	for (size_t i = 0; i < array_size(keys) && result == 0; i++)
		if (found[i])
			result = keep(facts, keys[i].offset, found[i]->text);
	return result;
}

int network_file_read(
	const char *path, Berm__Wire__HostFacts *facts, struct text *diagnostics, struct error *err)
{
	autoarena struct arena arena = {0};
	struct reading reading = {.d = {.out = diagnostics}};
	struct source_file *file = NULL;
	struct node *root = NULL;
	bool linked;
	int r;

	if (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0 &&
		(errno == ENOENT || errno == ENOTDIR))
		return 0;
	r = trust_read(&arena, path, 0, &file, &linked, err);
	if (r < 0)
		return r;
	reading.d.files = file;
	r = document_parse(&arena, &reading.d, file, &root);
	if (r == 0)
		r = read_root(&reading, file, root, facts);
	if (r == -ENOMEM)
		return error_set(err, r, ERROR_INTERNAL, "out of memory");
	if (r < 0)
		error_set(err, r, ERROR_INPUT, "%s: %u error%s", path, reading.d.errors,
			reading.d.errors == 1 ? "" : "s");
	return r;
}
