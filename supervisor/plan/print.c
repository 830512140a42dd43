/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/print.h"

#include "base/number.h"

#include <string.h>
#include <sys/resource.h>

#define VALUE_COLUMN 11
#define PLACE_COLUMN 72
#define SHOWN_MAX 4096 /* bytes of one value */

size_t print_begin(struct text *out, const char *word)
{
	size_t start = out->length;

	text_printf(out, "%-*s", VALUE_COLUMN, word);
	return start;
}

void print_end(struct text *out)
{
	while (out->length && out->data[out->length - 1] == ' ')
		out->data[--out->length] = '\0';
	text_puts(out, "\n");
}

void print_escaped(struct text *out, const char *string)
{
	text_escape(out, string, strlen(string), SHOWN_MAX);
}

void print_end_rule(struct text *out, size_t start, const Berm__Wire__Plan *plan, uint32_t rule)
{
	const Berm__Wire__Rule *r = rule < plan->n_rules ? plan->rules[rule] : NULL;

	if (r) {
		while (out->length < start + PLACE_COLUMN && !out->failed)
			text_puts(out, " ");
		text_puts(out, " # ");
		print_escaped(out, r->key);
		if (r->line) {
			text_puts(out, " ");
			print_escaped(out, r->file);
			text_printf(out, ":%u:%u", r->line, r->column);
		}
	}
	print_end(out);
}

static void print_bytes(struct text *out, const char *word, const uint8_t *bytes, size_t length)
{
	print_begin(out, word);
	for (size_t i = 0; i < length; i++)
		text_printf(out, "%02x", bytes[i]);
	print_end(out);
}

static void print_head(const Berm__Wire__Plan *plan, struct text *out)
{
	const Berm__Wire__Identity *id = plan->identity;
	uint8_t digest[PLAN_DIGEST_BYTES];
	char duration[32];

	print_begin(out, "plan");
	text_printf(out, "%u ", plan->version);
	print_escaped(out, plan->profile_name);
	print_end(out);
	if (plan_digest(plan, digest) == 0)
		print_bytes(out, "digest", digest, sizeof(digest));
	else
		out->failed = true;
	print_bytes(out, "profile", plan->profile_digest.data, plan->profile_digest.len);
	if (plan->agent) {
		print_begin(out, "agent");
		print_escaped(out, plan->agent->name);
		text_puts(out, " id=");
		print_escaped(out, plan->agent->id);
		text_printf(out, " tier=%u group=", plan->agent->tier);
		print_escaped(out, plan->agent->group);
		print_end(out);
	}
	print_begin(out, "command");
	for (size_t i = 0; i < plan->n_argv; i++) {
		text_puts(out, i ? " " : "");
		print_escaped(out, plan->argv[i]);
	}
	print_end(out);
	print_begin(out, "directory");
	print_escaped(out, plan->working_directory);
	print_end(out);
	print_begin(out, "hostname");
	print_escaped(out, plan->host_name);
	print_end(out);
	if (id) {
		print_begin(out, "identity");
		text_printf(out, "uid=%u:%u gid=%u:%u%s user=", id->inside_uid, id->outside_uid,
			id->inside_gid, id->outside_gid,
			id->drop_from_root ? " drop-from-root" : "");
		print_escaped(out, id->user_name);
		text_puts(out, " home=");
		print_escaped(out, id->home);
		print_end(out);
	}
	if (plan->wall_time_ms) {
		print_begin(out, "wall-time");
		text_puts(out,
			number_format_duration(plan->wall_time_ms, duration, sizeof(duration)));
		print_end(out);
	}
	for (size_t i = 0; i < plan->n_degraded; i++) {
		print_begin(out, "degraded");
		print_escaped(out, plan->degraded[i]);
		print_end(out);
	}
	if (plan->trace_denials || plan->memfd_noexec) {
		print_begin(out, "options");
		text_printf(out, "%s%s", plan->trace_denials ? "trace-denials " : "",
			plan->memfd_noexec ? "memfd-noexec" : "");
		print_end(out);
	}
}

void print_enum(
	struct text *out, const ProtobufCEnumDescriptor *type, int value, const char *prefix)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
	const char *name = v ? v->name : "?";
	char word[48];
	size_t i;

	if (strncmp(name, prefix, strlen(prefix)) == 0)
		name += strlen(prefix);
	for (i = 0; name[i] && i < sizeof(word) - 1; i++)
		word[i] = name[i] == '_'                     ? '-'
			  : name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a')
							     : name[i];
	word[i] = '\0';
	text_printf(out, "%-9s ", word);
}

