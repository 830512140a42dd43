/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <string.h>

#define SAMPLE                                                                                     \
	"deny_groups mount, deny_groups keyring, deny_groups module, deny_groups raw-io, "         \
	"deny_groups reboot, "                                                                     \
	"deny_groups swap, deny_groups clock, deny bpf, deny io_uring_setup, deny userfaultfd, "   \
	"deny perf_event_open"

const char *const fixture_settings[] = {
	"base default",
	"base strict",
	SAMPLE,
	"machine aarch64",
	"machine aarch64, base strict, listener no",
	"listener no",
	"on_deny ENOSYS, listener no",
	"on_deny kill",
	"trace yes",
	"trace yes, base strict, on_deny kill",
	"trace yes, machine aarch64",
	"families unix",
	"families none",
	"families inet, families netlink",
	"families unix, families inet, families inet6, families netlink",
	"allow ptrace, allow process_vm_readv, allow kcmp",
	("deny_groups network, deny_groups ipc, deny_groups aio, deny_groups numa, "
	 "deny_groups xattr, deny_groups watch"),
	"gate yes",
	"gate yes, network open, families unix, families inet, families inet6",
	"gate yes, base strict, trace yes, on_deny kill",
	"gate yes, machine aarch64, deny_groups network, on_deny ENOSYS",
	"gate no, network open",
	"base strict, allow shmget, allow shmat, allow mq_open, families unix, families inet",
};
const size_t fixture_setting_count = array_size(fixture_settings);

void fixture_init(struct fixture *f)
{
	static const char *const default_families[] = {"inet", "inet6"};

	memset(f, 0, sizeof(*f));
	berm__wire__host_facts__init(&f->facts);
	berm__wire__meter__init(&f->meter);
	f->facts.audit_arch = AUDIT_ARCH_X86_64;
	f->facts.seccomp_filter = true;
	f->facts.seccomp_notify = true;
	f->profile.syscalls.allow.items = f->allow;
	f->profile.syscalls.deny.items = f->deny;
	f->profile.syscalls.deny_groups.items = f->groups;
	f->profile.exec.default_decision = DECISION_ALLOW;
	f->profile.syscalls.families.items = f->families;
	/* As policy/ leaves it where the key is not written. */
	for (size_t i = 0; i < array_size(default_families); i++)
		f->families[i] =
			(struct string_rule){.text = default_families[i], .at = {.file = ""}};
	f->profile.syscalls.families.count = array_size(default_families);
}

void fixture_finish(struct fixture *f)
{
	for (uint32_t i = 0; i < f->rule_count; i++)
		free(f->rules[i]);
	if (f->seccomp)
		berm__wire__seccomp__free_unpacked(f->seccomp, NULL);
	memset(f, 0, sizeof(*f));
}

static bool add_word(struct string_rules *list, const char *text, uint32_t line)
{
	if (list->count == FIXTURE_WORDS_MAX)
		return false;
	list->items[list->count++] = (struct string_rule){
		.text = text, .at = {.file = "test.yaml", .line = line, .column = 5}};
	return true;
}

static bool add_family(struct fixture *f, const char *text, uint32_t line)
{
	struct string_rules *list = &f->profile.syscalls.families;

	if (list->count && !list->items[0].at.line)
		list->count = 0;
	return !strcmp(text, "none") || add_word(list, text, line);
}

static bool add_flag(bool *flag, const char *value)
{
	*flag = !strcmp(value, "yes");
	return *flag || !strcmp(value, "no");
}

static bool add_choice(struct fixture *f, const char *key, const char *value, uint32_t line)
{
	static const char *const bases[] = {"default", "strict"};
	static const char *const denials[] = {"EPERM", "ENOSYS", "kill"};
	bool on_deny = !strcmp(key, "on_deny");
	const char *const *words = on_deny ? denials : bases;

	for (unsigned i = 0; i < (on_deny ? array_size(denials) : array_size(bases)); i++) {
		if (strcmp(words[i], value) != 0)
			continue;
		if (on_deny)
			f->profile.syscalls.on_deny = i;
		else
			f->profile.syscalls.base = i;
		if (!on_deny)
			f->profile.syscalls.base_at =
				(struct source){.file = "test.yaml", .line = line, .column = 5};
		return true;
	}
	return false;
}

static bool add_machine(struct fixture *f, const char *value)
{
	f->facts.audit_arch = strcmp(value, "x86_64") ? AUDIT_ARCH_AARCH64 : AUDIT_ARCH_X86_64;
	return !strcmp(value, "x86_64") || !strcmp(value, "aarch64");
}

bool fixture_add(struct fixture *f, const char *key, const char *value, uint32_t line)
{
	bool flag, good;

	if (!strcmp(key, "allow"))
		return add_word(&f->profile.syscalls.allow, value, line);
	if (!strcmp(key, "deny"))
		return add_word(&f->profile.syscalls.deny, value, line);
	if (!strcmp(key, "deny_groups"))
		return add_word(&f->profile.syscalls.deny_groups, value, line);
	if (!strcmp(key, "families"))
		return add_family(f, value, line);
	if (!strcmp(key, "base") || !strcmp(key, "on_deny"))
		return add_choice(f, key, value, line);
	if (!strcmp(key, "exec")) {
		f->profile.exec.default_decision =
			strcmp(value, "deny") ? DECISION_ALLOW : DECISION_DENY;
		return true;
	}
	if (!strcmp(key, "machine"))
		return add_machine(f, value);
	if (!strcmp(key, "trace"))
		return add_flag(&f->trace, value);
	if (!strcmp(key, "network")) {
		f->network_open = !strcmp(value, "open");
		return f->network_open || !strcmp(value, "closed");
	}
	if (!strcmp(key, "gate")) {
		good = add_flag(&flag, value);
		f->metered = true;
		f->meter.gate = flag;
		return good;
	}
	good = !strcmp(key, "listener") && add_flag(&flag, value);
	if (good)
		f->facts.seccomp_notify = flag;
	return good;
}

static uint32_t make_rule(
	void *context, const char *key, const char *value, const struct source *at)
{
	struct fixture *f = context;

	if (f->rule_count == FIXTURE_RULES_MAX ||
		asprintf(&f->rules[f->rule_count], "%s %s", key, value) < 0 || !at->line)
		return UINT32_MAX;
	return ++f->rule_count;
}

int fixture_compile(struct fixture *f, struct error *err)
{
	struct syscalls_request request = {.trace = f->trace,
		.meter = f->metered ? &f->meter : NULL,
		.network_closed = !f->network_open,
		.rule = make_rule,
		.context = f};

	return syscalls_compile(&f->profile, &f->facts, &request, &f->seccomp, NULL, err);
}

const struct sock_filter *fixture_program(const struct fixture *f, size_t *ret_count)
{
	*ret_count = f->seccomp->program.len / sizeof(struct sock_filter);
	return (const struct sock_filter *)(const void *)f->seccomp->program.data;
}

bool fixture_make(struct fixture *f, const char *setting, char *words, size_t capacity)
{
	struct error err;
	char *rest = NULL;
	uint32_t line = 1;

	fixture_init(f);
	if ((size_t)snprintf(words, capacity, "%s", setting) >= capacity)
		return false;
	for (char *pair = strtok_r(words, ",", &rest); pair; pair = strtok_r(NULL, ",", &rest)) {
		char *key = pair + strspn(pair, " ");
		char *value = key + strcspn(key, " ");

		*value++ = '\0';
		if (!fixture_add(f, key, value, line++))
			return false;
	}
	return fixture_compile(f, &err) == 0;
}
