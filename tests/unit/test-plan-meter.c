/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "facts-text.h"
#include "plan/plan.h"
#include "policy/decide.h"
#include "policy/host.h"
#include "policy/pace.h"
#include "random.h"

#include <arpa/inet.h>
#include <string.h>

/* What a plan tells the meter and what the profile says must be one thing: random caps and states
 * against what they mean, and random addresses against decide(). BERM_TEST_SEED and
 * BERM_TEST_ROUNDS change the run. */

#define ROUNDS_DEFAULT 3000
#define PICK(list) ((list)[random_below(array_size(list))])

static const char host_text[] = "audit_arch 0xc000003e\n"
				"landlock_abi 7\n"
				"seccomp_filter 1\n"
				"user_namespaces 1\n"
				"network_namespaces 1\n"
				"initial_user_namespace 1\n"
				"id_mapped_mounts 1\n"
				"caller_uid 1000\n"
				"caller_gid 1000\n"
				"caller_name u\n"
				"caller_home /srv/u\n"
				"network_pool 10.143.0.0/16\n"
				"network_pool6 fd00:143::/48\n"
				"path /srv/u\n";

/* The hosts that a plan may be made for, from everything to nothing. */
static const struct make {
	unsigned programs;
	const char *name;
	bool privileged, notify;
} makes[] = {
	{2, "lsm", true, true},
	{2, "fmod_ret", true, true},
	{1, "cgroup", true, true},
	{0, "", false, true},
	{2, "lsm", true, false},
	{1, "cgroup", true, false},
	{0, "", false, false},
};

static const char *const command[] = {"true", NULL};
static const char *const degrade_all[] = {"bpf", "notify", "netns", NULL};

static unsigned long number_from(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 10) : otherwise;
}

struct round {
	struct profile profile;
	struct trigger triggers[PHASE_COUNT][3];
	struct network_rule rules[3][3];
	uint16_t ports[3][3][2][2];
	Berm__Wire__HostFacts *facts;
	Berm__Wire__Plan *plan;
	struct error err;
	int result;
};

static void round_finish(struct round *r)
{
	plan_destroy(r->plan);
	berm__wire__host_facts__free_unpacked(r->facts, NULL);
}
#define autoround __attribute__((cleanup(round_finish)))

static void round_make(struct round *r, const struct make *make)
{
	char more[128];

	r->profile.name = "test";
	r->profile.exec.default_decision = DECISION_ALLOW;
	r->profile.fs.tmp.private = r->profile.fs.home.private = true;
	snprintf(more, sizeof(more), "meter_programs %u\nprivileged %d\nseccomp_notify %d\n",
		make->programs, make->privileged, make->notify);
	r->facts = facts_from_text(host_text);
	r->facts->meter_programs = make->programs;
	r->facts->privileged = make->privileged;
	r->facts->seccomp_notify = make->notify;
	if (*make->name)
		r->facts->meter_make = strdup(make->name);
}

static void round_compile(struct round *r, bool degrade)
{
	const struct plan_request request = {
		.argv = command, .home = "/srv/u", .allow_degraded = degrade ? degrade_all : NULL};
	autotext struct text notes = {0};

	r->result = plan_compile(&r->profile, r->facts, &request, &r->plan, &notes, &r->err);
}

/* ---- caps and states ---- */

#define COUNTERS 6

static struct limit *cap_of(struct profile *p, unsigned i, enum effect_counter *ret_counter)
{
	static const enum effect_counter counters[COUNTERS] = {COUNTER_FILES_CHANGED,
		COUNTER_FILES_DELETED, COUNTER_BYTES_WRITTEN, COUNTER_BYTES_SENT,
		COUNTER_HOSTS_CONTACTED, COUNTER_PROCESSES_STARTED};
	struct limit *caps[COUNTERS] = {&p->blast_radius.files_changed,
		&p->blast_radius.files_deleted, &p->blast_radius.bytes_written,
		&p->blast_radius.bytes_sent, &p->blast_radius.hosts_contacted,
		&p->blast_radius.processes_started};

	*ret_counter = counters[i];
	return caps[i];
}

