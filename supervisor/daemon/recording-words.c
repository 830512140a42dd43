/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recording-internal.h"

#include "daemon/status.h"
#include "meter/classes.h"

#include <string.h>
#include <unistd.h>

/* The generated structs want char *, and change nothing. */
static char *words_of(const char *words)
{
	return (char *)(uintptr_t)words;
}

static void tell(struct recording *recording, Berm__Wire__Record *record)
{
	recorder_client_append(recording->client, RECORD_RING_DECISIONS, record);
}

/* ---- the start ---- */

uint32_t recording_enforcement(const Berm__Wire__Plan *plan)
{
	const Berm__Wire__Meter *meter = plan->meter;
	uint32_t flags = RECORD_ENFORCED_MOUNT | RECORD_ENFORCED_SECCOMP | RECORD_ENFORCED_USERNS;

	if (plan->landlock && plan->landlock->abi > 0)
		flags |= RECORD_ENFORCED_LANDLOCK;
	if (plan->cgroup && plan->cgroup->use)
		flags |= RECORD_ENFORCED_CGROUP;
	if (plan->n_rlimits > 0)
		flags |= RECORD_ENFORCED_RLIMIT;
	if (plan->network && plan->network->mode != BERM__WIRE__NETWORK_MODE__NETWORK_HOST)
		flags |= RECORD_ENFORCED_NETNS;
	if (meter && meter->programs != BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE)
		flags |= RECORD_ENFORCED_BPF;
	if (meter && meter->gate)
		flags |= RECORD_ENFORCED_NOTIFY;
	if (plan->n_degraded > 0)
		flags |= RECORD_ENFORCED_DEGRADED;
	return flags;
}

static bool by_before(const Berm__Wire__Plan *plan, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(plan->rules[i]->enforced_by, plan->rules[index]->enforced_by) == 0)
			return true;
	return false;
}

/* Each way once, as far as there is room. */
static void join_ways(const Berm__Wire__Plan *plan, struct text *out)
{
	for (size_t i = 0; i < plan->n_rules && out->length < RECORDING_WORDS_MAX; i++)
		if (plan->rules[i]->enforced_by[0] && !by_before(plan, i))
			text_printf(
				out, "%s%s", out->length ? ", " : "", plan->rules[i]->enforced_by);
}

static ProtobufCBinaryData bytes_of_text(const struct text *text)
{
	return (ProtobufCBinaryData){text->length, (uint8_t *)(uintptr_t)text_string(text)};
}

/* The command line as it was asked for, without its secrets, cut where it is too long to be kept.
 */
static size_t fill_argv(const struct text *words, ProtobufCBinaryData *rows, size_t most,
	size_t limit_bytes, bool *ret_cut)
{
	size_t count = 0, bytes = 0;

	for (; count < most; count++) {
		rows[count] = bytes_of_text(&words[count]);
		if (bytes + rows[count].len > limit_bytes)
			break;
		bytes += rows[count].len + 4;
	}
	*ret_cut = count < most;
	return count;
}

static size_t count_words(const char *const *words)
{
	size_t count = 0;

	while (words && words[count])
		count++;
	return count;
}

static void fill_caller(
	const struct session *session, const struct text *directory, Berm__Wire__RunStart *start)
{
	start->has_caller_uid = start->has_caller_pid = true;
	start->caller_uid = session->caller.uid;
	start->caller_pid =
		(uint32_t)(session->request->client ? session->request->client->pid : getppid());
	if (session->caller.name[0])
		start->caller_name = words_of(session->caller.name);
	if (session->directory) {
		start->has_working_directory = true;
		start->working_directory = bytes_of_text(directory);
	}
}

/* "journald ocsf" each: what the process that sends them goes by. */
static void fill_sinks(const Berm__Wire__Recorder *recorder, Berm__Wire__RunStart *start)
{
	start->sinks = calloc(recorder->n_sinks + 1, sizeof(*start->sinks));
	for (size_t i = 0; start->sinks && i < recorder->n_sinks; i++) {
		bool syslog = recorder->sinks[i]->type ==
			      BERM__WIRE__RECORDER_SINK_TYPE__RECORDER_SINK_SYSLOG;
		char *word = NULL;

		if (asprintf(&word, "%s %s", syslog ? "syslog" : "journald",
			    recorder->sinks[i]->format) < 0)
			return;
		start->sinks[start->n_sinks++] = word;
	}
}

static void free_sinks(Berm__Wire__RunStart *start)
{
	for (size_t i = 0; i < start->n_sinks; i++)
		free(start->sinks[i]);
	free(start->sinks);
}