static void print_mounts(const Berm__Wire__Plan *plan, struct text *out)
{
	char size[32];

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = plan->mounts[i];
		size_t start = print_begin(out, "mount");

		print_enum(out, &berm__wire__mount_kind__descriptor, (int)m->kind, "MOUNT_");
		print_escaped(out, m->target);
		if (*m->source && strcmp(m->source, m->target)) {
			text_puts(out, " from ");
			print_escaped(out, m->source);
		}
		if (m->content.len) {
			text_puts(out,
				m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK ? " -> " : " = ");
			text_escape(out, (const char *)m->content.data, m->content.len, SHOWN_MAX);
		}
		text_printf(out, "%s%s%s%s", m->read_only ? " ro" : "", m->no_exec ? " noexec" : "",
			m->optional ? " optional" : "", m->staged ? " staged" : "");
		if (m->id_mapped ||
			(m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE && !m->staged))
			text_printf(out, " %s=%u:%u", m->id_mapped ? "idmap" : "owner",
				m->owner_uid, m->owner_gid);
		if (m->size_bytes)
			text_printf(out, " size=%s",
				number_format_size(m->size_bytes, size, sizeof(size)));
		for (size_t k = 0; k < m->digest.len; k++)
			text_printf(out, "%s%02x", k ? "" : " blake2b=", m->digest.data[k]);
		if (m->mode)
			text_printf(out, " mode=%04o", m->mode);
		if (m->source_ino)
			text_printf(out, " inode=%llu:%llu", (unsigned long long)m->source_dev,
				(unsigned long long)m->source_ino);
		print_end_rule(out, start, plan, m->rule);
	}
}

/* Names of the bits, in the order of the kernel's header (linux/landlock.h). */
static const char *const fs_rights[] = {"execute", "write-file", "read-file", "read-dir",
	"remove-dir", "remove-file", "make-char", "make-dir", "make-reg", "make-sock", "make-fifo",
	"make-block", "make-sym", "refer", "truncate", "ioctl-dev", "resolve-unix"};
static const char *const net_rights[] = {"bind-tcp", "connect-tcp"};
static const char *const scopes[] = {"abstract-unix-socket", "signal"};

static void print_bits(struct text *out, uint64_t bits, const char *const *names, size_t count)
{
	bool first = true;

	for (unsigned i = 0; i < 64; i++) {
		if (!(bits >> i & 1))
			continue;
		if (i < count)
			text_printf(out, "%s%s", first ? "" : ",", names[i]);
		else
			text_printf(out, "%sbit%u", first ? "" : ",", i);
		first = false;
	}
	if (first)
		text_puts(out, "none");
}

static void print_handled(
	struct text *out, const char *what, uint64_t bits, const char *const *names, size_t count)
{
	print_begin(out, "landlock");
	text_printf(out, "%s ", what);
	print_bits(out, bits, names, count);
	print_end(out);
}

static void print_landlock(const Berm__Wire__Plan *plan, struct text *out)
{
	const Berm__Wire__Landlock *l = plan->landlock;

	if (!l)
		return;
	print_begin(out, "landlock");
	text_printf(out, "abi %u", l->abi);
	print_end(out);
	print_handled(out, "handled-fs", l->handled_fs, fs_rights, array_size(fs_rights));
	print_handled(out, "handled-net", l->handled_net, net_rights, array_size(net_rights));
	print_handled(out, "scoped", l->scoped, scopes, array_size(scopes));
	for (size_t i = 0; i < l->n_paths; i++) {
		size_t start = print_begin(out, "landlock");

		text_puts(out, "path ");
		print_escaped(out, l->paths[i]->path);
		text_puts(out, " ");
		print_bits(out, l->paths[i]->access, fs_rights, array_size(fs_rights));
		print_end_rule(out, start, plan, l->paths[i]->rule);
	}
	for (size_t i = 0; i < l->n_ports; i++) {
		size_t start = print_begin(out, "landlock");

		text_printf(out, "port %u ", l->ports[i]->port);
		print_bits(out, l->ports[i]->access, net_rights, array_size(net_rights));
		print_end_rule(out, start, plan, l->ports[i]->rule);
	}
}