static struct limit maybe(unsigned one_in, uint64_t value)
{
	return (struct limit){.set = random_below(one_in) == 0,
		.value = value,
		.at = {"test.yaml", 1 + random_below(99), 1}};
}

static void random_phase(struct round *r, struct phase_rules *rules, enum phase phase)
{
	static const enum trigger_event events[] = {TRIGGER_DENIAL, TRIGGER_BLAST_RADIUS,
		TRIGGER_BLAST_RADIUS, TRIGGER_CANARY_TOUCHED, TRIGGER_ESCAPE_ATTEMPT};

	rules->when.items = r->triggers[phase];
	rules->when.count = random_below(3);
	for (size_t i = 0; i < rules->when.count; i++)
		r->triggers[phase][i] = (struct trigger){.event = PICK(events),
			.count = {true, 1 + random_below(2), {0}},
			.within_ms = {true, 1000, {0}},
			.above_percent = {true, random_below(4) * 50, {0}},
			.at = {"test.yaml", 100, 1}};
	rules->then.fs_write = maybe(3, 1 + random_below(2));
	rules->then.network = maybe(3, 1 + random_below(2));
	rules->then.exec = maybe(3, 1 + random_below(2));
	rules->then.run = maybe(4, 1 + random_below(2));
}

static void random_caps(struct round *r)
{
	struct profile *p = &r->profile;
	enum effect_counter counter;

	for (unsigned i = 0; i < COUNTERS; i++)
		*cap_of(p, i, &counter) = maybe(3, random_below(12));
	p->blast_radius.warn_at = maybe(3, 1 + random_below(100));
	p->blast_radius.on_exceed = (enum on_exceed)random_below(ON_EXCEED_COUNT);
	random_phase(r, &p->pace.alternate, PHASE_ALTERNATE);
	random_phase(r, &p->pace.contingency, PHASE_CONTINGENCY);
	random_phase(r, &p->pace.emergency, PHASE_EMERGENCY);
	p->network.mode = random_below(2) ? NETWORK_MODE_HOST : NETWORK_MODE_SCOPED;
}

/* What the profile says of a run in which that much was done or tried of one counter. */
static unsigned meant(const struct profile *p, uint64_t cap, uint64_t value)
{
	enum phase exceeded = pace_exceeded(p->blast_radius.on_exceed);
	unsigned posture = 0;

	for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		const struct phase_rules *rules = pace_rules(p, phase);
		bool entered = phase == exceeded && value > cap;

		for (size_t i = 0; i < rules->when.count; i++)
			entered |= rules->when.items[i].event == TRIGGER_BLAST_RADIUS &&
				   value * 100 > cap * rules->when.items[i].above_percent.value;
		if (entered)
			posture |= pace_posture(rules, phase);
	}
	return posture;
}

static unsigned told(const Berm__Wire__Meter *m, const Berm__Wire__MeterCap *cap, uint64_t value)
{
	unsigned posture = value > cap->limit ? cap->posture : 0;

	for (size_t i = 0; i < m->n_steps; i++)
		if (m->steps[i]->counter == cap->counter && value >= m->steps[i]->at)
			posture |= m->steps[i]->posture;
	return posture;
}

static const Berm__Wire__MeterCap *find_cap(const Berm__Wire__Plan *plan, unsigned counter)
{
	for (size_t i = 0; plan->meter && i < plan->meter->n_caps; i++)
		if (plan->meter->caps[i]->counter == counter)
			return plan->meter->caps[i];
	return NULL;
}

/* True where the plan names the cap as something that does not hold here. */
static bool is_named_weaker(const Berm__Wire__Plan *plan, unsigned counter)
{
	const char *name = effect_counter_name(counter);

	for (size_t i = 0; i < plan->n_rules; i++) {
		const Berm__Wire__Rule *rule = plan->rules[i];

		if (strncmp(rule->key, "blast_radius.", 13) == 0 &&
			strcmp(rule->key + 13, name) == 0)
			return strncmp(rule->enforced_by, "weaker without ", 15) == 0;
	}
	return false;
}

