/* SPDX-License-Identifier: Apache-2.0 */

/* What a host would load, from one program of two instructions of each kind, which is attached to
 * nothing. */
#include "base/own.h"
#include "meter/internal.h"

#include <bpf/libbpf.h>
#include <string.h>

static int try_kind(enum bpf_prog_type type, enum bpf_attach_type attach, const char *hook)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach);
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	autoclose int fd = -1;
	int id = hook ? libbpf_find_vmlinux_btf_id(hook, attach) : 0;

	if (id < 0)
		return id;
	options.attach_btf_id = (uint32_t)id;
	fd = bpf_prog_load(
		type, "berm_probe", "Dual BSD/GPL", program, array_size(program), &options);
	return fd < 0 ? -errno : 0;
}

int meter_probe(
	int cgroup_fd, enum meter_make *ret_make, struct error *ret_lacks, struct error *err)
{
	enum meter_make make = meter_strongest_make();
	int r;

	libbpf_set_print(NULL);
	ret_lacks->code = 0;
	*ret_make = make;
	r = make == METER_MAKE_LSM
		    ? try_kind(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "file_open")
		    : try_kind(BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, "security_file_open");
	if (r == 0)
		return 0;
	(void)!error_set(ret_lacks, r, ERROR_UNSUPPORTED,
		"a program of the %s kind does not load: %s", meter_make_name(make), strerror(-r));
	*ret_make = METER_MAKE_NETWORK;
	if (cgroup_fd < 0)
		return error_set(err, r, ERROR_UNSUPPORTED, "%s", ret_lacks->text);
	r = try_kind(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, NULL);
	return r ? error_set(err, r, ERROR_UNSUPPORTED, "%s; nor one of cgroups: %s",
			   ret_lacks->text, strerror(-r))
		 : 0;
}
