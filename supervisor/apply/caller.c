/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/caller.h"

#include "base/io.h"
#include "base/number.h"
#include "base/path.h"

#include <fcntl.h>
#include <string.h>

#define PASSWD_LIMIT_BYTES ((size_t)1 << 20)
#define LOGIN_FILE "/proc/self/loginuid" /* proc(5); 4294967295: nobody logged in */
#define LOGIN_LIMIT_BYTES 32
/* (uid_t)-1 means "no change" to the kernel and is nobody. */
#define ID_LIMIT UINT32_MAX

enum passwd_field {
	PASSWD_NAME,
	PASSWD_WORD,
	PASSWD_UID,
	PASSWD_GID,
	PASSWD_GECOS,
	PASSWD_HOME,
	PASSWD_FIELDS
};

struct field {
	const char *text;
	size_t length;
};

static bool split(const char *line, size_t length, struct field fields[PASSWD_FIELDS])
{
	const char *end = line + length;

	for (int i = 0; i < PASSWD_FIELDS; i++) {
		const char *colon = memchr(line, ':', (size_t)(end - line));

		if (!colon)
			return false;
		fields[i] = (struct field){line, (size_t)(colon - line)};
		line = colon + 1;
	}
	return true;
}

static bool parse_id(struct field field, uint32_t *ret_id)
{
	char digits[16];
	uint64_t value;

	if (field.length >= sizeof(digits))
		return false;
	memcpy(digits, field.text, field.length);
	digits[field.length] = '\0';
	if (!number_parse_u64(digits, &value) || value >= ID_LIMIT)
		return false;
	*ret_id = (uint32_t)value;
	return true;
}

static bool name_is_plain(struct field name)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (name.length == 0 || name.length > CALLER_NAME_MAX || name.text[0] == '-')
		return false;
	for (size_t i = 0; i < name.length; i++)
		if (!memchr(plain, name.text[i], sizeof(plain) - 1))
			return false;
	return true;
}

void caller_read_passwd(const char *passwd, struct caller *caller, int take_gid)
{
	struct field fields[PASSWD_FIELDS];
	size_t length;

	for (const char *line = passwd; *line; line += length + (line[length] == '\n')) {
		uint32_t uid, gid;

		length = strcspn(line, "\n");
		if (!split(line, length, fields) || !parse_id(fields[PASSWD_UID], &uid) ||
			uid != caller->uid)
			continue;
		if (name_is_plain(fields[PASSWD_NAME])) {
			memcpy(caller->name, fields[PASSWD_NAME].text, fields[PASSWD_NAME].length);
			caller->name[fields[PASSWD_NAME].length] = '\0';
		}
		if (fields[PASSWD_HOME].length < sizeof(caller->home)) {
			memcpy(caller->home, fields[PASSWD_HOME].text, fields[PASSWD_HOME].length);
			caller->home[fields[PASSWD_HOME].length] = '\0';
			if (!path_is_normal(caller->home))
				caller->home[0] = '\0';
		}
		if (take_gid && parse_id(fields[PASSWD_GID], &gid))
			caller->gid = gid;
		return;
	}
}

static bool words_id(const char *words, uint32_t *ret_id)
{
	return words && parse_id((struct field){words, strlen(words)}, ret_id) && *ret_id != 0;
}

/* The uid of a name; CALLER_NOBODY where nobody has it. */
static uint32_t uid_of(const char *passwd, const char *name)
{
	struct field fields[PASSWD_FIELDS];
	size_t length;

	for (const char *line = passwd; *line; line += length + (line[length] == '\n')) {
		uint32_t uid;

		length = strcspn(line, "\n");
		if (split(line, length, fields) && fields[PASSWD_NAME].length == strlen(name) &&
			memcmp(fields[PASSWD_NAME].text, name, strlen(name)) == 0 &&
			parse_id(fields[PASSWD_UID], &uid))
			return uid;
	}
	return CALLER_NOBODY;
}

/* 0: root itself. What two doors say differently somebody made up. */
static uint32_t behind_root(const struct caller_doors *doors)
{
	uint32_t found = 0, uid = 0;

	if (words_id(doors->sudo_uid, &uid))
		found = uid;
	if (words_id(doors->pkexec_uid, &uid))
		found = found && found != uid ? CALLER_NOBODY : uid;
	if (doors->doas_user && doors->doas_user[0]) {
		uid = uid_of(doors->passwd, doors->doas_user);
		if (uid != 0)
			found = found && found != uid ? CALLER_NOBODY : uid;
	}
	if (!found && words_id(doors->login_uid, &uid))
		found = uid;
	return found;
}

void caller_judge(const struct caller_doors *doors, struct caller *ret_caller)
{
	struct caller caller = {.uid = doors->uid, .gid = doors->gid};
	uint32_t uid = doors->uid == 0 && doors->effective_uid == 0 ? behind_root(doors) : 0, gid;
	int take_gid = 0;

	if (uid != 0) {
		bool by_sudo = words_id(doors->sudo_uid, &gid) && gid == uid;

		caller.uid = uid;
		take_gid = !by_sudo || !words_id(doors->sudo_gid, &gid);
		/* Until passwd says otherwise the group is the one named after the uid, never
		 * root's. */
		caller.gid = take_gid ? uid : gid;
	}
	caller_read_passwd(doors->passwd, &caller, take_gid);
	*ret_caller = caller;
}

static struct {
	bool set;
	uid_t uid;
	gid_t gid;
	char login_uid[16];
} assumed;

void caller_assume(uid_t uid, gid_t gid, uid_t login_uid)
{
	assumed.set = true;
	assumed.uid = uid;
	assumed.gid = gid;
	snprintf(assumed.login_uid, sizeof(assumed.login_uid), "%u", (unsigned)login_uid);
}

void caller_identify(struct caller *ret_caller)
{
	autofree char *passwd = NULL, *login = NULL;
	struct caller_doors doors = {
		.uid = getuid(),
		.effective_uid = geteuid(),
		.gid = getgid(),
		.sudo_uid = getenv("SUDO_UID"),
		.sudo_gid = getenv("SUDO_GID"),
		.doas_user = getenv("DOAS_USER"),
		.pkexec_uid = getenv("PKEXEC_UID"),
	};

	(void)!io_read_file(AT_FDCWD, "/etc/passwd", PASSWD_LIMIT_BYTES, &passwd, NULL, NULL);
	if (assumed.set)
		doors = (struct caller_doors){.uid = assumed.uid,
			.effective_uid = geteuid(),
			.gid = assumed.gid,
			.login_uid = assumed.login_uid};
	else if (io_read_file(AT_FDCWD, LOGIN_FILE, LOGIN_LIMIT_BYTES, &login, NULL, NULL) == 0) {
		login[strcspn(login, "\n")] = '\0';
		doors.login_uid = login;
	}
	doors.passwd = passwd ? passwd : "";
	caller_judge(&doors, ret_caller);
}
