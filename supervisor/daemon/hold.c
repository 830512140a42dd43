/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hold-internal.h"

#include "wire/held.h"

#include <signal.h>
#include <string.h>

const char *hold_moment(uint32_t on)
{
	return on == HELD_COMMIT ? "commit" : on == HELD_WRITE ? "write" : "run";
}

struct hold_answer *hold_add(struct hold_answers *answers)
{
	struct hold_answer *last = &answers->items[HOLD_ANSWERS_MAX - 1];

	/* hold() refuses more gates than there is room for. */
	if (answers->count < HOLD_ANSWERS_MAX)
		last = &answers->items[answers->count++];
	*last = (struct hold_answer){.answer = "denied"};
	return last;
}

static bool asks_gate(const struct hold_question *question, const Berm__Wire__ApprovalGate *gate)
{
	return gate->on & question->shown->on;
}

static size_t count_gates(const struct hold_question *question)
{
	size_t count = 0;

	for (size_t i = 0; question->rules && i < question->rules->n_gates; i++)
		count += asks_gate(question, question->rules->gates[i]);
	return count;
}

static bool asks_person(const struct hold_question *question)
{
	return question->why || (question->rules && question->rules->on & question->shown->on);
}

bool hold_is_wanted(const struct hold_question *question)
{
	return asks_person(question) || count_gates(question);
}

/* What a gate said; its words are kept for the record. */
static enum verdict note(const struct hook *hook, const Berm__Wire__ApprovalGate *gate,
	uint64_t asked_ms, struct hold_answers *answers)
{
	static const char *const words[VERDICT_COUNT] = {
		[VERDICT_ALLOW] = "allowed", [VERDICT_ASK] = "asked", [VERDICT_DENY] = "denied"};
	struct hold_answer *a = hold_add(answers);

	snprintf(a->gate, sizeof(a->gate), "%s", gate->name);
	snprintf(a->channel, sizeof(a->channel), "gate");
	a->waited_ms = hook_clock_ms() - asked_ms;
	if (hook->failed) {
		a->answer = hook->error.code == -ETIMEDOUT ? "timeout" : "failed";
		snprintf(
			a->reason, sizeof(a->reason), "%.*s", HOLD_WORDS_MAX - 1, hook->error.text);
		return gate->ask_on_error ? VERDICT_ASK : VERDICT_DENY;
	}
	a->answer = words[hook->answer.verdict];
	snprintf(a->by, sizeof(a->by), "%s", hook->answer.by);
	snprintf(a->reason, sizeof(a->reason), "%s", hook->answer.reason);
	return hook->answer.verdict;
}

static void prepare(const struct hold_question *question, const Berm__Wire__ApprovalGate *gate,
	struct hook *hook, struct text *input)
{
	hold_json(question, NULL, gate->name, input);
	*hook = (struct hook){.argv = gate->exec,
		.argc = gate->n_exec,
		.input = text_string(input),
		.input_length = input->length,
		.timeout_ms = gate->timeout_ms,
		.uid = gate->operators ? geteuid() : question->uid,
		.gid = gate->operators ? getegid() : question->gid};
}

static bool is_meant(void *signals)
{
	struct error ignored = {0};

	return hold_signals_look(signals, &ignored) < 0;
}

/* All at once; each is asked, whatever the others say: their answers belong in the record. */
static int ask_gates(const struct hold_question *question, struct hold_signals *signals,
	struct hold_answers *answers, enum verdict *ret_verdict, struct error *err)
{
	size_t count = count_gates(question);
	autofree struct hook *hooks = calloc(count, sizeof(*hooks));
	autofree struct text *inputs = calloc(count, sizeof(*inputs));
	autofree const Berm__Wire__ApprovalGate **gates = calloc(count, sizeof(*gates));
	const struct hooks_stop stop = {signals->fd, is_meant, signals};
	uint64_t asked_ms = hook_clock_ms();
	bool failed = !hooks || !inputs || !gates;
	size_t n = 0;

