/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/status.h"

#include "base/json.h"
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
	if (!status->profile)
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
	char id[64];

	advise(status, denial, &verdict);
	snprintf(id, sizeof(id), "%s.%zu", status->run_id, index + 1);
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

void status_enforcement(const Berm__Wire__Plan *plan, struct json *j)
{
	json_object_begin(j, "enforcement");
	for (size_t i = 0; plan && i < plan->n_rules; i++) {
		autotext struct text ways = {0};

		if (!plan->rules[i]->enforced_by[0] || key_before(plan, i))
			continue;
		for (size_t k = i; k < plan->n_rules; k++) {
			if (strcmp(plan->rules[k]->key, plan->rules[i]->key) != 0 ||
				!plan->rules[k]->enforced_by[0] || listed_before(plan, k))
				continue;
			text_printf(&ways, "%s%s", ways.length ? ", " : "",
				plan->rules[k]->enforced_by);
		}
		j->out->failed |= ways.failed;
		json_put_string(j, plan->rules[i]->key, text_string(&ways));
	}
	json_object_end(j);
}

static void record_digest(const uint8_t *digest, struct json *j)
{
	char hex[2 * PLAN_DIGEST_BYTES + 1];

	if (!digest) {
		json_put_null(j, "plan_digest");
		return;
	}
	for (size_t i = 0; i < PLAN_DIGEST_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	json_put_string(j, "plan_digest", hex);
}

void status_record(const struct status *status, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "run", status->run_id);
	json_put_null(&j, "agent");
	json_put_string(&j, "outcome", status_outcome_word(status->outcome));
	json_put_i64(&j, "code", status->code);
	if (status->signal)
		json_put_i64(&j, "signal", status->signal);
	else
		json_put_null(&j, "signal");
	json_put_string(&j, "posture", "open");
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
	json_object_begin(&j, "counters");
	json_object_end(&j);
	json_put_u64(&j, "duration_ms", status->duration_ms);
	record_digest(status->plan_digest, &j);
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
		text_printf(out, ":%u)", rule->line);
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

void status_footer(const struct status *status, struct text *out)
{
	const struct denials *denials = status->denials;
	size_t shown = denials->count < FOOTER_ROWS_MAX ? denials->count : FOOTER_ROWS_MAX;

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
