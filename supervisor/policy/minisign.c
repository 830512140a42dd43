/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/minisign.h"

#include "base/number.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define HASH_BYTES 64
#define COMMENT_PREFIX "untrusted comment: "
#define TRUSTED_PREFIX "trusted comment: "

static_assert(MINISIGN_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
static_assert(MINISIGN_SECRET_BYTES == crypto_sign_SECRETKEYBYTES, "Ed25519");
static_assert(MINISIGN_SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");

/* The files, decoded. Bytes only, so that there are no holes. */
struct public_form {
	uint8_t algorithm[2]; /* "Ed" */
	uint8_t id[MINISIGN_KEY_ID_BYTES];
	uint8_t key[MINISIGN_PUBLIC_BYTES];
};

struct secret_form {
	uint8_t algorithm[2]; /* "Ed" */
	uint8_t kdf[2];       /* two zeros, or "Sc" where there is a password */
	uint8_t checksum_algorithm[2];
	uint8_t salt[32];
	uint8_t opslimit[8], memlimit[8];
	uint8_t id[MINISIGN_KEY_ID_BYTES];
	uint8_t key[MINISIGN_SECRET_BYTES];
	uint8_t checksum[32]; /* zeros without a password */
};

struct signature_form {
	uint8_t algorithm[2]; /* "ED"; "Ed" is the legacy one */
	uint8_t id[MINISIGN_KEY_ID_BYTES];
	uint8_t signature[MINISIGN_SIGNATURE_BYTES];
};

struct words {
	const char *text;
	size_t length;
};

/* The next line without its end; a carriage return before it, as some editors put it there, is no
 * part of it. */
static bool next_line(struct words *rest, struct words *ret_line)
{
	const char *end = rest->length ? memchr(rest->text, '\n', rest->length) : NULL;
	size_t length = end ? (size_t)(end - rest->text) : rest->length;

	if (rest->length == 0)
		return false;
	*ret_line = (struct words){rest->text, length};
	rest->text += length + (end != NULL);
	rest->length -= length + (end != NULL);
	if (length > 0 && ret_line->text[length - 1] == '\r')
		ret_line->length--;
	return true;
}

static bool begins_with(const struct words *line, const char *prefix)
{
	size_t length = strlen(prefix);

	return line->length >= length && memcmp(line->text, prefix, length) == 0;
}

/* libsodium's decoder takes bytes over 127 for letters where char has a sign. */
static bool is_base64(const struct words *line)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

	for (size_t i = 0; i < line->length; i++)
		if (!memchr(letters, line->text[i], sizeof(letters) - 1))
			return false;
	return true;
}

/* Exactly so many bytes in base64. */
static bool decode(const struct words *line, void *ret_bytes, size_t size)
{
	size_t want = sodium_base64_ENCODED_LEN(size, sodium_base64_VARIANT_ORIGINAL) - 1;
	const char *end = NULL;
	size_t length = 0;

	return line->length == want && is_base64(line) &&
	       sodium_base642bin(ret_bytes, size, line->text, line->length, NULL, &length, &end,
		       sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       length == size && end == line->text + line->length;
}

static int not_a(struct error *err, const char *what)
{
	return error_set(err, -EBADMSG, ERROR_INPUT, "not %s of minisign", what);
}

int minisign_read_public(
	const char *text, size_t length, struct minisign_key *ret_key, struct error *err)
{
	struct words rest = {text, length}, line, more;
	struct public_form form;

	if (length > MINISIGN_FILE_BYTES_MAX || !next_line(&rest, &line))
		return not_a(err, "a public key");
	if (begins_with(&line, COMMENT_PREFIX) && !next_line(&rest, &line))
		return not_a(err, "a public key");
	if (next_line(&rest, &more) || !decode(&line, &form, sizeof(form)) ||
		memcmp(form.algorithm, "Ed", 2) != 0)
		return not_a(err, "a public key");
	memcpy(ret_key->id, form.id, sizeof(form.id));
	memcpy(ret_key->public_key, form.key, sizeof(form.key));
	return 0;
}

static int take_secret(
	const struct secret_form *form, struct minisign_secret *secret, struct error *err)
{
	static const uint8_t nothing[2];

	if (memcmp(form->algorithm, "Ed", 2) != 0 || memcmp(form->checksum_algorithm, "B2", 2) != 0)
		return not_a(err, "a secret key");
	if (memcmp(form->kdf, "Sc", 2) == 0)
		return error_set(err, -EKEYREJECTED, ERROR_INPUT,
			"the key has a password, and berm asks for none");
	if (memcmp(form->kdf, nothing, 2) != 0)
		return not_a(err, "a secret key");
	memcpy(secret->id, form->id, sizeof(form->id));
	memcpy(secret->secret_key, form->key, sizeof(form->key));
	return 0;
}

int minisign_read_secret(
	const char *text, size_t length, struct minisign_secret *ret_secret, struct error *err)
{
	struct words rest = {text, length}, line, more;
	struct secret_form form;
	int r;

	if (length > MINISIGN_FILE_BYTES_MAX || !next_line(&rest, &line) ||
		!begins_with(&line, COMMENT_PREFIX) || !next_line(&rest, &line) ||
		next_line(&rest, &more) || !decode(&line, &form, sizeof(form)))
		r = not_a(err, "a secret key");
	else
		r = take_secret(&form, ret_secret, err);
	sodium_memzero(&form, sizeof(form));
	return r;
}

/* A comment is shown and compared: no controls but the tabs that minisign itself writes, and no
 * more of it than is kept. */
static bool take_comment(const struct words *line, char comment[MINISIGN_COMMENT_BYTES])
{
	size_t prefix = strlen(TRUSTED_PREFIX), length;

	if (!begins_with(line, TRUSTED_PREFIX))
		return false;
	length = line->length - prefix;
	if (length >= MINISIGN_COMMENT_BYTES)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line->text[prefix + i] < ' ' && line->text[prefix + i] != '\t')
			return false;
	memcpy(comment, line->text + prefix, length);
	comment[length] = '\0';
	return true;
}

int minisign_read_signature(
	const char *text, size_t length, struct minisign_signature *ret, struct error *err)
{
	struct words rest = {text, length}, line[4], more;
	struct signature_form form;

	if (length > MINISIGN_FILE_BYTES_MAX)
		return not_a(err, "a signature");
	for (size_t i = 0; i < array_size(line); i++)
		if (!next_line(&rest, &line[i]))
			return not_a(err, "a signature");
	if (next_line(&rest, &more) || !begins_with(&line[0], COMMENT_PREFIX) ||
		!decode(&line[1], &form, sizeof(form)) || !take_comment(&line[2], ret->comment) ||
		!decode(&line[3], ret->of_comment, sizeof(ret->of_comment)))
		return not_a(err, "a signature");
	if (memcmp(form.algorithm, "Ed", 2) == 0)
		return error_set(err, -EBADMSG, ERROR_INPUT,
			"the signature is of minisign's legacy form; sign without -l");
	if (memcmp(form.algorithm, "ED", 2) != 0)
		return not_a(err, "a signature");
	memcpy(ret->id, form.id, sizeof(form.id));
	memcpy(ret->of_file, form.signature, sizeof(form.signature));
	return 0;
}

int minisign_check(const struct minisign_signature *signature, const struct minisign_key *key,
	const void *data, size_t length, struct error *err)
{
	uint8_t hash[HASH_BYTES], second[MINISIGN_SIGNATURE_BYTES + MINISIGN_COMMENT_BYTES];
	size_t comment = strnlen(signature->comment, MINISIGN_COMMENT_BYTES - 1);

	if (memcmp(signature->id, key->id, sizeof(key->id)) != 0)
		return error_set(err, -ENOKEY, ERROR_INPUT, "it was made with another key");
	crypto_generichash(hash, sizeof(hash), data, length, NULL, 0);
	if (crypto_sign_verify_detached(signature->of_file, hash, sizeof(hash), key->public_key) !=
		0)
		return error_set(err, -EBADMSG, ERROR_INPUT,
			"the signature does not fit: the file is not what was signed");
	memcpy(second, signature->of_file, sizeof(signature->of_file));
	memcpy(second + sizeof(signature->of_file), signature->comment, comment);
	if (crypto_sign_verify_detached(signature->of_comment, second,
		    sizeof(signature->of_file) + comment, key->public_key) != 0)
		return error_set(
			err, -EBADMSG, ERROR_INPUT, "the trusted comment is not what was signed");
	return 0;
}

void minisign_key_id(const uint8_t id[MINISIGN_KEY_ID_BYTES], char ret_hex[MINISIGN_ID_HEX])
{
	for (unsigned i = 0; i < MINISIGN_KEY_ID_BYTES; i++)
		snprintf(ret_hex + 2 * i, 3, "%02X", id[MINISIGN_KEY_ID_BYTES - 1 - i]);
}

void minisign_put_public(struct text *out, const struct minisign_key *key)
{
	char words[sodium_base64_ENCODED_LEN(
		sizeof(struct public_form), sodium_base64_VARIANT_ORIGINAL)];
	struct public_form form = {.algorithm = {'E', 'd'}};

	memcpy(form.id, key->id, sizeof(form.id));
	memcpy(form.key, key->public_key, sizeof(form.key));
	text_puts(out, sodium_bin2base64(words, sizeof(words), (const uint8_t *)&form, sizeof(form),
			       sodium_base64_VARIANT_ORIGINAL));
}

/* ---- the trusted comment ---- */

static bool take_name(const char *value, struct minisign_claim *claim)
{
	size_t length = strlen(value);

	if (length == 0 || length >= sizeof(claim->profile) ||
		strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
		return false;
	memcpy(claim->profile, value, length + 1);
	return true;
}

static bool take_version(const char *value, struct minisign_claim *claim)
{
	return number_parse_u64(value, &claim->version) && claim->version > 0;
}

static bool take_counter(const char *value, struct minisign_claim *claim)
{
	return number_parse_u64(value, &claim->counter) && claim->counter > 0;
}

static bool take_time(const char *value, struct minisign_claim *claim)
{
	static const char form[] = "0000-00-00T00:00:00Z";

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == '0' ? value[i] < '0' || value[i] > '9' : value[i] != form[i])
			return false;
	memcpy(claim->time, value, sizeof(form));
	return true;
}

static const struct {
	const char *name;
	bool (*take)(const char *value, struct minisign_claim *claim);
} fields[] = {
	{"profile=", take_name},
	{"version=", take_version},
	{"time=", take_time},
	{"counter=", take_counter},
};

int minisign_read_claim(const char *comment, struct minisign_claim *ret_claim, struct error *err)
{
	unsigned seen = 0;

	*ret_claim = (struct minisign_claim){.rest = comment};
	for (;;) {
		size_t length = strcspn(ret_claim->rest, " "), i = 0;
		char value[80];

		while (i < array_size(fields) &&
			strncmp(ret_claim->rest, fields[i].name, strlen(fields[i].name)) != 0)
			i++;
		if (i == array_size(fields))
			return 0;
		snprintf(value, sizeof(value), "%.*s", (int)(length < 1000 ? length : 1000),
			ret_claim->rest);
		/* Said twice, it says nothing. */
		if (length >= sizeof(value) || (seen & 1U << i) ||
			!fields[i].take(value + strlen(fields[i].name), ret_claim))
			return error_set(err, -EBADMSG, ERROR_INPUT,
				"the trusted comment has %s twice or with a value that it cannot "
				"have",
				fields[i].name);
		seen |= 1U << i;
		ret_claim->rest += length + (ret_claim->rest[length] == ' ');
	}
}

int minisign_judge(const struct minisign_case *question, struct minisign_verdict *ret_verdict,
	struct error *err)
{
	struct minisign_signature *signature = &ret_verdict->signature;
	char id[MINISIGN_ID_HEX];
	int r = minisign_read_signature(
		question->signature, question->signature_length, signature, err);
	bool known = false;

	if (r < 0)
		return r;
	/* Numbers of keys are chosen by who makes them: two can be the same. */
	for (size_t i = 0; i < question->key_count; i++) {
		r = minisign_check(signature, &question->keys[i], question->data, question->length,
			known ? NULL : err);
		ret_verdict->key = i;
		if (r == 0)
			break;
		known |= r != -ENOKEY;
	}
	if (question->key_count == 0 || (r < 0 && !known)) {
		minisign_key_id(signature->id, id);
		return error_set(err, -ENOKEY, ERROR_INPUT,
			"signed with key %s, which is not among the %zu that are trusted", id,
			question->key_count);
	}
	if (r < 0)
		return -EBADMSG;
	r = minisign_read_claim(signature->comment, &ret_verdict->claim, err);
	if (r < 0 || !question->name || ret_verdict->claim.profile[0] == '\0' ||
		strcmp(ret_verdict->claim.profile, question->name) == 0)
		return r;
	return error_set(err, -EBADMSG, ERROR_INPUT, "signed as profile %s, and it is %s",
		ret_verdict->claim.profile, question->name);
}
