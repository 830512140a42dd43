/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/status.h"

#include "base/json.h"
#include "govern/delegation.h"
#include "policy/decide.h"

#include <string.h>

#define FOOTER_ROWS_MAX 10
#define FOOTER_WORDS_MAX 200

static const char *const outcome_words[RUN_OUTCOME_COUNT] = {
	[RUN_EXITED] = "exited",
	[RUN_SIGNALED] = "signaled",
	[RUN_TIMEOUT] = "timeout",
	[RUN_OOM] = "oom",
	[RUN_REFUSED] = "refused",
	[RUN_SETUP_FAILED] = "setup_failed",
	[RUN_KILLED] = "killed",
	[RUN_BREAKER] = "breaker",
};

const char *status_outcome_word(enum run_outcome outcome)
{
	return outcome_words[outcome];
}

/* What decide() calls an operation that was refused. */
static const struct {
	const char *word;
	enum operation operation;
} operations[] = {
	{"read", OPERATION_READ},
	{"write", OPERATION_WRITE},
	{"exec", OPERATION_EXEC},
	{"connect", OPERATION_CONNECT},
	{"syscall", OPERATION_SYSCALL},
};

/* What the profile would say about it: the hint and whether it should stay denied. */
static void advise(
	const struct status *status, const struct denial *denial, struct verdict *ret_verdict)
{
	*ret_verdict = (struct verdict){.decision = DECISION_DENY};
	/* No line of this profile would allow it. */
	if (!status->profile || strncmp(denial->rule.key, "delegation.", 11) == 0)
		return;
	for (size_t i = 0; i < array_size(operations); i++)
		if (strcmp(operations[i].word, denial->operation) == 0)
			decide(status->profile, operations[i].operation, denial->target,
				ret_verdict);
}

static void record_denial(const struct status *status, size_t index, struct json *j)
{
	const struct denial *denial = &status->denials->items[index];
	const struct denial_rule *rule = &denial->rule;
	struct verdict verdict;
	char id[DENIAL_ID_BYTES];

	advise(status, denial, &verdict);
	denial_id(status->run_id, index, id);
	json_object_begin(j, NULL);
	json_put_string(j, "id", id);
	json_put_string(j, "op", denial->operation);
	json_put_string(j, "target", denial->target);
	json_put_string(j, "rule", rule->key);
	json_put_string(j, "value", rule->value);
	json_put_string(j, "file", rule->file[0] ? rule->file : NULL);
	json_put_u64(j, "line", rule->line);
	json_put_u64(j, "count", denial->count);
	json_put_string(j, "hint", verdict.hint[0] ? verdict.hint : NULL);
	json_object_end(j);
}

/* True where an earlier rule of the plan has the same key and is enforced by the same: it is listed
 * once. */
static bool listed_before(const Berm__Wire__Plan *plan, size_t index)
{
	const Berm__Wire__Rule *rule = plan->rules[index];

	for (size_t i = 0; i < index; i++)
		if (strcmp(plan->rules[i]->key, rule->key) == 0 &&
			strcmp(plan->rules[i]->enforced_by, rule->enforced_by) == 0)
			return true;
	return false;
}

static bool key_before(const Berm__Wire__Plan *plan, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(plan->rules[i]->key, plan->rules[index]->key) == 0 &&
			plan->rules[i]->enforced_by[0])
			return true;
	return false;
}

bool status_enforced_by(const Berm__Wire__Plan *plan, size_t index, struct text *out)
{
	const Berm__Wire__Rule *rule = plan->rules[index];
	size_t before = out->length;

	if (!rule->enforced_by[0] || key_before(plan, index))
		return false;
	for (size_t k = index; k < plan->n_rules; k++)
		if (strcmp(plan->rules[k]->key, rule->key) == 0 && plan->rules[k]->enforced_by[0] &&
			!listed_before(plan, k))
			text_printf(out, "%s%s", out->length > before ? ", " : "",
				plan->rules[k]->enforced_by);
	return true;
}