void recording_tell_start(struct recording *recording, const struct session *session)
{
	const char *const *argv = session->request->argv;
	const Berm__Wire__Plan *plan = session->plan;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunStart start = BERM__WIRE__RUN_START__INIT;
	Berm__Wire__DecisionChain chain = BERM__WIRE__DECISION_CHAIN__INIT;
	const Berm__Wire__Agent *agent = session_agent(session);
	struct recording_chain above;
	size_t count = count_words(argv);
	autofree ProtobufCBinaryData *rows = calloc(count + 1, sizeof(*rows));
	autofree struct text *words = calloc(count + 1, sizeof(*words));
	autotext struct text ways = {0}, directory = {0};
	bool cut = true;

	if (session->directory)
		redact_text(recording->redactor, session->directory, strlen(session->directory),
			false, &directory);
	if (words)
		redact_words(recording->redactor, argv, count, words);
	if (rows && words)
		start.n_argv = fill_argv(words, rows, count,
			session->was_refused ? RECORDING_REFUSED_ARGV_BYTES : RECORDING_ARGV_BYTES,
			&cut);
	start.argv = rows;
	start.has_argv_cut = cut;
	start.argv_cut = cut;
	start.profile =
		words_of(session->profile ? session->profile->name : session->request->profile);
	fill_caller(session, &directory, &start);
	recording_fill_files(recording->redactor, session->profile, &start);
	if (plan) {
		join_ways(plan, &ways);
		start.enforced_by = words_of(text_string(&ways));
		start.has_plan_digest = true;
		start.plan_digest = (ProtobufCBinaryData){
			PLAN_DIGEST_BYTES, (uint8_t *)(uintptr_t)session->plan_digest};
		start.degraded = plan->degraded;
		start.n_degraded = plan->n_degraded;
	}
	if (plan && plan->recorder) {
		start.has_keep_ms = true;
		start.keep_ms = plan->recorder->keep_ms;
		fill_sinks(plan->recorder, &start);
	}
	recording_fill_chain(&session->chain, &above, &start);
	if (session->chain.count) {
		chain.action_type = words_of("delegation");
		record.chain = &chain;
	}
	if (agent) {
		chain.agent_nhi = agent->name;
		chain.accountable_human = agent->accountable_human;
		record.chain = &chain;
	}
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_START;
	record.run_start = &start;
	tell(recording, &record);
	for (size_t i = 0; words && i < count; i++)
		text_finish(&words[i]);
	free_sinks(&start);
	recording_free_files(&start);
}

/* ---- refusals ---- */

/* The rule of the plan that these words come from; n_rules where there is none. */
static size_t find_rule(const Berm__Wire__Plan *plan, const struct denial_rule *rule)
{
	size_t i = 0;

	while (plan && i < plan->n_rules &&
		(plan->rules[i]->line != rule->line ||
			strcmp(plan->rules[i]->key, rule->key) != 0 ||
			strcmp(plan->rules[i]->file, rule->file) != 0 ||
			strcmp(plan->rules[i]->value, rule->value ? rule->value : "") != 0))
		i++;
	return i;
}

static void fill_rule(const Berm__Wire__Plan *plan, const struct denial_rule *rule,
	const char *operation, Berm__Wire__RecordRule *out)
{
	size_t index = find_rule(plan, rule);

	out->key = words_of(rule->key);
	out->has_line = rule->line > 0;
	out->line = rule->line;
	if (rule->file[0])
		out->file = words_of(rule->file);
	if (!plan || index == plan->n_rules)
		return;
	out->has_rule = true;
	out->rule = (uint32_t)index;
	/* berm's own rule stands for all walls at once: what refused is known by what was tried. */
	if (index == 0)
		out->by = words_of(
			strcmp(operation, "syscall") == 0 || strcmp(operation, "socket") == 0
				? "seccomp"
				: "bpf");
	else if (plan->rules[index]->enforced_by[0])
		out->by = words_of(plan->rules[index]->enforced_by);
}

static void tell_denial(
	struct recording *recording, const struct session *session, size_t index, uint64_t count)
{
	const struct denial *denial = &session->denials.items[index];
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Denial body = BERM__WIRE__DENIAL__INIT;
	Berm__Wire__RecordRule rule = BERM__WIRE__RECORD_RULE__INIT;
	autotext struct text target = {0};
	char id[DENIAL_ID_BYTES];

	/* Its end may be missing: the kernel's text has a bound. */
	redact_text(recording->redactor, denial->target, strlen(denial->target), true, &target);

