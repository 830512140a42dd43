/* SPDX-License-Identifier: Apache-2.0 */
#include "record/line.h"

#include "base/own.h"
#include "record/export-internal.h"
#include "record/line-internal.h"
#include "wire/effects.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RULE_BYTES 100
#define CHANGED_BYTES 200 /* of one side of a field */

void line_put_bytes(struct text *out, const ProtobufCBinaryData *bytes, size_t max_bytes)
{
	if (bytes->len)
		text_escape(out, (const char *)bytes->data, bytes->len, max_bytes);
}

void line_put(struct text *out, const char *string, size_t max_bytes)
{
	if (string)
		text_escape(out, string, strlen(string), max_bytes);
}

/* Words of a program, one space between. */
static void put_words(struct text *out, const ProtobufCBinaryData *words, size_t count)
{
	autotext struct text whole = {0};

	for (size_t i = 0; i < count && whole.length <= LINE_OBJECT_BYTES_MAX; i++) {
		size_t length = words[i].len < LINE_OBJECT_BYTES_MAX ? words[i].len
								     : LINE_OBJECT_BYTES_MAX + 1;

		text_puts(&whole, i ? " " : "");
		text_append(&whole, (const char *)words[i].data, length);
	}
	out->failed |= whole.failed;
	text_escape(out, text_string(&whole), whole.length, LINE_OBJECT_BYTES_MAX);
}

void line_put_error(struct text *out, uint32_t error)
{
	const char *name = strerrorname_np((int)error);

	if (name)
		text_puts(out, name);
	else
		text_printf(out, "errno %u", error);
}

void line_put_milliseconds(struct text *out, uint64_t ms)
{
	if (ms < 60000)
		text_printf(out, "%" PRIu64 ".%" PRIu64 "s", ms / 1000, ms % 1000 / 100);
	else
		text_printf(out, "%" PRIu64 "m%" PRIu64 "s", ms / 60000, ms % 60000 / 1000);
}

static const char *posture_word(uint32_t posture)
{
	return posture <= POSTURE_ALL ? posture_name(posture) : "?";
}

static const char *phase_word(uint32_t phase)
{
	return phase < PHASE_COUNT ? phase_name(phase) : "?";
}

/* The area that an operation belongs to. */
static const char *area_of(const char *operation)
{
	static const struct {
		const char *operation, *area;
	} areas[] = {{"exec", "EXEC"}, {"connect", "NET"}, {"bind", "NET"}, {"listen", "NET"},
		{"send", "NET"}, {"socket", "NET"}, {"dns", "NET"}, {"network", "NET"},
		{"syscall", "SYS"}, {"env", "ENV"}, {"tool", "TOOL"}};

	for (size_t i = 0; operation && i < array_size(areas); i++)
		if (strcmp(areas[i].operation, operation) == 0)
			return areas[i].area;
	return "FILE";
}

static void fill_denial(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__Denial *d = record->denial;

	l->area = area_of(d->operation);
	if (d->class_ == DENIAL_CANARY || d->class_ == DENIAL_ESCAPE)
		text_puts(&l->more, d->class_ == DENIAL_CANARY ? "canary" : "escape");
	line_put(&l->operation, d->operation, LINE_WORD_BYTES);
	line_put_bytes(&l->object, &d->target, LINE_OBJECT_BYTES_MAX);
	if (d->has_count && d->count != 1)
		text_printf(&l->more, "%sx%" PRIu64, l->more.length ? " " : "", d->count);
	if (d->id)
		l->id = d->id;
}

static void fill_trip(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__Trip *t = record->trip;
	const char *name = effect_counter_name(t->counter);

	text_puts(&l->operation, name[0] ? name : "?");
	text_printf(&l->object, "%" PRIu64 " of %" PRIu64, t->used, t->limit);
	text_printf(&l->more, "-> %s", posture_word(t->posture));
}

static void put_by(struct line *l, const char *by)
{
	if (!by)
		return;
	text_puts(&l->more, l->more.length ? " by " : "by ");
	line_put(&l->more, by, LINE_WORD_BYTES);
}

static void fill_posture(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__PostureChange *p = record->posture_change;

	text_puts(&l->operation, "posture");
	text_printf(&l->object, "%s -> %s", posture_word(p->before), posture_word(p->after));
	line_put(&l->more, p->reason, LINE_MORE_BYTES);
	put_by(l, p->by);
}