void status_enforcement(const Berm__Wire__Plan *plan, struct json *j)
{
	json_object_begin(j, "enforcement");
	for (size_t i = 0; plan && i < plan->n_rules; i++) {
		autotext struct text ways = {0};

		if (!status_enforced_by(plan, i, &ways))
			continue;
		j->out->failed |= ways.failed;
		json_put_string(j, plan->rules[i]->key, text_string(&ways));
	}
	json_object_end(j);
}

/* What was done, what was refused beyond the cap, and the cap (null: none), by the profile's words.
 */
static void record_counters(const struct effects *effects, struct json *j)
{
	json_object_begin(j, "counters");
	for (unsigned i = 0; effects && effects->metered && i < COUNTER_COUNT; i++) {
		if (!effects->counted[i])
			continue;
		json_object_begin(j, effect_counter_name(i));
		json_put_u64(j, "value", effects->done[i]);
		json_put_u64(j, "refused", effects->refused[i]);
		if (effects->limit[i] == EFFECTS_UNLIMITED)
			json_put_null(j, "limit");
		else
			json_put_u64(j, "limit", effects->limit[i]);
		json_object_end(j);
	}
	json_object_end(j);
}

static const Berm__Wire__Rule *rule_of(const struct status *status, const struct trip *trip)
{
	return status->plan && trip->rule < status->plan->n_rules ? status->plan->rules[trip->rule]
								  : NULL;
}

static void record_trip(const struct status *status, const struct trip *trip, struct json *j)
{
	const Berm__Wire__Rule *rule = rule_of(status, trip);
	bool counts = trip->kind <= TRIP_KIND_BREAKER;

	json_object_begin(j, NULL);
	json_put_string(j, "kind", trip_word(trip));
	json_put_string(j, "counter", counts ? effect_counter_name(trip->counter) : NULL);
	json_put_u64(j, "value", trip->value);
	json_put_u64(j, "limit", trip->limit);
	json_put_string(j, "rule", rule ? rule->key : NULL);
	json_put_string(j, "file", rule && rule->file[0] ? rule->file : NULL);
	json_put_u64(j, "line", rule ? rule->line : 0);
	json_put_string(j, "posture", posture_name(trip->posture));
	json_put_string(j, "phase", phase_name(trip->phase));
	json_put_u64(j, "after_ms", trip->after_ms);
	json_object_end(j);
}

static void record_trips(const struct status *status, struct json *j)
{
	const struct effects *e = status->effects;

	json_array_begin(j, "trips");
	for (size_t i = 0; e && i < e->trip_count; i++)
		record_trip(status, &e->trips[i], j);
	json_array_end(j);
	json_put_u64(j, "trips_not_listed", e ? e->trips_not_kept : 0);
}

static void put_hex(struct json *j, const char *key, const uint8_t *bytes, size_t length)
{
	autotext struct text hex = {0};

	for (size_t i = 0; i < length; i++)
		text_printf(&hex, "%02x", bytes[i]);
	j->out->failed |= hex.failed;
	json_put_string(j, key, text_string(&hex));
}

static void record_outputs(const struct status *status, struct json *j)
{
	json_array_begin(j, "outputs");
	for (size_t i = 0; i < status->output_count; i++) {
		const struct output *output = &status->outputs[i];

		json_object_begin(j, NULL);
		json_put_string(j, "path", output->path);
		json_put_string(j, "state", output_state_word(output->state));
		json_put_u64(j, "bytes", output->bytes);
		if (output->state == OUTPUT_HASHED)
			put_hex(j, "digest", output->digest, sizeof(output->digest));
		else
			json_put_null(j, "digest");
		json_object_end(j);
	}
	json_array_end(j);
}

static void record_digest(const uint8_t *digest, struct json *j)
{
	if (digest)
		put_hex(j, "plan_digest", digest, PLAN_DIGEST_BYTES);
	else
		json_put_null(j, "plan_digest");
}

