/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learn.h"

#include "base/path.h"
#include "policy/decide-internal.h"

#include <limits.h>
#include <string.h>

/* Names that mean something wherever they are met. */

/* clang-format off */

/* Where credentials are beside what path_holds_keys() knows. What a base profile denies is never
 * proposed either. */
static const char *const secrets[] = {
	"/etc/security/opasswd", "/etc/pki/**/private", "/etc/wireguard", "/etc/openvpn", "/etc/ipsec.secrets",
	"/etc/ppp/*-secrets", "/etc/NetworkManager/system-connections", "/etc/wpa_supplicant", "/etc/letsencrypt",
	"/etc/rancher", "/etc/docker", "/etc/vault*", "/etc/berm", "/**/id_dsa", "/**/*.keystore", "/**/*.ovpn",
	"/**/credentials.json", "/**/credentials.db", "/**/service-account*.json", "/**/*client_secret*.json",
	"/**/secrets.yaml", "/**/secrets.yml", "/**/secrets.json", "/**/secrets.toml", "/**/*.tfstate", "/**/kubeconfig",
	"/**/*.kubeconfig", "/**/wallet.dat",
};

/* Templates that are committed for everybody to read. */
static const char *const templates[] = {
	"/**/.env.example", "/**/.env.sample", "/**/.env.template", "/**/.env.dist",
};

/* As the shipped coding-agent protects them. */
static const struct {
	const char *name;
	bool optional;
} doors[] = {
	{".git", false}, {".envrc", false}, {".mcp.json", false}, {".claude", false}, {".codex", false}, {".gemini", false},
	{".cursor", false}, {".vscode", false}, {".idea", true}, {".devcontainer", true}, {".husky", true},
	{".githooks", true}, {".pre-commit-config.yaml", true}, {"lefthook.yml", true}, {".npmrc", true},
	{".yarnrc.yml", true}, {".mise.toml", true}, {"mise.toml", true},
};

/* clang-format on */

const char *learn_door(size_t i, bool *ret_optional)
{
	if (i >= array_size(doors))
		return NULL;
	*ret_optional = doors[i].optional;
	return doors[i].name;
}

static bool is_template(const char *path)
{
	for (size_t i = 0; i < array_size(templates); i++) {
		if (path_glob_match(templates[i], path))
			return true;
	}
	return false;
}

static bool is_secret(const char *path, bool itself)
{
	if (strlen(path) >= PATH_MAX || !path_is_normal(path) || is_template(path))
		return false;
	if (path_holds_keys(path, itself))
		return true;
	for (size_t i = 0; i < array_size(secrets); i++) {
		if (itself ? path_glob_match(secrets[i], path)
			   : path_covered_by_glob(secrets[i], path))
			return true;
	}
	return false;
}

bool learn_is_secret(const char *path)
{
	return is_secret(path, false);
}

bool learn_names_secret(const char *path)
{
	return is_secret(path, true);
}

bool learn_can_write(const char *path)
{
	size_t left = strlen(path), n;

	if (left >= PATH_MAX || !path_is_normal(path) || path_has_glob(path) || strchr(path, '$'))
		return false;
	for (; left > 0; left -= n, path += n) {
		uint32_t point;

		n = text_decode(path, left, &point);
		if (n == 0 || text_point_is_deceptive(point) || point == 0xfeff)
			return false;
	}
	return true;
}

const char *learn_nearest_name(const char *path, char buffer[PATH_MAX])
{
	if (strlen(path) >= PATH_MAX || learn_can_write(path))
		return path;
	strcpy(buffer, path);
	while (buffer[1] && !learn_can_write(buffer)) {
		char *slash = strrchr(buffer, '/');

		slash[slash == buffer] = '\0';
	}
	return buffer;
}

/* In double quotes only these two mean something, where every character is printable. */
static void put_quoted(struct text *out, const char *words)
{
	while (*words) {
		size_t n = strcspn(words, "\"\\");

		text_append(out, words, n);
		words += n;
		if (*words)
			text_printf(out, "\\%c", *words++);
	}
}

void learn_put_path(struct text *out, const char *path, const char *workdir)
{
	bool within = workdir && workdir[1] && path_is_beneath(path, workdir);

	text_printf(out, "\"%s", within ? "${WORKDIR}" : "");
	put_quoted(out, within ? path + strlen(workdir) : path);
	text_puts(out, "\"");
}