static void fill_phase(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__PhaseChange *p = record->phase_change;

	bool refused = p->result && strcmp(p->result, "refused") == 0;
	bool asked = p->result && strcmp(p->result, "asked") == 0;

	text_puts(&l->operation, "phase");
	if (record->group && p->result) {
		line_put(&l->object, record->group, LINE_WORD_BYTES);
		text_puts(&l->object, ": ");
	}
	text_printf(&l->object, "%s -> %s", phase_word(p->before),
		phase_word(p->has_wanted && (refused || asked) ? p->wanted : p->after));
	if (refused || asked)
		text_puts(&l->object, refused ? " refused" : " asked for");
	line_put(&l->more, p->trigger, LINE_MORE_BYTES);
	put_by(l, p->authority);
	if (p->by) {
		text_puts(&l->more, " ");
		line_put(&l->more, p->by, LINE_WORD_BYTES);
	}
	if (refused || asked)
		return;
	if (p->after == PHASE_PRIMARY)
		l->tone = LINE_GOOD;
	if (p->after == PHASE_EMERGENCY)
		l->tone = LINE_BAD;
}

static void fill_change_set(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__ChangeSetEnd *c = record->change_set;

	line_put(&l->operation, c->action ? c->action : "?", LINE_WORD_BYTES);
	line_put_bytes(&l->object, &c->workspace, LINE_OBJECT_BYTES_MAX);
	text_printf(&l->more, "%llu changes of run ", (unsigned long long)c->changes);
	line_put(&l->more, c->staged_by ? c->staged_by : "?", LINE_WORD_BYTES);
	if (c->by) {
		text_puts(&l->more, " by ");
		line_put(&l->more, c->by, LINE_WORD_BYTES);
	}
}

static void fill_kill(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__Kill *k = record->kill;

	text_puts(&l->operation, "kill");
	line_put(&l->object, k->killed ? k->killed : "?", LINE_OBJECT_BYTES_MAX);
	line_put_bytes(&l->more, &k->reason, LINE_MORE_BYTES);
	put_by(l, k->by);
	if (k->has_gone_boot_ns && k->gone_boot_ns >= k->asked_boot_ns) {
		text_puts(&l->more, ", gone after ");
		line_put_milliseconds(&l->more, (k->gone_boot_ns - k->asked_boot_ns) / 1000000);
	} else {
		text_puts(&l->more, ", NOT gone");
		l->tone = LINE_BAD;
	}
}

static void fill_agent(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__AgentChange *a = record->agent_change;

	line_put(&l->operation, a->operation, LINE_WORD_BYTES);
	line_put(&l->object, a->name ? a->name : "?", LINE_OBJECT_BYTES_MAX);
	line_put(&l->more, a->reason, LINE_MORE_BYTES);
	for (size_t i = 0; i < a->n_changed; i++) {
		const Berm__Wire__ChangedField *field = a->changed[i];

		text_puts(&l->more, i ? ", " : a->reason ? ": " : "");
		line_put(&l->more, field->name, LINE_WORD_BYTES);
		text_puts(&l->more, " ");
		line_put(&l->more, field->before ? field->before : "none", CHANGED_BYTES);
		text_puts(&l->more, " -> ");
		line_put(&l->more, field->after ? field->after : "none", CHANGED_BYTES);
	}
	put_by(l, a->by);
}

static void fill_halt(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__HaltChange *h = record->halt_change;

	line_put(&l->operation, h->operation, LINE_WORD_BYTES);
	line_put(&l->object, h->of ? h->of : "?", LINE_OBJECT_BYTES_MAX);
	line_put_bytes(&l->more, &h->reason, LINE_MORE_BYTES);
	put_by(l, h->by);
}

bool line_approval_is_yes(const char *answer)
{
	/* A gate that asks for a person says neither; the person's answer is a record of its own.
	 */
	static const char *const good[] = {"once", "run", "profile", "allowed", "asked"};

	for (size_t i = 0; i < array_size(good); i++)
		if (strcmp(good[i], answer) == 0)
			return true;
	return false;
}

static void fill_approval(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__Approval *a = record->approval;
	const char *answer = a->answer ? a->answer : "";

	l->area = area_of(a->operation);
	if (a->operation && strcmp(a->operation, "run") == 0)
		l->area = "RUN";
	line_put(&l->operation, a->operation, LINE_WORD_BYTES);
	line_put_bytes(&l->object, &a->target, LINE_OBJECT_BYTES_MAX);
	text_puts(&l->more, "-> ");
	line_put(&l->more, answer, LINE_WORD_BYTES);
	if (a->gate) {
		text_puts(&l->more, " by the gate ");
		line_put(&l->more, a->gate, LINE_WORD_BYTES);
	} else {
		put_by(l, a->approver);
	}
	if (a->has_waited_ms) {
		text_puts(&l->more, " ");
		line_put_milliseconds(&l->more, a->waited_ms);
	}
	l->denied = !line_approval_is_yes(answer);
}

/* What was done, or what the kernel answered. */
static void finish_activity(struct line *l, bool has_error, uint32_t error)
{
	if (!has_error || error == 0)
		return;
	l->verdict = "FAIL";
	l->tone = LINE_WARN;
	l->denied = error == EPERM || error == EACCES;
	text_puts(&l->more, l->more.length ? " " : "");
	line_put_error(&l->more, error);
}

