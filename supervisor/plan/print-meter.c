/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/print.h"

#include "base/number.h"
#include "wire/effects.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_bytes(uint32_t counter)
{
	return counter == COUNTER_BYTES_WRITTEN || counter == COUNTER_BYTES_SENT ||
	       counter == COUNTER_BYTES_RECEIVED;
}

static void print_value(struct text *out, uint32_t counter, uint64_t value)
{
	char buffer[32];

	if (is_bytes(counter))
		text_puts(out, number_format_size(value, buffer, sizeof(buffer)));
	else
		text_printf(out, "%llu", (unsigned long long)value);
}

static void print_state(struct text *out, uint32_t phase, uint32_t posture)
{
	if (posture)
		text_printf(out, " -> %s (%s)", phase_name(phase), posture_name(posture));
}

static void print_caps(const Berm__Wire__Plan *plan, struct text *out)
{
	const Berm__Wire__Meter *m = plan->meter;

	for (size_t i = 0; i < m->n_caps; i++) {
		const Berm__Wire__MeterCap *cap = m->caps[i];
		size_t start = print_begin(out, "meter");

		text_printf(out, "cap %s <= ", effect_counter_name(cap->counter));
		print_value(out, cap->counter, cap->limit);
		print_state(out, cap->phase, cap->posture);
		print_end_rule(out, start, plan, cap->rule);
	}
	for (size_t i = 0; i < m->n_steps; i++) {
		const Berm__Wire__MeterStep *step = m->steps[i];
		size_t start = print_begin(out, "meter");

		text_printf(out, "%s %s at ", step->posture ? "step" : "warn",
			effect_counter_name(step->counter));
		print_value(out, step->counter, step->at);
		print_state(out, step->phase, step->posture);
		print_end_rule(out, start, plan, step->rule);
	}
}

static void print_states(const Berm__Wire__Plan *plan, struct text *out)
{
	static const char *const classes[DENIAL_CLASS_COUNT] = {
		"quiet", "denial", "canary", "escape"};
	const Berm__Wire__Meter *m = plan->meter;
	char within[32];

	for (size_t i = 0; i < m->n_breakers; i++) {
		const Berm__Wire__MeterBreaker *b = m->breakers[i];
		size_t start = print_begin(out, "meter");

		text_printf(out, "breaker %s %u",
			b->class_ < DENIAL_CLASS_COUNT ? classes[b->class_] : "?", b->count);
		if (b->within_ms)
			text_printf(out, " within %s",
				number_format_duration(b->within_ms, within, sizeof(within)));
		print_state(out, b->phase, b->posture);
		print_end_rule(out, start, plan, b->rule);
	}
	for (size_t i = 0; i < m->n_phases; i++) {
		const Berm__Wire__MeterPhase *p = m->phases[i];
		size_t start = print_begin(out, "meter");

		text_printf(out, "state %s = %s%s", phase_name(p->phase), posture_name(p->posture),
			p->final ? " final" : "");
		print_end_rule(out, start, plan, p->rule);
	}
}

static void print_files(const Berm__Wire__Plan *plan, struct text *out)
{
	static const struct {
		uint32_t right;
		const char *word;
	} rights[] = {{ANCHOR_READ, "read"}, {ANCHOR_WRITE, "write"}, {ANCHOR_EXEC, "exec"},
		{ANCHOR_MAP_EXEC, "map-exec"}, {ANCHOR_CONNECT, "connect"},
		{ANCHOR_SCRATCH, "scratch"}};
	const Berm__Wire__Meter *m = plan->meter;

	for (size_t i = 0; i < m->n_anchors; i++) {
		size_t start = print_begin(out, "meter");

		text_puts(out, "anchor ");
		print_escaped(out, m->anchors[i]->path);
		for (size_t k = 0; k < array_size(rights); k++) {
			if (m->anchors[i]->rights & rights[k].right)
				text_printf(out, " %s", rights[k].word);
		}
		print_end_rule(out, start, plan, m->anchors[i]->rule);
	}
	for (size_t i = 0; i < m->n_names; i++) {
		const Berm__Wire__MeterName *n = m->names[i];
		size_t start = print_begin(out, "meter");

		text_puts(out, "name ");
		print_escaped(out, n->pattern);
		text_printf(out, "%s%s%s", n->no_read ? " no-read" : "",
			n->no_write ? " no-write" : "", n->canary ? " canary" : "");
		print_end_rule(out, start, plan, n->rule);
	}
}

/* IPv4 in its own words, so that it reads as it is written in the profile. */
static void print_address(struct text *out, const Berm__Wire__MeterAddress *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char buffer[INET6_ADDRSTRLEN];
	bool ipv4 = a->address.len == 16 && a->prefix_bits >= 96 &&
		    memcmp(a->address.data, mapped, sizeof(mapped)) == 0;

	if (a->address.len != 16) {
		text_puts(out, "?");
		return;
	}
	inet_ntop(ipv4 ? AF_INET : AF_INET6, a->address.data + (ipv4 ? 12 : 0), buffer,
		sizeof(buffer));
	text_printf(out, "%s/%u", buffer, a->prefix_bits - (ipv4 ? 96 : 0));
}

static void print_addresses(const Berm__Wire__Plan *plan, struct text *out)
{
	const Berm__Wire__Meter *m = plan->meter;

	for (size_t i = 0; i < m->n_addresses; i++) {
		const Berm__Wire__MeterAddress *a = m->addresses[i];
		size_t start = print_begin(out, "meter");

		text_printf(out, "%s %s ", a->listen ? "listen" : "connect",
			a->allow ? "allow" : "deny");
		print_address(out, a);
		text_printf(out, " ports %u-%u%s", a->first_port, a->last_port,
			a->protocol == IPPROTO_TCP   ? " tcp"
			: a->protocol == IPPROTO_UDP ? " udp"
						     : "");
		print_end_rule(out, start, plan, a->rule);
	}
}

void print_meter(const Berm__Wire__Plan *plan, struct text *out)
{
	static const char *const programs[] = {"none", "network", "all"};
	const Berm__Wire__Meter *m = plan->meter;

	if (!m)
		return;
	print_begin(out, "meter");
	text_printf(out, "programs %s%s%s",
		(unsigned)m->programs < array_size(programs) ? programs[m->programs] : "?",
		m->gate ? " gate" : "", m->no_anonymous_exec ? " no-anonymous-exec" : "");
	for (size_t i = 0; i < m->n_families; i++)
		text_printf(out, "%s%u", i ? "," : " families ", m->families[i]);
	print_end(out);
	print_caps(plan, out);
	print_states(plan, out);
	print_files(plan, out);
	print_addresses(plan, out);
}