static void delegation_json(struct json *j, const struct delegation_chain *chain)
{
	json_array_begin(j, "delegated_by");
	for (size_t i = 0; chain && i < chain->count; i++) {
		json_object_begin(j, NULL);
		json_put_string(j, "run", chain->hops[i].run);
		json_put_string(j, "agent", chain->hops[i].agent);
		json_put_string(j, "agent_id", chain->hops[i].agent_id);
		json_object_end(j);
	}
	json_array_end(j);
}

void status_record(const struct status *status, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "run", status->run_id);
	json_put_string(&j, "agent", status->agent ? status->agent->name : NULL);
	json_put_string(&j, "agent_id", status->agent ? status->agent->id : NULL);
	json_put_string(&j, "group",
		status->agent && status->agent->group[0] ? status->agent->group : NULL);
	delegation_json(&j, status->chain);
	json_put_string(&j, "outcome", status_outcome_word(status->outcome));
	json_put_i64(&j, "code", status->code);
	if (status->signal)
		json_put_i64(&j, "signal", status->signal);
	else
		json_put_null(&j, "signal");
	json_put_string(
		&j, "posture", posture_name(status->effects ? status->effects->posture : 0));
	json_put_string(&j, "phase", phase_name(status->effects ? status->effects->phase : 0));
	status_enforcement(status->plan, &j);
	json_array_begin(&j, "degraded");
	for (size_t i = 0; status->plan && i < status->plan->n_degraded; i++)
		json_put_string(&j, NULL, status->plan->degraded[i]);
	json_array_end(&j);
	json_array_begin(&j, "denials");
	for (size_t i = 0; i < status->denials->count; i++)
		record_denial(status, i, &j);
	json_array_end(&j);
	json_put_u64(&j, "denials_total", status->denials->total);
	json_put_u64(&j, "denials_not_listed", status->denials->not_kept);
	record_counters(status->effects, &j);
	record_trips(status, &j);
	json_put_u64(&j, "events_lost", status->effects ? status->effects->events_lost : 0);
	json_put_u64(&j, "duration_ms", status->duration_ms);
	record_outputs(status, &j);
	record_digest(status->plan_digest, &j);
	json_put_string(&j, "recorder", status->recorder);
	if (status->error)
		json_put_string(&j, "error", status->error);
	json_object_end(&j);
	text_puts(out, "\n");
}

static void put_escaped(struct text *out, const char *words)
{
	text_escape(out, words, strlen(words), FOOTER_WORDS_MAX);
}

static void footer_rule(const struct denial_rule *rule, struct text *out)
{
	if (strcmp(rule->key, "berm") == 0) {
		text_puts(out, "berm:     by berm itself, in every profile\n");
		return;
	}
	text_printf(out, "berm:     by %s", rule->key);
	if (rule->value && rule->value[0]) {
		text_puts(out, " ");
		put_escaped(out, rule->value);
	}
	if (rule->file[0]) {
		text_puts(out, " (");
		put_escaped(out, rule->file);
		if (rule->line)
			text_printf(out, ":%u", rule->line);
		text_puts(out, ")");
	} else {
		text_puts(out, " (the default)");
	}
	if (rule->reason && rule->reason[0]) {
		text_puts(out, ": ");
		put_escaped(out, rule->reason);
	}
	text_puts(out, "\n");
}

static void footer_row(const struct status *status, const struct denial *denial, struct text *out)
{
	struct verdict verdict;

	advise(status, denial, &verdict);
	text_printf(out, "berm:   denied %llux %s ", (unsigned long long)denial->count,
		denial->operation);
	put_escaped(out, denial->target);
	text_puts(out, "\n");
	footer_rule(&denial->rule, out);
	if (!verdict.hint[0])
		return;
	text_puts(out, verdict.keep_denied ? "berm:     " : "berm:     to allow it: ");
	put_escaped(out, verdict.hint);
	text_puts(out, "\n");
}

