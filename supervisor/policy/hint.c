/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide-internal.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/path.h"
#include "base/text.h"
#include "policy/calls.h"
#include "policy/risky-env.h"

/* What is never suggested: a person who grants these does so on their own. Globs; what lies beneath
 * a match is meant as well. */
struct keep {
	const char *glob, *why;
};

static const char why_key[] = "it holds keys or passwords";
static const char why_run_outside[] = "programs outside the run would execute it";
static const char why_root[] = "it is far more than one file";
static const char why_system[] = "it belongs to the system";
static const char why_set_id[] = "it changes the user or the system";
static const char why_socket[] = "who can connect can command the host";
static const char why_metadata[] = "it hands out the machine's own credentials";

/* clang-format off */
static const struct keep keep_read[] = {
	{ "/**/.ssh", why_key },              { "/**/.aws", why_key },
	{ "/**/.azure", why_key },            { "/**/.gnupg", why_key },
	{ "/**/.kube", why_key },             { "/**/.docker", why_key },
	{ "/**/.config/gcloud", why_key },    { "/**/.config/gh", why_key },
	{ "/**/.config/hub", why_key },       { "/**/.config/glab-cli", why_key },
	{ "/**/.config/doctl", why_key },     { "/**/.config/op", why_key },
	{ "/**/.config/rclone", why_key },    { "/**/.config/containers/auth.json", why_key },
	{ "/**/.config/git/credentials", why_key }, { "/**/.git-credentials", why_key },
	{ "/**/.netrc", why_key },            { "/**/.npmrc", why_key },
	{ "/**/.yarnrc.yml", why_key },       { "/**/.pypirc", why_key },
	{ "/**/.pgpass", why_key },           { "/**/.my.cnf", why_key },
	{ "/**/.cargo/credentials*", why_key }, { "/**/.gem/credentials", why_key },
	{ "/**/.m2/settings*.xml", why_key }, { "/**/.gradle/gradle.properties", why_key },
	{ "/**/.terraform.d", why_key },      { "/**/.vault-token", why_key },
	{ "/**/.password-store", why_key },   { "/**/.local/share/keyrings", why_key },
	{ "/**/.mozilla", why_key },          { "/**/.config/google-chrome", why_key },
	{ "/**/.config/chromium", why_key },  { "/**/.claude/.credentials.json", why_key },
	{ "/**/.codex/auth.json", why_key },  { "/**/.*_history", why_key },
	{ "/**/.env", why_key },              { "/**/.env.*", why_key },
	{ "/**/id_rsa*", why_key },           { "/**/id_ed25519*", why_key },
	{ "/**/id_ecdsa*", why_key },         { "/**/*.pem", why_key },
	{ "/**/*.key", why_key },             { "/**/*.p12", why_key },
	{ "/**/*.pfx", why_key },             { "/**/*.jks", why_key },
	{ "/**/*.kdbx", why_key },            { "/**/*.keytab", why_key },
	{ "/etc/shadow*", why_key },          { "/etc/gshadow*", why_key },
	{ "/etc/sudoers*", why_key },         { "/etc/ssh", why_key },
	{ "/etc/ssl/private", why_key },      { "/etc/krb5.keytab", why_key },
	{ "/run/secrets", why_key },          { "/var/run/secrets", why_key },
	{ "/var/lib/docker", why_key },
	{ "/etc/kubernetes", why_key },       { "/var/lib/kubelet", why_key },
	{ "/proc", why_system },              { "/dev", why_system },
	{ "/boot", why_system },
};

static const struct keep keep_write[] = {
	{ "/**/.git/hooks", why_run_outside },   { "/**/.git/config*", why_run_outside },
	{ "/**/.git/modules", why_run_outside }, { "/**/.git/info/attributes", why_run_outside },
	{ "/**/.gitconfig", why_run_outside },   { "/**/.config/git", why_run_outside },
	{ "/**/.githooks", why_run_outside },    { "/**/.husky", why_run_outside },
	{ "/**/.envrc", why_run_outside },       { "/**/.mcp.json", why_run_outside },
	{ "/**/.claude", why_run_outside },      { "/**/.cursor", why_run_outside },
	{ "/**/.codex", why_run_outside },       { "/**/.gemini", why_run_outside },
	{ "/**/.vscode", why_run_outside },      { "/**/.idea", why_run_outside },
	{ "/**/.devcontainer", why_run_outside }, { "/**/.zed", why_run_outside },
	{ "/**/.bash*", why_run_outside },       { "/**/.zsh*", why_run_outside },
	{ "/**/.zprofile", why_run_outside },    { "/**/.zlogin", why_run_outside },
	{ "/**/.profile", why_run_outside },     { "/**/.inputrc", why_run_outside },
	{ "/**/.config/fish", why_run_outside }, { "/**/.config/systemd", why_run_outside },
	{ "/**/.config/autostart", why_run_outside }, { "/**/.local/bin", why_run_outside },
	{ "/**/.vimrc", why_run_outside },       { "/**/.config/nvim", why_run_outside },
	{ "/**/.emacs*", why_run_outside },      { "/**/.tmux.conf", why_run_outside },
	{ "/usr", why_system },  { "/bin", why_system },  { "/sbin", why_system },
	{ "/lib*", why_system }, { "/etc", why_system },  { "/run", why_system }, { "/sys", why_system },
	{ "/var/spool", why_system }, { "/var/run", why_system }, { "/var/lib/dpkg", why_system },
};