static void check_counter(
	const struct round *r, const struct limit *limit, unsigned counter, unsigned long *postures)
{
	const Berm__Wire__MeterCap *cap = find_cap(r->plan, counter);
	size_t steps = 0;

	if (!cap) {
		assert_true(is_named_weaker(r->plan, counter));
		return;
	}
	assert_int_equal(cap->limit, limit->value);
	for (uint64_t value = 0; value < 40; value++) {
		unsigned expected = meant(&r->profile, limit->value, value);

		assert_int_equal(told(r->plan->meter, cap, value), expected);
		*postures += expected != 0;
	}
	for (size_t i = 0; i < r->plan->meter->n_steps; i++)
		steps += r->plan->meter->steps[i]->counter == counter;
	assert_in_range(steps, 0, 4);
}

static void every_cap_is_told_to_the_meter_or_the_start_is_refused(void **state)
{
	unsigned long rounds = number_from("BERM_TEST_ROUNDS", ROUNDS_DEFAULT), made = 0;
	unsigned long refused = 0, postures = 0, gates = 0;

	(void)state;
	random_seed(number_from("BERM_TEST_SEED", 1));
	for (unsigned long i = 0; i < rounds; i++) {
		bool degrade = random_below(2) == 0;
		autoround struct round r = {0};

		round_make(&r, &PICK(makes));
		random_caps(&r);
		round_compile(&r, degrade);
		if (r.result < 0) {
			if (r.err.kind != ERROR_UNSUPPORTED && r.result != -E2BIG)
				fail_msg("%s", r.err.text);
			assert_true(!degrade || r.result == -E2BIG);
			refused++;
			continue;
		}
		made++;
		for (unsigned k = 0; k < COUNTERS; k++) {
			enum effect_counter counter;
			const struct limit *limit = cap_of(&r.profile, k, &counter);

			if (limit->set)
				check_counter(&r, limit, counter, &postures);
			else
				assert_null(find_cap(r.plan, counter));
		}
		gates += r.plan->meter && r.plan->meter->gate;
		/* Nobody counts where there is nobody. */
		assert_false(r.plan->meter && r.plan->meter->n_caps && !r.plan->meter->gate &&
			     !r.plan->meter->programs && !r.plan->network);
	}
	print_message("# %lu made, %lu refused, %lu with a gate, %lu postures\n", made, refused,
		gates, postures);
	assert_true(made * 4 > rounds && refused * 10 > rounds && gates > 0 && postures > 0);
}

/* ---- addresses ---- */

static const char *const blocks[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0",
	"::/0", "169.254.169.254/32", "169.254.0.0/16", "169.0.0.0/8", "fe80::/10", "fd00::/8",
	"fd00:ec2::254/128", "2001:db8::/32", "64:ff9b::/96", "64:ff9b::a9fe:a9fe/128",
	"100.64.0.0/10", "100.100.100.200/32", "::ffff:10.1.0.0/112", "128.0.0.0/1"};
static const char *const targets[] = {"10.1.2.3", "10.1.2.4", "10.2.0.1", "11.0.0.1",
	"169.254.169.254", "169.254.1.1", "169.1.1.1", "100.100.100.200", "100.64.1.1",
	"168.63.129.16", "192.0.0.192", "192.0.0.193", "200.1.1.1", "[fe80::1]", "[fd00::1]",
	"[fd00:ec2::254]", "[2001:db8::1]", "[2001:db9::1]", "[64:ff9b::a01:203]",
	"[64:ff9b::a9fe:a9fe]", "[64:ff9b::c801:101]", "[::ffff:10.1.2.3]",
	"[::ffff:169.254.169.254]"};
static const unsigned port_numbers[] = {22, 80, 443, 8080};

static void random_rules(struct round *r, struct network_rules *list, unsigned which, unsigned most)
{
	static const char *const protos[] = {NULL, NULL, "tcp", "udp"};

	list->items = r->rules[which];
	list->count = random_below(most + 1);
	for (size_t i = 0; i < list->count; i++) {
		struct network_rule *rule = &list->items[i];

		*rule = (struct network_rule){.cidr = PICK(blocks),
			.proto = PICK(protos),
			.ports = r->ports[which][i],
			.port_count = random_below(3),
			.at = {"test.yaml", 1, 1}};
		for (size_t k = 0; k < rule->port_count; k++) {
			rule->ports[k][0] = (uint16_t)PICK(port_numbers);
			rule->ports[k][1] =
				(uint16_t)(rule->ports[k][0] + (random_below(2) ? 0 : 400));
		}
	}
}

