/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sign-files.h"

#include "base/io.h"
#include "base/path.h"
#include "policy/document.h"
#include "policy/trust.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define PUBLIC_SUFFIX ".pub"
#define SECRET_WORDS 300 /* two lines of a secret key */

/* minisign(1): the secret half as its file has it, without a password. */
#define SECRET_HEAD_BYTES 54 /* algorithm, no kdf, checksum's name, salt, two limits */
#define SECRET_CHECKSUM_BYTES 32
#define SECRET_FORM_BYTES                                                                          \
	(SECRET_HEAD_BYTES + MINISIGN_KEY_ID_BYTES + MINISIGN_SECRET_BYTES + SECRET_CHECKSUM_BYTES)

static int open_regular(const char *path, int flags, struct stat *ret_st, struct error *err)
{
	int fd = open(path, OPEN_FLAGS | flags), r;

	if (fd >= 0 && fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode))
		return fd;
	if (fd >= 0) {
		close(fd);
		return error_set(err, -EINVAL, ERROR_INPUT, "%s is not a regular file", path);
	}
	r = error_errno(err, "%s", path);
	if (err)
		err->kind = ERROR_INPUT;
	return r;
}

int sign_read(const char *path, char **ret_text, size_t *ret_length, struct error *err)
{
	struct stat st;
	autoclose int fd = open_regular(path, 0, &st, err);

	return fd < 0 ? fd : io_read_fd(fd, path, DOCUMENT_BYTES_MAX, ret_text, ret_length, err);
}

/* ---- the secret half ---- */

static int check_private(const char *path, const struct stat *st, struct error *err)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return error_set(err, -EPERM, ERROR_INPUT, "%s belongs to another user", path);
	if (st->st_mode & (S_IRWXG | S_IRWXO))
		return error_set(err, -EPERM, ERROR_INPUT,
			"%s can be used by others (chmod 600), so its signatures mean little",
			path);
	return st->st_size > (off_t)MINISIGN_FILE_BYTES_MAX
		       ? error_set(err, -EBADMSG, ERROR_INPUT, "%s is no secret key", path)
		       : 0;
}

static int read_secret(int fd, const char *path, struct minisign_secret *secret, struct error *err)
{
	char *text = sodium_malloc(MINISIGN_FILE_BYTES_MAX);
	size_t length = 0;
	ssize_t n = 1;
	int r;

	if (!text)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a key");
	while (n > 0 && length < MINISIGN_FILE_BYTES_MAX) {
		n = read(fd, text + length, MINISIGN_FILE_BYTES_MAX - length);
		length += n > 0 ? (size_t)n : 0;
	}
	r = n < 0 ? error_errno(err, "read %s", path)
		  : minisign_read_secret(text, length, secret, err);
	sodium_free(text);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

int sign_read_secret(const char *path, struct minisign_secret **ret_secret, struct error *err)
{
	struct stat st = {0};
	autoclose int fd = open_regular(path, O_NOFOLLOW, &st, err);
	struct minisign_secret *secret;
	int r;

	if (fd < 0)
		return fd;
	r = check_private(path, &st, err);
	if (r < 0)
		return r;
	prctl(PR_SET_DUMPABLE, 0);
	secret = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*secret));
	if (!secret)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no locked memory for a key");
	r = read_secret(fd, path, secret, err);
	if (r < 0) {
		sodium_free(secret);
		return r;
	}
	*ret_secret = secret;
	return 0;
}

static int write_new(
	const char *path, mode_t mode, const char *text, size_t length, struct error *err)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int r;

	if (fd < 0 && errno == EEXIST)
		return error_set(err, -EEXIST, ERROR_INPUT, "%s is there already", path);
	if (fd < 0)
		return error_errno(err, "%s", path);
	r = io_write_all(fd, text, length);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "write %s: %s", path, strerror(-r)) : 0;
}

/* All of a new key that is secret, in one piece of locked memory. */
struct drawn {
	uint8_t form[SECRET_FORM_BYTES];
	char text[SECRET_WORDS];
};

static int draw(const char *path, struct drawn *d, struct minisign_key *key, struct error *err)
{
	uint8_t *id = d->form + SECRET_HEAD_BYTES;
	size_t at;

	memset(d, 0, sizeof(*d));
	memcpy(d->form, "Ed\0\0B2", 6);
	randombytes_buf(id, MINISIGN_KEY_ID_BYTES);
	memcpy(key->id, id, MINISIGN_KEY_ID_BYTES);
	crypto_sign_keypair(key->public_key, id + MINISIGN_KEY_ID_BYTES);
	at = (size_t)snprintf(d->text, sizeof(d->text),
		"untrusted comment: secret key for profiles of berm, without a password\n");
	sodium_bin2base64(d->text + at, sizeof(d->text) - at - 1, d->form, sizeof(d->form),
		sodium_base64_VARIANT_ORIGINAL);
	at = strlen(d->text);
	d->text[at] = '\n';
	return write_new(path, 0600, d->text, at + 1, err);
}

int sign_new_key(const char *path, struct minisign_key *ret_key, struct error *err)
{
	struct drawn *drawn = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*drawn));
	autotext struct text public = {0}, file = {0};
	char id[MINISIGN_ID_HEX];
	int r;

	if (!drawn)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no locked memory for a key");
	prctl(PR_SET_DUMPABLE, 0);
	text_printf(&file, "%s" PUBLIC_SUFFIX, path);
	r = access(text_string(&file), F_OK) == 0
		    ? error_set(
			      err, -EEXIST, ERROR_INPUT, "%s is there already", text_string(&file))
		    : draw(path, drawn, ret_key, err);
	sodium_free(drawn);
	if (r < 0)
		return r;
	minisign_key_id(ret_key->id, id);
	text_printf(&public, "untrusted comment: public key %s for profiles of berm\n", id);
	minisign_put_public(&public, ret_key);
	text_puts(&public, "\n");
	return write_new(text_string(&file), 0644, text_string(&public), public.length, err);
}