	denial_id(session->run_id, index, id);
	body.id = id;
	body.operation = words_of(denial->operation);
	body.has_target = true;
	body.target = bytes_of_text(&target);
	body.has_class_ = true;
	body.class_ = denial_class_of(denial->operation, denial->target);
	body.has_count = count > 1;
	body.count = count;
	fill_rule(session->plan, &denial->rule, denial->operation, &rule);
	body.rule = &rule;
	record.body_case = BERM__WIRE__RECORD__BODY_DENIAL;
	record.denial = &body;
	tell(recording, &record);
}

/* Refusals that found the table full are told as a number. */
static void tell_unlisted(struct recording *recording, uint64_t count)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Denial body = BERM__WIRE__DENIAL__INIT;

	body.has_count = true;
	body.count = count;
	record.body_case = BERM__WIRE__RECORD__BODY_DENIAL;
	record.denial = &body;
	tell(recording, &record);
}

/* The first of a kind at once; the others by what has come since. */
void recording_tell_denials(struct recording *recording, struct session *session)
{
	struct denials *denials = &session->denials;

	if (denials->told == denials->total)
		return;
	denials->told = denials->total;
	for (size_t i = 0; i < denials->count; i++) {
		struct denial *denial = &denials->items[i];

		if (denial->count > denial->told)
			tell_denial(recording, session, i, denial->count - denial->told);
		denial->told = denial->count;
	}
	if (denials->not_kept > recording->denials_not_kept)
		tell_unlisted(recording, denials->not_kept - recording->denials_not_kept);
	recording->denials_not_kept = denials->not_kept;
}

/* ---- the meter ---- */

static void fill_plan_rule(
	const Berm__Wire__Plan *plan, uint32_t index, Berm__Wire__RecordRule *out)
{
	const Berm__Wire__Rule *rule = plan->rules[index];

	out->has_rule = true;
	out->rule = index;
	out->key = rule->key;
	out->has_line = rule->line > 0;
	out->line = rule->line;
	if (rule->file[0])
		out->file = rule->file;
	if (rule->enforced_by[0])
		out->by = rule->enforced_by;
}

static void tell_trip(
	struct recording *recording, const struct session *session, const struct trip *trip)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Trip body = BERM__WIRE__TRIP__INIT;
	Berm__Wire__RecordRule rule = BERM__WIRE__RECORD_RULE__INIT;

	body.has_counter = body.has_used = body.has_limit = body.has_level = body.has_posture =
		true;
	body.counter = trip->counter;
	body.used = trip->value;
	body.limit = trip->limit;
	body.posture = trip->warning ? POSTURE_OPEN : trip->posture;
	if (session->plan && trip->rule < session->plan->n_rules) {
		fill_plan_rule(session->plan, trip->rule, &rule);
		body.rule = &rule;
	}
	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = &body;
	tell(recording, &record);
}

/* The last of the meter's words that changed something, as "cap blast_radius.files_deleted". */
static void words_of_change(const struct session *session, char *words, size_t size)
{
	const struct effects *e = &session->effects;
	const struct trip *trip = NULL;

	for (size_t i = e->trip_count; i-- > 0 && !trip;)
		if (!e->trips[i].warning)
			trip = &e->trips[i];
	if (!trip)
		snprintf(words, size, "the meter");
	else if (trip->kind == TRIP_KIND_METER)
		snprintf(words, size, "the meter's programs were detached");
	else if (session->plan && trip->rule < session->plan->n_rules)
		snprintf(words, size, "%s %s", trip_word(trip),
			session->plan->rules[trip->rule]->key);
	else
		snprintf(words, size, "%s", trip_word(trip));
}

static void tell_posture(
	struct recording *recording, uint32_t after, const char *reason, const char *by)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__PostureChange body = BERM__WIRE__POSTURE_CHANGE__INIT;

	body.has_before = body.has_after = true;
	body.before = recording->posture;
	body.after = after;
	body.reason = words_of(reason);
	body.by = words_of(by);
	record.body_case = BERM__WIRE__RECORD__BODY_POSTURE_CHANGE;
	record.posture_change = &body;
	tell(recording, &record);
	recording->posture = after;
}

static void tell_phase(
	struct recording *recording, uint32_t after, const char *trigger, const char *authority)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__PhaseChange body = BERM__WIRE__PHASE_CHANGE__INIT;

	body.has_before = body.has_after = true;
	body.before = recording->phase;
	body.after = after;
	body.trigger = words_of(trigger);
	body.authority = words_of(authority);
	record.body_case = BERM__WIRE__RECORD__BODY_PHASE_CHANGE;
	record.phase_change = &body;
	tell(recording, &record);
	recording->phase = after;
}