static bool in_block(const Berm__Wire__MeterAddress *a, const uint8_t address[16])
{
	for (unsigned bit = 0; bit < a->prefix_bits; bit++)
		if ((a->address.data[bit / 8] ^ address[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	return true;
}

/* As the kernel: deny wins over allow. */
static bool plan_allows(
	const Berm__Wire__Meter *m, const struct address *to, unsigned port, bool udp)
{
	bool allow = false;

	for (size_t i = 0; i < m->n_addresses; i++) {
		const Berm__Wire__MeterAddress *a = m->addresses[i];

		if (a->listen || !in_block(a, to->bytes) || port < a->first_port ||
			port > a->last_port ||
			(a->protocol && a->protocol != (udp ? IPPROTO_UDP : IPPROTO_TCP)))
			continue;
		if (!a->allow)
			return false;
		allow = true;
	}
	return allow;
}

static void show_addresses(const Berm__Wire__Plan *plan)
{
	autotext struct text out = {0};

	plan_print(plan, &out);
	for (const char *line = strstr(text_string(&out), "\nmeter"); line;
		line = strstr(line + 1, "\nmeter"))
		print_error("%.*s", (int)strcspn(line + 1, "\n") + 1, line);
	print_error("\n");
}

static void check_target(const struct round *r, const char *target, unsigned long *allowed)
{
	bool brackets = target[0] == '[';
	char text[64], object[96];
	struct address address;
	struct verdict v;

	snprintf(text, sizeof(text), "%s", target + brackets);
	text[strcspn(text, "]")] = '\0';
	assert_true(address_parse(text, &address));
	for (size_t i = 0; i < array_size(port_numbers) * 2; i++) {
		unsigned port = port_numbers[i / 2];
		bool udp = i % 2;

		snprintf(object, sizeof(object), "%s:%u%s", target, port, udp ? "/udp" : "");
		decide(&r->profile, OPERATION_CONNECT, object, &v);
		if (plan_allows(r->plan->meter, &address, port, udp) !=
			(v.decision == DECISION_ALLOW)) {
			show_addresses(r->plan);
			fail_msg("%s: the profile says %s (%s %s), the plan otherwise", object,
				decision_name(v.decision), v.rule, v.value ? v.value : "");
		}
		*allowed += v.decision == DECISION_ALLOW;
	}
}

static void addresses_of_a_plan_are_those_of_the_profile(void **state)
{
	unsigned long rounds = number_from("BERM_TEST_ROUNDS", ROUNDS_DEFAULT), made = 0;
	unsigned long allowed = 0;
	struct string_rule families[] = {{"inet", {0}}, {"inet6", {0}}};

	(void)state;
	random_seed(number_from("BERM_TEST_SEED", 1));
	for (unsigned long i = 0; i < rounds; i++) {
		autoround struct round r = {0};

		round_make(&r, &makes[random_below(3)]);
		r.profile.syscalls.families = (struct string_rules){families, array_size(families)};
		if (random_below(4) == 0)
			r.profile.network.mode = NETWORK_MODE_HOST;
		else
			random_rules(&r, &r.profile.network.allow, 0, 3);
		random_rules(&r, &r.profile.network.deny, 1, 2);
		if (r.profile.network.mode == NETWORK_MODE_SCOPED)
			random_rules(&r, &r.profile.network.ask, 2, 1);
		round_compile(&r, false);
		if (r.result < 0)
			fail_msg("%s", r.err.text);
		/* Nothing to hold: no link, or the host's network without a denial. */
		if (!r.plan->meter) {
			assert_int_equal(r.profile.network.allow.count, 0);
			continue;
		}
		made++;
		for (size_t k = 0; k < array_size(targets); k++)
			check_target(&r, targets[k], &allowed);
	}
	print_message("# %lu plans, %lu targets allowed\n", made, allowed);
	assert_true(made * 2 > rounds && allowed > made);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(every_cap_is_told_to_the_meter_or_the_start_is_refused),
		cmocka_unit_test(addresses_of_a_plan_are_those_of_the_profile),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
