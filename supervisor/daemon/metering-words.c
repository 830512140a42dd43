/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metering-words.h"

#include "meter/hooks.h"

#include <arpa/inet.h>
#include <string.h>

#define COMPONENTS_MAX 64

/* What is not here is called after its hook. */
static const char *const operations[METER_HOOK_COUNT] = {
	[METER_HOOK_bprm_creds_for_exec] = "exec",
	[METER_HOOK_bprm_check_security] = "exec",
	[METER_HOOK_bprm_execve] = "exec",
	[METER_HOOK_file_mprotect] = "exec",
	[METER_HOOK_mmap_file] = "exec",
	[METER_HOOK_kernel_clone] = "fork",
	[METER_HOOK_task_alloc] = "fork",
	[METER_HOOK_file_open] = "open",
	[METER_HOOK_file_permission] = "write",
	[METER_HOOK_file_truncate] = "write",
	[METER_HOOK_path_truncate] = "write",
	[METER_HOOK_path_mknod] = "write",
	[METER_HOOK_path_mkdir] = "write",
	[METER_HOOK_path_symlink] = "write",
	[METER_HOOK_path_link] = "write",
	[METER_HOOK_path_rename] = "write",
	[METER_HOOK_path_chmod] = "write",
	[METER_HOOK_path_chown] = "write",
	[METER_HOOK_inode_setattr] = "write",
	[METER_HOOK_inode_setxattr] = "write",
	[METER_HOOK_inode_removexattr] = "write",
	[METER_HOOK_path_unlink] = "delete",
	[METER_HOOK_path_rmdir] = "delete",
	[METER_HOOK_net_connect4] = "connect",
	[METER_HOOK_net_connect6] = "connect",
	[METER_HOOK_socket_connect] = "connect",
	[METER_HOOK_unix_stream_connect] = "connect",
	[METER_HOOK_net_sendmsg4] = "send",
	[METER_HOOK_net_sendmsg6] = "send",
	[METER_HOOK_net_egress] = "send",
	[METER_HOOK_unix_may_send] = "send",
	[METER_HOOK_socket_sendmsg] = "send",
	[METER_HOOK_net_bind4] = "listen",
	[METER_HOOK_net_bind6] = "listen",
	[METER_HOOK_net_sock_create] = "socket",
	[METER_HOOK_socket_create] = "socket",
	[METER_HOOK_sb_mount] = "mount",
	[METER_HOOK_sb_umount] = "mount",
	[METER_HOOK_move_mount] = "mount",
	[METER_HOOK_sb_pivotroot] = "mount",
};

const char *metering_operation(const struct meter_event *event)
{
	const char *word = event->hook < METER_HOOK_COUNT ? operations[event->hook] : NULL;

	return word ? word : "operation";
}

const char *metering_hook_name(const struct meter_event *event)
{
	return event->hook > METER_HOOK_NONE && event->hook < METER_HOOK_COUNT
		       ? hook_table[event->hook].name
		       : NULL;
}

static void put_path(const struct meter_event *event, const char *text, struct text *out)
{
	const char *components[COMPONENTS_MAX];
	size_t count = 0, bytes = event->text_bytes;

	for (size_t at = 0; at < bytes && count < COMPONENTS_MAX;) {
		size_t length = strnlen(text + at, bytes - at);

		if (length && strcmp(text + at, "/") != 0)
			components[count++] = text + at;
		at += length + 1;
		/* What did not fit was cut at its end: no NUL there. */
		if (at > bytes)
			break;
	}
	while (count-- > 0) {
		size_t left = bytes - (size_t)(components[count] - text);

		text_puts(out, "/");
		text_append(out, components[count], strnlen(components[count], left));
	}
}

static bool has_address(const struct meter_event *event)
{
	static const unsigned char none[16];

	return event->port || memcmp(event->address, none, sizeof(none)) != 0;
}

static void put_address(const struct meter_event *event, struct text *out)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool is_4 = memcmp(event->address, mapped, sizeof(mapped)) == 0;
	char words[INET6_ADDRSTRLEN] = "";

	inet_ntop(
		is_4 ? AF_INET : AF_INET6, event->address + (is_4 ? 12 : 0), words, sizeof(words));
	text_printf(out, is_4 ? "%s:%u" : "[%s]:%u", words, event->port);
}

void metering_target(const struct meter_event *event, const char *text, struct text *out)
{
	if (event->text_bytes)
		put_path(event, text, out);
	if (out->length == 0 && has_address(event))
		put_address(event, out);
	if (out->length == 0 && metering_hook_name(event))
		text_puts(out, metering_hook_name(event));
}
