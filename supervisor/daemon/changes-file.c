/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/io.h"

#include <sodium.h>
#include <string.h>

/* A word that says what the file is, the digest of the message, the message. */
#define MAGIC_BYTES 8
#define DIGEST_BYTES 32
#define HEADER_BYTES (MAGIC_BYTES + DIGEST_BYTES)
#define FILE_BYTES_MAX (256U << 20)
#define TEMPORARY ".new"

static const unsigned char magic[MAGIC_BYTES] = {'b', 'e', 'r', 'm', 'c', 'h', 'g', '1'};

static void digest_of(const char *name, const unsigned char *data, size_t length,
	unsigned char digest[DIGEST_BYTES])
{
	crypto_generichash_state state;

	/* The name is part of it: one file is never taken for the other. */
	crypto_generichash_init(&state, NULL, 0, DIGEST_BYTES);
	crypto_generichash_update(&state, (const unsigned char *)name, strlen(name) + 1);
	crypto_generichash_update(&state, data, length);
	crypto_generichash_final(&state, digest, DIGEST_BYTES);
}

int changes_file_write(const struct changes_disk *d, int dir, const char *name, const char *what,
	const ProtobufCMessage *message, struct error *err)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	autofree unsigned char *data = malloc(HEADER_BYTES + length);
	char temporary[64];
	autoclose int fd = -1;
	int r;

	if (!data)
		return error_errno(err, "pack %s", name);
	memcpy(data, magic, MAGIC_BYTES);
	protobuf_c_message_pack(message, data + HEADER_BYTES);
	digest_of(what, data + HEADER_BYTES, length, data + MAGIC_BYTES);
	snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, name);
	r = disk_unlink(d, dir, temporary, 0);
	if (r < 0 && r != -ENOENT)
		return error_set(
			err, r, ERROR_INTERNAL, "remove an old %s: %s", temporary, strerror(-r));
	fd = disk_create(d, dir, temporary, 0600);
	r = fd < 0 ? fd : disk_write(d, fd, data, HEADER_BYTES + length);
	if (r == 0)
		r = disk_sync(d, fd);
	if (r == 0)
		r = disk_rename(d, dir, temporary, dir, name, 0);
	if (r == 0)
		r = disk_sync(d, dir);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "write the change set's %s: %s", name,
			strerror(-r));
	return 0;
}

static int broken(const char *name, const char *why, struct error *err)
{
	return error_set(
		err, -EBADMSG, ERROR_INTERNAL, "the change set's %s is damaged: %s", name, why);
}

int changes_file_read(int dir, const char *name, const ProtobufCMessageDescriptor *descriptor,
	ProtobufCMessage **ret, struct error *err)
{
	autofree char *data = NULL;
	unsigned char digest[DIGEST_BYTES];
	autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	size_t length = 0;
	int r;

	*ret = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, "open the change set's %s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return broken(name, "it is no file", err);
	if (st.st_uid != geteuid() || st.st_mode & 077)
		return broken(name, "it belongs to somebody else, or is open to others", err);
	r = io_read_fd(fd, name, FILE_BYTES_MAX, &data, &length, err);
	if (r < 0)
		return r;
	if (length < HEADER_BYTES || memcmp(data, magic, MAGIC_BYTES) != 0)
		return broken(name, "it does not begin as it should", err);
	digest_of(name, (unsigned char *)data + HEADER_BYTES, length - HEADER_BYTES, digest);
	if (sodium_memcmp(digest, data + MAGIC_BYTES, DIGEST_BYTES) != 0)
		return broken(name, "its checksum is another one", err);
	*ret = protobuf_c_message_unpack(
		descriptor, NULL, length - HEADER_BYTES, (const uint8_t *)data + HEADER_BYTES);
	return *ret ? 0 : broken(name, "it is no such message", err);
}

void *changes_message_free(void *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
	return NULL;
}

/* The NUL is part of the bytes: a path can be used where it lies. */
int changes_bytes(ProtobufCBinaryData *ret, const char *string)
{
	size_t length = strlen(string) + 1;

	ret->data = malloc(length);
	if (!ret->data)
		return -ENOMEM;
	memcpy(ret->data, string, length);
	ret->len = length;
	return 0;
}

const char *changes_path(const ProtobufCBinaryData *bytes)
{
	return bytes->len && bytes->data[bytes->len - 1] == '\0' ? (const char *)bytes->data : "";
}