/* These very directories; what lies beneath may be asked for. */
static const struct keep keep_whole[] = {
	{ "/", why_root },       { "/etc", why_root },   { "/home", why_root },  { "/home/*", why_root },
	{ "/root", why_root },   { "/var", why_root },   { "/var/*", why_root }, { "/run", why_root },
	{ "/run/user", why_root }, { "/run/user/*", why_root }, { "/mnt", why_root }, { "/media", why_root },
	{ "/srv", why_root },    { "/opt", why_root },   { "/tmp", why_root },   { "/usr", why_root },
};

/* Public although named like a key: certificates of authorities. */
static const char *const public_places[] = { "/etc/ssl/certs", "/etc/pki/tls/certs", "/usr" };

static const struct keep keep_exec[] = {
	{ "/**/sudo", why_set_id },    { "/**/su", why_set_id },       { "/**/calife", why_set_id },
	{ "/**/pkexec", why_set_id },  { "/**/mount", why_set_id },    { "/**/umount", why_set_id },
	{ "/**/fusermount*", why_set_id }, { "/**/newuidmap", why_set_id }, { "/**/newgidmap", why_set_id },
	{ "/**/crontab", why_set_id }, { "/**/at", why_set_id },       { "/**/passwd", why_set_id },
	{ "/**/systemctl", why_set_id }, { "/**/systemd-run", why_set_id },
};

static const struct keep keep_socket[] = {
	{ "/**/docker.sock", why_socket },     { "/**/podman.sock", why_socket },
	{ "/**/containerd*.sock", why_socket }, { "/**/crio.sock", why_socket },
	{ "/**/system_bus_socket", why_socket }, { "/run/user/*/bus", why_socket },
	{ "/run/systemd", why_socket },        { "/run/user/*/systemd", why_socket },
	{ "/**/S.gpg-agent*", why_key },       { "/**/agent.*", why_key },
	{ "/**/*ssh-agent*", why_key },        { "/**/.X11-unix", why_socket },
	{ "/run/user/*/wayland-*", why_socket }, { "/**/.s.PGSQL.*", why_key },
};

static const char *const secret_names[] = { "*_TOKEN", "*_KEY", "*SECRET*", "*PASSW*", "*CREDENTIAL*", "AWS_*",
	"AZURE_*", "GOOGLE_*", "*_PAT", "*_AUTH", "SSH_AUTH_SOCK", "KUBECONFIG", "*_DSN", "DATABASE_URL" };
/* clang-format on */

static const char *keep_why(const struct keep *table, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (path_covered_by_glob(table[i].glob, path))
			return table[i].why;
	return NULL;
}

static bool is_public(const char *path)
{
	for (size_t i = 0; i < array_size(public_places); i++)
		if (path_is_beneath(path, public_places[i]))
			return true;
	return false;
}

bool path_holds_keys(const char *path, bool itself)
{
	for (size_t i = 0; i < array_size(keep_read); i++) {
		const struct keep *keep = &keep_read[i];

		if (keep->why == why_key && (itself ? path_glob_match(keep->glob, path)
						    : path_covered_by_glob(keep->glob, path)))
			return !is_public(path);
	}
	return false;
}

static const char *keep_path_why(const char *path, bool write)
{
	const char *why;

	for (size_t i = 0; i < array_size(keep_whole); i++)
		if (path_glob_match(keep_whole[i].glob, path))
			return keep_whole[i].why;
	if (!write && is_public(path))
		return NULL;
	why = keep_why(keep_read, array_size(keep_read), path);
	if (!why && write)
		why = keep_why(keep_write, array_size(keep_write), path);
	return why;
}

/* The text as a YAML scalar that is safe inside "[ ]" and "{ }"; false where no line may hold it:
 * what a terminal cannot show as it is, a glob character, or something that would be read as a
 * variable. */
static bool scalar_write(struct text *t, const char *text)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+~";
	autotext struct text shown = {0};

	text_escape(&shown, text, strlen(text), PATH_MAX);
	if (shown.failed || strcmp(text_string(&shown), text) != 0 || strstr(text, "${") ||
		path_has_glob(text) || strchr(text, '"'))
		return false;
	if (text[0] != '-' && text[strspn(text, plain)] == '\0')
		text_puts(t, text);
	else
		text_printf(t, "\"%s\"", text);
	return true;
}

static void keep_write_hint(struct verdict *v, const char *why)
{
	v->keep_denied = true;
	snprintf(v->hint, sizeof(v->hint), "should stay denied: %s", why);
}

/* "fs.read: - /x", cut never: a line that does not fit is not given. */
static void line_write(
	struct verdict *v, const char *key, const char *before, const char *text, const char *after)
{
	autotext struct text line = {0};