static void fill_exec(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__ExecActivity *e = record->exec;

	text_puts(&l->operation, "exec");
	if (e->n_argv)
		put_words(&l->object, e->argv, e->n_argv);
	else
		line_put_bytes(&l->object, &e->path, LINE_OBJECT_BYTES_MAX);
	finish_activity(l, e->has_error, e->error);
}

static void fill_file(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__FileActivity *f = record->file;

	line_put(&l->operation, f->operation, LINE_WORD_BYTES);
	line_put_bytes(&l->object, &f->path, LINE_OBJECT_BYTES_MAX);
	if (f->new_path.len) {
		text_puts(&l->object, " -> ");
		line_put_bytes(&l->object, &f->new_path, LINE_OBJECT_BYTES_MAX);
	}
	if (f->has_bytes)
		text_printf(&l->more, "%" PRIu64 " bytes", f->bytes);
	finish_activity(l, f->has_error, f->error);
}

static void fill_network(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__NetworkActivity *n = record->network;
	char address[64];

	line_put(&l->operation, n->operation, LINE_WORD_BYTES);
	line_put_bytes(&l->object, &n->host_name, LINE_OBJECT_BYTES_MAX);
	if (!n->host_name.len && export_address(&n->address, address))
		text_printf(&l->object, strchr(address, ':') ? "[%s]" : "%s", address);
	if (n->has_port)
		text_printf(&l->object, ":%u", n->port);
	if (n->has_bytes_sent || n->has_bytes_received)
		text_printf(&l->more, "%" PRIu64 " sent, %" PRIu64 " received", n->bytes_sent,
			n->bytes_received);
	finish_activity(l, n->has_error, n->error);
}

static void fill_run_start(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__RunStart *s = record->run_start;
	const char *agent = record->chain ? record->chain->agent_nhi : NULL;

	/* As in a list of runs: whose it is, or else what it is confined by. */
	line_put(&l->operation, agent && agent[0] ? agent : s->profile, LINE_WORD_BYTES);
	put_words(&l->object, s->argv, s->n_argv);
	if (s->caller_name || s->has_caller_uid)
		text_puts(&l->more, "for ");
	if (s->caller_name && s->caller_name[0])
		line_put(&l->more, s->caller_name, LINE_WORD_BYTES);
	else if (s->has_caller_uid)
		text_printf(&l->more, "uid %u", s->caller_uid);
	for (size_t i = 0; i < s->n_delegated_by; i++) {
		text_puts(&l->more, i ? " > " : " delegated by ");
		line_put(&l->more, s->delegated_by[i]->agent, LINE_WORD_BYTES);
	}
	for (size_t i = 0; i < s->n_degraded; i++) {
		text_puts(&l->more, i ? "," : " without ");
		line_put(&l->more, s->degraded[i], LINE_WORD_BYTES);
	}
}

static void fill_run_end(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__RunEnd *e = record->run_end;
	bool exited = e->outcome && strcmp(e->outcome, "exited") == 0;

	line_put(&l->operation, e->outcome, LINE_WORD_BYTES);
	if (e->has_signal && e->signal)
		text_printf(&l->object, "signal %u", e->signal);
	else
		text_printf(&l->object, "code %u", e->exit_code);
	if (e->has_duration_ms) {
		text_puts(&l->object, " after ");
		line_put_milliseconds(&l->object, e->duration_ms);
	}
	if (e->reason) {
		text_puts(&l->object, ": ");
		line_put(&l->object, e->reason, LINE_MORE_BYTES);
	}
	text_printf(&l->more, "%" PRIu64 " denied", e->denials);
	if (e->lost)
		text_printf(&l->more, ", %" PRIu64 " LOST", e->lost);
	l->tone = exited ? LINE_PLAIN : LINE_WARN;
}

static void fill_nothing(struct line *l, const Berm__Wire__Record *record)
{
	(void)record;
	text_puts(&l->operation, "unknown");
}

enum { OWN = 1, ACTIVITY = 2, REFUSED = 4 };