/* ---- signatures ---- */

static void put_base64(struct text *out, const uint8_t *bytes, size_t length)
{
	char words[256];

	text_puts(out, sodium_bin2base64(words, sizeof(words), bytes, length,
			       sodium_base64_VARIANT_ORIGINAL));
	text_puts(out, "\n");
}

int sign_make(const struct minisign_secret *secret, const void *data, size_t length,
	const char *comment, struct text *out, struct error *err)
{
	uint8_t hash[64], form[2 + MINISIGN_KEY_ID_BYTES + MINISIGN_SIGNATURE_BYTES] = {'E', 'D'};
	autotext struct text second = {0};
	uint8_t of_comment[MINISIGN_SIGNATURE_BYTES], *signature = form + 2 + MINISIGN_KEY_ID_BYTES;
	struct minisign_signature made;
	struct minisign_key key;
	int r;

	if (strlen(comment) >= MINISIGN_COMMENT_BYTES)
		return error_set(err, -E2BIG, ERROR_INPUT, "the comment is too long");
	memcpy(form + 2, secret->id, MINISIGN_KEY_ID_BYTES);
	crypto_generichash(hash, sizeof(hash), data, length, NULL, 0);
	crypto_sign_detached(signature, NULL, hash, sizeof(hash), secret->secret_key);
	text_append(&second, (const char *)signature, MINISIGN_SIGNATURE_BYTES);
	text_puts(&second, comment);
	crypto_sign_detached(of_comment, NULL, (const uint8_t *)text_string(&second), second.length,
		secret->secret_key);
	text_puts(out, "untrusted comment: signature of a profile of berm\n");
	put_base64(out, form, sizeof(form));
	text_printf(out, "trusted comment: %s\n", comment);
	put_base64(out, of_comment, sizeof(of_comment));
	/* As whoever reads it will. */
	memcpy(key.id, secret->id, sizeof(key.id));
	crypto_sign_ed25519_sk_to_pk(key.public_key, secret->secret_key);
	r = minisign_read_signature(text_string(out), out->length, &made, err);
	if (r == 0)
		r = minisign_check(&made, &key, data, length, err);
	return r < 0 ? error_wrap(err, "the key does not make good signatures") : 0;
}

int sign_write(const char *path, const struct text *text, struct error *err)
{
	autofree char *temporary = NULL;
	int r;

	if (asprintf(&temporary, "%s.%d", path, (int)getpid()) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory");
	r = write_new(temporary, 0644, text_string(text), text->length, err);
	if (r < 0)
		return r;
	if (rename(temporary, path) < 0) {
		r = error_errno(err, "%s", path);
		unlink(temporary);
	}
	return r;
}

/* ---- whom to believe ---- */

static bool is_public(const char *name)
{
	size_t n = strlen(name), suffix = strlen(PUBLIC_SUFFIX);

	return name[0] != '.' && n > suffix && strcmp(name + n - suffix, PUBLIC_SUFFIX) == 0;
}

static int add_key(const char *directory, const char *name, uid_t uid, struct minisign_key *ret_key,
	struct error *err)
{
	autofree char *path = path_join(directory, name);
	struct source_file *file = NULL;
	struct arena arena = {0};
	bool linked;
	int r = path ? trust_read(&arena, path, uid, &file, &linked, err)
		     : error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory");

	if (r == 0 && file && minisign_read_public(file->data, file->length, ret_key, err) < 0)
		r = error_wrap(err, "%s", path);
	arena_finish(&arena);
	return r;
}

int sign_trusted_keys(const char *directory, uid_t uid, struct minisign_key **ret_keys,
	size_t *ret_count, struct error *err)
{
	struct dirent **names = NULL;
	int count = scandir(directory, &names, NULL, alphasort), r = 0;
	struct minisign_key *keys = calloc(SIGN_KEYS_MAX, sizeof(*keys));
	size_t used = 0;

	if (count < 0) {
		r = error_errno(err, "%s", directory);
		if (err)
			err->kind = ERROR_INPUT;
	} else if (!keys) {
		r = error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory");
	}
	for (int i = 0; i < count; i++) {
		if (r == 0 && is_public(names[i]->d_name) && used == SIGN_KEYS_MAX)
			r = error_set(err, -E2BIG, ERROR_INPUT, "more than %d keys in %s",
				SIGN_KEYS_MAX, directory);
		else if (r == 0 && is_public(names[i]->d_name))
			r = add_key(directory, names[i]->d_name, uid, &keys[used++], err);
		free(names[i]);
	}
	free(names);
	if (r < 0) {
		free(keys);
		return r;
	}
	*ret_keys = keys;
	*ret_count = used;
	return 0;
}

char *sign_profile_name(const char *path, const char *data, size_t length)
{
	const struct source_file file = {
		.name = path, .real = path, .data = data, .length = length};
	autotext struct text ignored = {0};
	struct diagnostics d = {.out = &ignored, .files = &file};
	struct arena arena = {0};
	struct node *root = NULL;
	const struct node *name = NULL;
	char *copy;

	if (document_parse(&arena, &d, &file, &root) == 0 && root && root->kind == NODE_MAPPING)
		name = node_get(root, "name");
	copy = name && name->kind == NODE_SCALAR ? strdup(name->text) : NULL;
	arena_finish(&arena);
	return copy;
}