static void print_network(const Berm__Wire__Plan *plan, struct text *out)
{
	size_t start;

	if (!plan->network)
		return;
	start = print_begin(out, "network");
	print_enum(
		out, &berm__wire__network_mode__descriptor, (int)plan->network->mode, "NETWORK_");
	print_end_rule(out, start, plan, plan->network->rule);
}

static const char *rlimit_name(uint32_t resource, char *buffer, size_t capacity)
{
	static const char *const names[] = {
		[RLIMIT_CORE] = "core",
		[RLIMIT_CPU] = "cpu",
		[RLIMIT_DATA] = "data",
		[RLIMIT_FSIZE] = "fsize",
		[RLIMIT_MSGQUEUE] = "msgqueue",
		[RLIMIT_NICE] = "nice",
		[RLIMIT_NOFILE] = "nofile",
		[RLIMIT_NPROC] = "nproc",
		[RLIMIT_RTPRIO] = "rtprio",
	};

	if (resource < array_size(names) && names[resource])
		return names[resource];
	snprintf(buffer, capacity, "%u", resource);
	return buffer;
}

static void print_limits(const Berm__Wire__Plan *plan, struct text *out)
{
	char number[16];
	size_t start;

	for (size_t i = 0; i < plan->n_rlimits; i++) {
		const Berm__Wire__Rlimit *r = plan->rlimits[i];

		start = print_begin(out, "rlimit");
		text_printf(out, "%s %llu", rlimit_name(r->resource, number, sizeof(number)),
			(unsigned long long)r->soft);
		if (r->hard != r->soft)
			text_printf(out, ":%llu", (unsigned long long)r->hard);
		print_end_rule(out, start, plan, r->rule);
	}
	if (!plan->cgroup || !plan->cgroup->use)
		return;
	print_begin(out, "cgroup");
	text_puts(out, "in ");
	print_escaped(out, plan->cgroup->parent);
	print_end(out);
	for (size_t i = 0; i < plan->cgroup->n_values; i++) {
		start = print_begin(out, "cgroup");
		print_escaped(out, plan->cgroup->values[i]->file);
		text_puts(out, " = ");
		print_escaped(out, plan->cgroup->values[i]->value);
		text_puts(out, plan->cgroup->values[i]->optional ? " optional" : "");
		print_end_rule(out, start, plan, plan->cgroup->values[i]->rule);
	}
}

static void print_canaries(const Berm__Wire__Plan *plan, struct text *out)
{
	for (size_t i = 0; i < plan->n_canaries; i++) {
		const Berm__Wire__Canary *canary = plan->canaries[i];
		size_t start = print_begin(out, "canary");

		print_enum(out, &berm__wire__canary_kind__descriptor, (int)canary->kind, "CANARY_");
		print_escaped(out, canary->path);
		if (canary->number)
			text_printf(out, "%u", canary->number);
		print_end_rule(out, start, plan, canary->rule);
	}
}

static void print_rules(const Berm__Wire__Plan *plan, struct text *out)
{
	for (size_t i = 0; i < plan->n_rules; i++) {
		const Berm__Wire__Rule *r = plan->rules[i];

		print_begin(out, "rule");
		text_printf(out, "%zu ", i);
		print_escaped(out, r->key);
		text_puts(out, " ");
		print_escaped(out, r->value);
		if (r->line) {
			text_puts(out, " at ");
			print_escaped(out, r->file);
			text_printf(out, ":%u:%u", r->line, r->column);
		}
		text_puts(out, " by ");
		print_escaped(out, *r->enforced_by ? r->enforced_by : "-");
		if (*r->reason) {
			text_puts(out, " because ");
			print_escaped(out, r->reason);
		}
		print_end(out);
	}
}

void plan_print(const Berm__Wire__Plan *plan, struct text *out)
{
	print_head(plan, out);
	print_mounts(plan, out);
	print_landlock(plan, out);
	print_seccomp(plan, out);
	print_network(plan, out);
	print_limits(plan, out);
	for (size_t i = 0; i < plan->n_environment; i++) {
		print_begin(out, "env");
		print_escaped(out, plan->environment[i]);
		print_end(out);
	}
	print_canaries(plan, out);
	print_meter(plan, out);
	print_recorder(plan, out);
	print_approvals(plan, out);
	print_rules(plan, out);
}