void recording_tell_effects(
	struct recording *recording, const struct session *session, const char *by)
{
	const struct effects *e = &session->effects;
	char reason[RECORDING_WORDS_MAX];

	for (; recording->trips < e->trip_count; recording->trips++) {
		const struct trip *trip = &e->trips[recording->trips];

		/* What the others do is a change of posture alone. */
		if (trip->kind < TRIP_KIND_OPERATOR)
			tell_trip(recording, session, trip);
	}
	if (e->posture != recording->posture || e->phase != recording->phase) {
		if (by)
			snprintf(reason, sizeof(reason), "set from outside");
		else
			words_of_change(session, reason, sizeof(reason));
		if (e->phase != recording->phase)
			tell_phase(recording, e->phase, reason, by ? by : "automatic");
		if (e->posture != recording->posture)
			tell_posture(recording, e->posture, reason, by ? by : "the meter");
	}
	recorder_client_lost(recording->client, RECORD_RING_DECISIONS,
		BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE, e->trips_not_kept - recording->trips_not_kept);
	recording->trips_not_kept = e->trips_not_kept;
	recorder_client_lost(recording->client, RECORD_RING_DECISIONS,
		BERM__WIRE__LOSS_SOURCE__LOSS_KERNEL_RING, e->events_lost - recording->events_lost);
	recording->events_lost = e->events_lost;
	recorder_client_lost(recording->client, RECORD_RING_ACTIVITY,
		BERM__WIRE__LOSS_SOURCE__LOSS_KERNEL_RING,
		e->activity_lost - recording->activity_lost);
	recording->activity_lost = e->activity_lost;
}

/* ---- the receipt ---- */

static void fill_counters(const struct effects *e, Berm__Wire__CounterUse *uses,
	Berm__Wire__CounterUse **pointers, Berm__Wire__RunEnd *end)
{
	for (unsigned i = 0; e->metered && i < COUNTER_COUNT; i++) {
		Berm__Wire__CounterUse *use = &uses[end->n_counters];

		if (!e->counted[i])
			continue;
		berm__wire__counter_use__init(use);
		use->has_counter = use->has_used = true;
		use->counter = i;
		use->used = e->done[i];
		use->has_cap = e->limit[i] != EFFECTS_UNLIMITED;
		use->cap = e->limit[i];
		pointers[end->n_counters++] = use;
	}
	end->counters = pointers;
}

static uint64_t microseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

static void fill_resources(const struct rusage *usage, Berm__Wire__ResourceUse *out)
{
	out->has_user_us = out->has_system_us = out->has_max_rss_kib = out->has_minor_faults =
		out->has_major_faults = out->has_read_blocks = out->has_written_blocks = true;
	out->user_us = microseconds(&usage->ru_utime);
	out->system_us = microseconds(&usage->ru_stime);
	out->max_rss_kib = (uint64_t)usage->ru_maxrss;
	out->minor_faults = (uint64_t)usage->ru_minflt;
	out->major_faults = (uint64_t)usage->ru_majflt;
	out->read_blocks = (uint64_t)usage->ru_inblock;
	out->written_blocks = (uint64_t)usage->ru_oublock;
}

void recording_tell_end(
	struct recording *recording, const struct session *session, const struct run_result *result)
{
	Berm__Wire__CounterUse uses[COUNTER_COUNT], *pointers[COUNTER_COUNT];
	Berm__Wire__ResourceUse resources = BERM__WIRE__RESOURCE_USE__INIT;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunEnd end = BERM__WIRE__RUN_END__INIT;
	autotext struct text reason = {0};

	end.outcome = words_of(status_outcome_word(result->outcome));
	end.has_exit_code = end.has_duration_ms = end.has_denials = true;
	end.exit_code = (uint32_t)result->code;
	end.has_signal = result->signal > 0;
	end.signal = (uint32_t)result->signal;
	end.duration_ms = result->duration_ms;
	end.denials = session->denials.total;
	fill_counters(&session->effects, uses, pointers, &end);
	recording_fill_outputs(recording->redactor, session, &end);
	if (result->outcome != RUN_REFUSED && result->outcome != RUN_SETUP_FAILED) {
		fill_resources(&result->usage, &resources);
		end.resources = &resources;
	}
	if (redact_text(recording->redactor, result->error.text, strlen(result->error.text), true,
		    &reason) ||
		reason.length > 0)
		end.reason = words_of(text_string(&reason));
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_END;
	record.run_end = &end;
	tell(recording, &record);
	recording_free_outputs(&end);
}