	for (size_t i = 0; !failed && i < question->rules->n_gates; i++) {
		if (!asks_gate(question, question->rules->gates[i]))
			continue;
		gates[n] = question->rules->gates[i];
		prepare(question, gates[n], &hooks[n], &inputs[n]);
		failed = inputs[n++].failed;
	}
	if (!failed)
		hooks_run(hooks, n, &stop);
	*ret_verdict = VERDICT_ALLOW;
	for (size_t i = 0; i < n; i++) {
		if (!failed)
			*ret_verdict = verdict_join(
				*ret_verdict, note(&hooks[i], gates[i], asked_ms, answers));
		text_finish(&inputs[i]);
	}
	return failed ? error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory") : 0;
}

static int gates_said_no(const struct hold_answers *answers, struct error *err)
{
	for (size_t i = 0; i < answers->count; i++) {
		const struct hold_answer *a = &answers->items[i];
		autotext struct text reason = {0};

		if (strcmp(a->answer, "allowed") == 0 || strcmp(a->answer, "asked") == 0)
			continue;
		text_escape(&reason, a->reason, strlen(a->reason), HOLD_WORDS_MAX);
		return error_set(err, -EPERM, ERROR_REFUSED, "the gate %s says no%s%s", a->gate,
			reason.length ? ": " : "", text_string(&reason));
	}
	return error_set(err, -EPERM, ERROR_REFUSED, "a gate says no");
}

static int ask_all(const struct hold_question *question, struct hold_signals *signals,
	struct hold_answers *answers, struct error *err)
{
	size_t count = count_gates(question);
	enum verdict verdict = VERDICT_ALLOW;

	if (count >= HOLD_ANSWERS_MAX || count > HOOKS_MAX)
		return error_set(err, -E2BIG, ERROR_REFUSED, "%zu gates are more than %d", count,
			HOLD_ANSWERS_MAX - 1);
	if (count && ask_gates(question, signals, answers, &verdict, err) < 0)
		return err->code;
	if (hold_signals_look(signals, err) < 0)
		return err->code;
	if (verdict == VERDICT_DENY)
		return gates_said_no(answers, err);
	if (verdict != VERDICT_ASK && !asks_person(question))
		return 0;
	return hold_for_person(question,
		verdict == VERDICT_ASK ? "a gate wants a person to decide" : question->why, signals,
		answers, err);
}

int hold(const struct hold_question *question, struct hold_answers *ret_answers, struct error *err)
{
	const struct sigaction usual = {.sa_handler = SIG_DFL};
	struct sigaction before;
	struct hold_signals signals;
	int r;

	*ret_answers = (struct hold_answers){0};
	/* Whoever ignores the end of children never learns how they ended. */
	sigaction(SIGCHLD, &usual, &before);
	r = hold_signals_block(&signals, question, err);
	if (r == 0)
		r = ask_all(question, &signals, ret_answers, err);
	ret_answers->signal = signals.arrived;
	hold_signals_restore(&signals);
	sigaction(SIGCHLD, &before, NULL);
	return r;
}

void hold_record(const struct hold_answer *answer, const Berm__Wire__ApprovalRequest *shown,
	const ProtobufCBinaryData *target, Berm__Wire__Approval *ret_approval)
{
	Berm__Wire__Approval *a = ret_approval;

	berm__wire__approval__init(a);
	if (answer->id[0])
		a->id = (char *)(uintptr_t)answer->id;
	a->operation = (char *)(uintptr_t)hold_moment(shown->on);
	a->has_target = true;
	a->target = *target;
	a->answer = (char *)(uintptr_t)answer->answer;
	if (answer->gate[0])
		a->gate = (char *)(uintptr_t)answer->gate;
	/* A person is somebody else than a program that names one. */
	if (answer->by[0] && !answer->gate[0])
		a->approver = (char *)(uintptr_t)answer->by;
	a->has_waited_ms = true;
	a->waited_ms = answer->waited_ms;
	if (answer->channel[0])
		a->channel = (char *)(uintptr_t)answer->channel;
	a->has_digest = true;
	a->digest = shown->digest;
	if (answer->reason[0]) {
		a->has_reason = true;
		a->reason = (ProtobufCBinaryData){
			strlen(answer->reason), (uint8_t *)(uintptr_t)answer->reason};
	}
}
