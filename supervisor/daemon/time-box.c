/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/time-box.h"

#include "base/json.h"
#include "base/log.h"
#include "base/number.h"
#include "daemon/act.h"
#include "daemon/agent-delegated.h"

#include <string.h>
#include <time.h>

/* The run's first process ends it 5 s after its limit where this one was stopped: less than that.
 */
#define LOOK_MS 1000
#define RECORD_TIMEOUT_MS 5000
#define BY "berm"
#define REASON_BYTES 96

static uint64_t now_ns(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* What is left of the time of the run that asked is no time box of this one's agent: who starts
 * that one with a time limit of its own would have this one isolated for it. Nor is that of a
 * backup a sign of anything: it lasts until it is ended, and isolating it would leave the group
 * none. */
static bool is_of_agent(const struct session *session)
{
	const struct limit *wall = &session->profile->limits.wall_time_ms;

	return session->agent_run && !session->request->is_backup && wall->set &&
	       session->plan->wall_time_ms == wall->value && !agent_delegated_limits(wall);
}

static void reason_of(const struct session *session, char words[REASON_BYTES])
{
	char duration[32];

	number_format_duration(session->plan->wall_time_ms, duration, sizeof(duration));
	snprintf(words, REASON_BYTES, "the time box of %s is over", duration);
}

static void put_counters(struct json *j, const struct effects *e)
{
	json_object_begin(j, "counters");
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (e->counted[i])
			json_put_u64(j, effect_counter_name(i), e->done[i]);
	json_object_end(j);
}

/* What is known without looking at processes; what was begun is ended by who looks. */
static void put_head(struct text *out, const struct time_box *box, const struct time_box_run *run,
	const struct effects *e)
{
	const struct session *session = run->session;
	const Berm__Wire__Agent *agent = session_agent(session);
	struct json j = {.out = out};
	char reason[REASON_BYTES];

	reason_of(session, reason);
	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", EVIDENCE_VERSION);
	json_put_string(&j, "run", session->run_id);
	json_put_u64(&j, "uid", session->caller.uid);
	json_put_string(&j, "by", BY);
	json_put_string(&j, "reason", reason);
	json_put_u64(&j, "asked_boot_ns", box->asked_ns);
	json_put_u64(&j, "frozen_boot_ns", box->frozen_ns);
	json_put_string(&j, "agent", agent->name);
	json_put_string(&j, "agent_id", agent->id);
	json_put_string(&j, "group", agent->group);
	json_put_string(&j, "posture", posture_name(e->posture));
	json_put_string(&j, "phase", phase_name(e->phase));
	put_counters(&j, e);
	/* The change set of that name holds what was written. */
	if (run->stage)
		json_put_string(&j, "changes", session->run_id);
}

static void take(struct time_box *box, const struct time_box_run *run)
{
	const struct session *session = run->session;
	autotext struct text head = {0}, whole = {0};
	struct evidence_subject subject = {
		.init_pid = run->init_pid, .evidence = &box->evidence, .text = &whole};
	char reason[REASON_BYTES];
	struct error err = {0};

	*box = (struct time_box){.is_over = true, .asked_ns = now_ns()};
	if (run_freeze(run->handle, true, &err) == 0)
		box->frozen_ns = now_ns();
	else
		log_line("run: %s", err.text);
	put_head(&head, box, run, &session->effects);
	subject.head = head.failed || !head.length ? "" : text_string(&head) + 1;
	evidence_look(&subject, 1, LOOK_MS);
	reason_of(session, reason);
	if (evidence_keep(session->places.state, session->run_id, &whole, &box->evidence, &err) < 0)
		log_line("run: %s; what the run was is not kept: %s", reason, err.text);
	else
		log_line("run: %s; what the run was is in evidence/%s of the state directory",
			reason, box->evidence.name);
}

bool time_box_over(struct time_box *box, const struct time_box_run *run, struct live_group *group)
{
	if (!is_of_agent(run->session))
		return false;
	take(box, run);
	group->time_box_over = true;
	live_group_tell(group, run->session, false);
	return true;
}

void time_box_record(const struct time_box *box, const struct session *session)
{
	Berm__Wire__Kill kill = BERM__WIRE__KILL__INIT;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	const Berm__Wire__Record *records[] = {&record};
	const Berm__Wire__Agent *agent = session_agent(session);
	char reason[REASON_BYTES];
	struct error err = {0};

	if (!box->is_over || !session->request->record)
		return;
	reason_of(session, reason);
	kill.killed = (char *)(uintptr_t)session->run_id;
	kill.by = (char *)(uintptr_t)BY;
	kill.has_reason = true;
	kill.reason = (ProtobufCBinaryData){strlen(reason), (uint8_t *)reason};
	kill.has_asked_boot_ns = kill.has_gone_boot_ns = kill.has_processes = true;
	kill.asked_boot_ns = box->asked_ns;
	kill.has_frozen_boot_ns = box->frozen_ns != 0;
	kill.frozen_boot_ns = box->frozen_ns;
	kill.gone_boot_ns = now_ns();
	kill.processes = box->evidence.processes;
	if (box->evidence.name[0]) {
		kill.evidence = (char *)(uintptr_t)box->evidence.name;
		kill.has_evidence_digest = true;
		kill.evidence_digest = (ProtobufCBinaryData){
			EVIDENCE_DIGEST_BYTES, (uint8_t *)(uintptr_t)box->evidence.digest};
	}
	record.body_case = BERM__WIRE__RECORD__BODY_KILL;
	record.kill = &kill;
	if (act_record(&(const struct act){.state = session->places.state,
			       .agent = agent ? agent->id : NULL,
			       .group = agent && agent->group[0] ? agent->group : NULL,
			       .records = records,
			       .count = 1},
		    RECORD_TIMEOUT_MS, &err) < 0)
		log_line("run: %s: %s", reason, err.text);
}