/* "files_deleted", "denials" …; of a breaker the class of the refusals. */
static const char *what_tripped(const struct trip *trip)
{
	static const char *const classes[DENIAL_CLASS_COUNT] = {
		[DENIAL_QUIET] = "denials",
		[DENIAL_COUNTED] = "denials",
		[DENIAL_CANARY] = "canary touched",
		[DENIAL_ESCAPE] = "escape attempt",
	};

	if (trip->kind == TRIP_KIND_BREAKER && trip->class < DENIAL_CLASS_COUNT)
		return classes[trip->class];
	return effect_counter_name(trip->counter);
}

static void footer_trip(const struct status *status, const struct trip *trip, struct text *out)
{
	const Berm__Wire__Rule *rule = rule_of(status, trip);

	text_printf(out, "berm:   %s", trip_word(trip));
	switch (trip->kind) {
	case TRIP_KIND_CAP:
	case TRIP_KIND_STEP:
		text_printf(out, ": %s came to %llu, %s %llu", what_tripped(trip),
			(unsigned long long)trip->value,
			trip->kind == TRIP_KIND_CAP ? "the cap is" : "the threshold is",
			(unsigned long long)trip->limit);
		break;
	case TRIP_KIND_BREAKER:
		text_printf(
			out, ": %s, %llux", what_tripped(trip), (unsigned long long)trip->value);
		break;
	case TRIP_KIND_OPERATOR:
		text_puts(out, ": somebody set the posture");
		break;
	case TRIP_KIND_METER:
		text_puts(out, ": its programs were detached");
		break;
	case TRIP_KIND_RECORDER:
		text_puts(out, ": nothing could be recorded any more");
		break;
	case TRIP_KIND_GROUP:
		text_puts(out, ": the phase of the agent's group asks for it");
		break;
	case TRIP_KIND_COUNT:
		break;
	}
	if (!trip->warning)
		text_printf(out, "; then %s (%s)", posture_name(trip->posture),
			phase_name(trip->phase));
	text_puts(out, "\n");
	if (!rule)
		return;
	footer_rule(&(struct denial_rule){.key = rule->key,
			    .value = rule->value,
			    .file = rule->file,
			    .line = rule->line,
			    .reason = rule->reason},
		out);
}

static void footer_trips(const struct status *status, struct text *out)
{
	const struct effects *e = status->effects;
	size_t shown;

	if (!e || e->trip_count == 0)
		return;
	shown = e->trip_count < FOOTER_ROWS_MAX ? e->trip_count : FOOTER_ROWS_MAX;
	text_printf(out, "berm: %zu report%s of the meter; the run ended %s, %s (run %s):\n",
		e->trip_count, e->trip_count == 1 ? "" : "s", posture_name(e->posture),
		phase_name(e->phase), status->run_id);
	for (size_t i = 0; i < shown; i++)
		footer_trip(status, &e->trips[i], out);
	if (shown < e->trip_count || e->trips_not_kept)
		text_puts(out, "berm:   … and more; --json and --status-fd list them\n");
}

void status_footer(const struct status *status, struct text *out)
{
	const struct denials *denials = status->denials;
	size_t shown = denials->count < FOOTER_ROWS_MAX ? denials->count : FOOTER_ROWS_MAX;

	footer_trips(status, out);
	if (denials->total == 0)
		return;
	text_printf(out, "berm: %llu operation%s refused (run %s):\n",
		(unsigned long long)denials->total, denials->total == 1 ? " was" : "s were",
		status->run_id);
	for (size_t i = 0; i < shown; i++)
		footer_row(status, &denials->items[i], out);
	if (shown < denials->count || denials->not_kept)
		text_printf(out, "berm:   … and more; --json and --status-fd list up to %d\n",
			DENIALS_MAX);
}
