/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/probe-bpf.h"

#include "base/io.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#define BTF_LIMIT_BYTES ((size_t)64 << 20)
#define PROBE_HOOK "bpf_lsm_file_open"

/* What follows a struct btf_type, by kind: fixed bytes and bytes for each of its vlen members. */
static const struct {
	uint8_t fixed, each;
} after[NR_BTF_KINDS] = {
	[BTF_KIND_INT] = {sizeof(uint32_t), 0},
	[BTF_KIND_ARRAY] = {sizeof(struct btf_array), 0},
	[BTF_KIND_STRUCT] = {0, sizeof(struct btf_member)},
	[BTF_KIND_UNION] = {0, sizeof(struct btf_member)},
	[BTF_KIND_ENUM] = {0, sizeof(struct btf_enum)},
	[BTF_KIND_FUNC_PROTO] = {0, sizeof(struct btf_param)},
	[BTF_KIND_VAR] = {sizeof(struct btf_var), 0},
	[BTF_KIND_DATASEC] = {0, sizeof(struct btf_var_secinfo)},
	[BTF_KIND_DECL_TAG] = {sizeof(struct btf_decl_tag), 0},
	[BTF_KIND_ENUM64] = {0, sizeof(struct btf_enum64)},
};

struct span {
	const unsigned char *data;
	size_t length;
};

static int cut(struct span whole, size_t offset, size_t length, struct span *ret)
{
	if (offset > whole.length || length > whole.length - offset)
		return -EBADMSG;
	*ret = (struct span){whole.data + offset, length};
	return 0;
}

static bool name_is(struct span strings, uint32_t offset, const char *name)
{
	size_t n = strlen(name) + 1;

	return offset < strings.length && n <= strings.length - offset &&
	       memcmp(strings.data + offset, name, n) == 0;
}

static int32_t find_in_types(struct span types, struct span strings, const char *name)
{
	struct btf_type type;
	size_t at = 0;

	for (int32_t id = 1; types.length - at >= sizeof(type); id++) {
		unsigned kind;
		size_t size;

		memcpy(&type, types.data + at, sizeof(type));
		kind = BTF_INFO_KIND(type.info);
		if (kind == BTF_KIND_FUNC && name_is(strings, type.name_off, name))
			return id;
		if (kind >= NR_BTF_KINDS)
			return -EBADMSG;
		size = sizeof(type) + after[kind].fixed +
		       (size_t)after[kind].each * BTF_INFO_VLEN(type.info);
		if (size > types.length - at)
			return -EBADMSG;
		at += size;
	}
	return -ENOENT;
}

int32_t btf_find_function(const void *data, size_t length, const char *name)
{
	struct span whole = {data, length}, body, types, strings;
	struct btf_header header;

	if (length < sizeof(header))
		return -EBADMSG;
	memcpy(&header, data, sizeof(header));
	if (header.magic != BTF_MAGIC || header.hdr_len < sizeof(header) ||
		header.hdr_len > length ||
		cut(whole, header.hdr_len, length - header.hdr_len, &body) < 0 ||
		cut(body, header.type_off, header.type_len, &types) < 0 ||
		cut(body, header.str_off, header.str_len, &strings) < 0)
		return -EBADMSG;
	return find_in_types(types, strings, name);
}

int probe_bpf_lsm_load(void)
{
	static const char license[] = "GPL";
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {0};
	autofree char *btf = NULL;
	autoclose int fd = -1;
	size_t length;
	int32_t id;

	if (io_read_file(
		    AT_FDCWD, "/sys/kernel/btf/vmlinux", BTF_LIMIT_BYTES, &btf, &length, NULL) < 0)
		return -ENOENT;
	id = btf_find_function(btf, length, PROBE_HOOK);
	if (id < 0)
		return id;
	attr.prog_type = BPF_PROG_TYPE_LSM;
	attr.expected_attach_type = BPF_LSM_MAC;
	attr.attach_btf_id = (uint32_t)id;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = array_size(program);
	attr.license = (uint64_t)(uintptr_t)license;
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? -errno : 0;
}