static const struct row {
	Berm__Wire__Record__BodyCase body;
	const char *kind, *verdict, *area;
	enum line_tone tone;
	unsigned flags;
	void (*fill)(struct line *l, const Berm__Wire__Record *record);
} rows[] = {
#define ROW(body_, ...)                                                                            \
	{                                                                                          \
		BERM__WIRE__RECORD__BODY_##body_, __VA_ARGS__                                      \
	}
	/* clang-format off */
	ROW(DENIAL, "denial", "DENY", "FILE", LINE_BAD, REFUSED, fill_denial),
	ROW(TRIP, "trip", "TRIP", "CAP", LINE_BAD, REFUSED, fill_trip),
	ROW(APPROVAL, "approval", "ASK", "FILE", LINE_WARN, 0, fill_approval),
	ROW(EXEC, "exec", "OK", "EXEC", LINE_PLAIN, ACTIVITY, fill_exec),
	ROW(FILE, "file", "OK", "FILE", LINE_PLAIN, ACTIVITY, fill_file),
	ROW(NETWORK, "network", "OK", "NET", LINE_PLAIN, ACTIVITY, fill_network),
	ROW(RUN_START, "run_start", "START", "RUN", LINE_GOOD, 0, fill_run_start),
	ROW(RUN_END, "run_end", "END", "RUN", LINE_PLAIN, 0, fill_run_end),
	ROW(POSTURE_CHANGE, "posture_change", "SET", "PACE", LINE_WARN, 0, fill_posture),
	ROW(PHASE_CHANGE, "phase_change", "SET", "PACE", LINE_WARN, 0, fill_phase),
	ROW(KILL, "kill", "KILL", "RUN", LINE_WARN, 0, fill_kill),
	ROW(AGENT_CHANGE, "agent_change", "SET", "AGNT", LINE_WARN, 0, fill_agent),
	ROW(HALT_CHANGE, "halt_change", "HALT", "HALT", LINE_WARN, 0, fill_halt),
	ROW(CHANGE_SET, "change_set", "SET", "FILE", LINE_PLAIN, 0, fill_change_set),
	ROW(OPENED, "opened", "NOTE", "LOG", LINE_PLAIN, 0, line_fill_opened),
	ROW(LOSS, "loss", "LOST", "LOG", LINE_BAD, 0, line_fill_loss),
	ROW(CLOCK_STEP, "clock_step", "NOTE", "LOG", LINE_WARN, 0, line_fill_clock),
	ROW(RETENTION, "retention", "NOTE", "LOG", LINE_PLAIN, 0, line_fill_retention),
	ROW(TROUBLE, "trouble", "FAIL", "LOG", LINE_BAD, 0, line_fill_trouble),
	ROW(SEGMENT_HEAD, "segment_head", "NOTE", "LOG", LINE_PLAIN, OWN, line_fill_head),
	ROW(SEAL, "seal", "NOTE", "LOG", LINE_PLAIN, OWN, line_fill_seal),
	ROW(_NOT_SET, "unknown", "NOTE", "LOG", LINE_WARN, 0, fill_nothing),
/* clang-format on */
#undef ROW
};

static const struct row *row_of(const Berm__Wire__Record *record)
{
	size_t i = 0;

	while (i + 1 < array_size(rows) && rows[i].body != record->body_case)
		i++;
	return &rows[i];
}

const char *line_kind(const Berm__Wire__Record *record)
{
	return row_of(record)->kind;
}

static const Berm__Wire__RecordRule *rule_of(const Berm__Wire__Record *record)
{
	if (record->body_case == BERM__WIRE__RECORD__BODY_DENIAL)
		return record->denial->rule;
	return record->body_case == BERM__WIRE__RECORD__BODY_TRIP ? record->trip->rule : NULL;
}

static void put_rule(struct text *out, const Berm__Wire__RecordRule *rule)
{
	const char *slash;

	line_put(out, rule->key, RULE_BYTES);
	if (!rule->file || !rule->file[0])
		return;
	/* The last part of the path is enough beside the key; --json has all of it. */
	slash = strrchr(rule->file, '/');
	text_puts(out, " ");
	line_put(out, slash && slash[1] ? slash + 1 : rule->file, RULE_BYTES);
	/* What is not of a file has no line: an agent's budget. */
	if (rule->line)
		text_printf(out, ":%u", rule->line);
}

void line_fill(struct line *line, const Berm__Wire__Record *record)
{
	const struct row *row = row_of(record);
	const Berm__Wire__RecordRule *rule = rule_of(record);
	const Berm__Wire__Evidence *evidence = record->evidence;

	*line = (struct line){.verdict = row->verdict,
		.area = row->area,
		.tone = row->tone,
		.denied = (row->flags & REFUSED) != 0,
		.own = (row->flags & OWN) != 0,
		.activity = (row->flags & ACTIVITY) != 0,
		.id = record->run ? record->run : ""};
	row->fill(line, record);
	if (rule)
		put_rule(&line->rule, rule);
	if (!evidence)
		return;
	if (evidence->program.len) {
		ProtobufCBinaryData name = export_last(&evidence->program);

		line_put_bytes(&line->program, &name, LINE_WORD_BYTES);
	}
	if (evidence->has_pid)
		text_printf(&line->program, "(%u)", evidence->pid);
}

void line_finish(struct line *line)
{
	text_finish(&line->operation);
	text_finish(&line->object);
	text_finish(&line->program);
	text_finish(&line->rule);
	text_finish(&line->more);
}