	text_printf(&line, "%s: - %s", key, before);
	if (!scalar_write(&line, text))
		return;
	text_puts(&line, after);
	if (!line.failed && line.length < sizeof(v->hint))
		memcpy(v->hint, line.data, line.length + 1);
}

static void hint_path(const char *path, bool write, struct verdict *v)
{
	const char *why = keep_path_why(path, write);

	if (why)
		keep_write_hint(v, why);
	else
		line_write(v, write ? "fs.write" : "fs.read", "", path, "");
}

static void hint_exec(const char *object, struct verdict *v)
{
	const char *why;

	if (object[0] != '/') {
		snprintf(v->hint, sizeof(v->hint), "name the program by its path in exec.allow");
		return;
	}
	why = keep_why(keep_exec, array_size(keep_exec), object);
	if (why)
		keep_write_hint(v, why);
	else if (strncmp(v->rule, "fs.", 3) == 0)
		hint_path(object, false, v);
	else
		line_write(v, "exec.allow", "{path: ", object, "}");
}

static void hint_connect(const char *object, struct verdict *v)
{
	struct endpoint_words to;
	autotext struct text after = {0};
	const char *why;

	if (!endpoint_split(object, &to))
		return;
	if (to.is_unix) {
		why = keep_why(keep_socket, array_size(keep_socket), to.host);
		if (why)
			keep_write_hint(v, why);
		else if (strcmp(v->rule, "syscalls.families") == 0)
			line_write(v, v->rule, "", "unix", "");
		else
			line_write(v, "network.unix", "", to.host, "");
		return;
	}
	if (to.is_metadata || strcmp(to.host, "metadata.google.internal") == 0) {
		keep_write_hint(v, why_metadata);
		return;
	}
	if (strcmp(v->rule, "syscalls.families") == 0) {
		line_write(v, v->rule, "", strchr(to.host, ':') ? "inet6" : "inet", "");
		return;
	}
	text_printf(&after, ", ports: [%u]%s", to.port, to.is_udp ? ", proto: udp" : "");
	if (to.by) {
		text_puts(&after, ", by: [");
		if (!scalar_write(&after, to.by))
			return;
		text_puts(&after, "]");
	}
	text_puts(&after, "}");
	/* A range is written with its length; the address fits, it came from inet_ntop(3). */
	if (to.is_address) {
		size_t used = strlen(to.host);

		snprintf(to.host + used, sizeof(to.host) - used, "%s",
			strchr(to.host, ':') ? "/128" : "/32");
	}
	line_write(v, "network.allow", to.is_address ? "{cidr: " : "{host: ", to.host,
		text_string(&after));
}

static void hint_syscall(const char *name, struct verdict *v)
{
	const struct calls_entry *call = calls_find(name);

	if (!call)
		return;
	if (call->flags & CALLS_NEVER)
		keep_write_hint(v, "it would undo the rules about other calls");
	else if (call->group >= CALLS_MOUNT)
		keep_write_hint(v, "it reaches the kernel or the host, not only the run");
	else
		line_write(v, "syscalls.allow", "", name, "");
}

static void hint_env(const char *name, struct verdict *v)
{
	for (size_t i = 0; i < array_size(secret_names); i++)
		if (fnmatch(secret_names[i], name, FNM_NOESCAPE) == 0) {
			keep_write_hint(v, "it looks like a key or password");
			return;
		}
	if (env_is_risky(name))
		keep_write_hint(v, "programs load or trust what it names");
	else
		line_write(v, "env.pass", "", name, "");
}

/* No line helps where a deny or an ask decided: those win. Say whose they are, and never for what
 * should stay. */
static bool hint_standing(struct verdict *v)
{
	if (v->decision == DECISION_ASK) {
		snprintf(v->hint, sizeof(v->hint),
			"%s asks first; until approvals exist that is a deny", v->rule);
		return true;
	}
	if (!v->value || strcmp(v->rule, "env.default") == 0 ||
		strcmp(v->rule, "syscalls.base") == 0 || strcmp(v->rule, "exec.default") == 0)
		return false;
	if (v->at.line)
		snprintf(v->hint, sizeof(v->hint),
			"%s in line %u says so and wins over every allow", v->rule, v->at.line);
	else
		snprintf(v->hint, sizeof(v->hint), "%s says so and wins over every allow", v->rule);
	return true;
}

void hint_write(const struct profile *profile, enum operation operation, const char *object,
	struct verdict *v)
{
	bool standing = hint_standing(v);
	struct verdict fresh = *v;

	(void)profile;
	fresh.hint[0] = '\0';
	switch (operation) {
	case OPERATION_READ:
	case OPERATION_WRITE:
		hint_path(object, operation == OPERATION_WRITE, &fresh);
		break;
	case OPERATION_EXEC:
		hint_exec(object, &fresh);
		break;
	case OPERATION_CONNECT:
		hint_connect(object, &fresh);
		break;
	case OPERATION_SYSCALL:
		hint_syscall(object, &fresh);
		break;
	case OPERATION_ENV:
		hint_env(object, &fresh);
		break;
	case OPERATION_COUNT:
		break;
	}
	if (!standing || fresh.keep_denied)
		*v = fresh;
}
