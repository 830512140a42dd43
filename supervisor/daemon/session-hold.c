/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/session-hold.h"

#include "base/number.h"
#include "daemon/requests.h"
#include "daemon/session.h"
#include "govern/approval.h"
#include "wire/held.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define DIGEST_DOMAIN "berm held run 4"

/* ---- the digest of what is shown ---- */

static void add(crypto_generichash_state *state, const void *bytes, size_t length)
{
	uint64_t size = length;

	crypto_generichash_update(state, (const unsigned char *)&size, sizeof(size));
	if (length)
		crypto_generichash_update(state, bytes, length);
}

static void add_words(crypto_generichash_state *state, const char *words)
{
	add(state, words ? words : "", words ? strlen(words) : 0);
}

static uint64_t time_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000ULL + (uint64_t)time->tv_nsec;
}

/* The file that the first word of the command line means in the run, as it is now. Binds have the
 * same path inside; of what is only inside there is nothing to tell. */
static void add_program(crypto_generichash_state *state, const Berm__Wire__Plan *plan)
{
	const char *word = plan->n_argv ? plan->argv[0] : "", *path = "";
	char whole[PATH_MAX];
	uint64_t facts[6] = {0};
	struct stat st;

	for (size_t i = 0; i < plan->n_environment; i++)
		if (strncmp(plan->environment[i], "PATH=", 5) == 0)
			path = plan->environment[i] + 5;
	if (word[0] == '/')
		snprintf(whole, sizeof(whole), "%s", word);
	else if (strchr(word, '/'))
		snprintf(whole, sizeof(whole), "%s/%s", plan->working_directory, word);
	else
		whole[0] = '\0';
	while (!whole[0] && *path) {
		size_t length = strcspn(path, ":");

		snprintf(whole, sizeof(whole), "%.*s/%s", (int)length, path, word);
		if (access(whole, F_OK) < 0)
			whole[0] = '\0';
		path += length + (path[length] == ':');
	}
	if (whole[0] && stat(whole, &st) == 0) {
		facts[0] = st.st_dev;
		facts[1] = st.st_ino;
		facts[2] = (uint64_t)st.st_size;
		facts[3] = time_of(&st.st_mtim);
		facts[4] = time_of(&st.st_ctim);
		facts[5] = st.st_mode;
	}
	add_words(state, whole);
	add(state, facts, sizeof(facts));
}

/* What the tool will read from: one digest must not be two inputs. Of a file its content's times
 * count; those of a terminal change by being used. */
static void add_input(crypto_generichash_state *state)
{
	uint64_t facts[7] = {0};
	struct stat st;

	if (fstat(STDIN_FILENO, &st) == 0) {
		bool is_file = S_ISREG(st.st_mode);

		facts[0] = st.st_dev;
		facts[1] = st.st_ino;
		facts[2] = st.st_mode & S_IFMT;
		facts[3] = st.st_rdev;
		facts[4] = is_file ? (uint64_t)st.st_size : 0;
		facts[5] = is_file ? time_of(&st.st_mtim) : 0;
		facts[6] = is_file ? (uint64_t)lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
	}
	add(state, facts, sizeof(facts));
}

/* All that is the same in two runs of the same thing: the plan's digest leaves out the run's own
 * id. The command line, the directory and the environment are in the plan. */
static void make_digest(const struct session *session, const Berm__Wire__ApprovalRequest *shown,
	uint8_t digest[APPROVAL_DIGEST_BYTES])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, APPROVAL_DIGEST_BYTES);
	add(&state, DIGEST_DOMAIN, sizeof(DIGEST_DOMAIN));
	add(&state, &shown->uid, sizeof(shown->uid));
	add_words(&state, shown->asker);
	add_words(&state, shown->agent);
	add_words(&state, shown->group);
	add_words(&state, shown->task);
	add_words(&state, shown->why);
	add(&state, &shown->on, sizeof(shown->on));
	add(&state, shown->details.data, shown->details.len);
	for (size_t i = 0; i < shown->n_delegated_by; i++) {
		add_words(&state, shown->delegated_by[i]->run);
		add_words(&state, shown->delegated_by[i]->agent_id);
	}
	add(&state, session->plan_digest, sizeof(session->plan_digest));
	add_program(&state, session->plan);
	add_input(&state);
	crypto_generichash_final(&state, digest, APPROVAL_DIGEST_BYTES);
}

/* ---- what is shown ---- */

/* The generated structs want char *; what they hold here is borrowed. */
static char *words_of(const char *words)
{
	return (char *)(uintptr_t)(words ? words : "");
}

static ProtobufCBinaryData bytes_of(const void *bytes, size_t length)
{
	return (ProtobufCBinaryData){length, (uint8_t *)(uintptr_t)bytes};
}

/* One line, whatever the value holds: nobody who chooses one writes lines of his own below it. */
static void put_line(struct text *out, const char *what, const char *value)
{
	text_puts(out, what);
	for (; *value; value++)
		if (*value == '\n')
			text_puts(out, "\\n");
		else
			text_append(out, value, 1);
	text_puts(out, "\n");
}

/* What it will read from, for people. */
static void put_input(struct text *out)
{
	char path[PATH_MAX];
	struct stat st;
	ssize_t n = readlink("/proc/self/fd/0", path, sizeof(path) - 1);

	if (fstat(STDIN_FILENO, &st) < 0 || n < 0)
		return;
	path[n] = '\0';
	if (!S_ISCHR(st.st_mode))
		put_line(out, "standard input: ", path);
}

static bool is_extra(const struct session_request *request, const char *word)
{
	size_t length = strcspn(word, "=");

	for (const char *const *e = request->env_extra; e && *e; e++)
		if (strncmp(*e, word, length) == 0 && ((*e)[length] == '=' || !(*e)[length]))
			return true;
	return false;
}

/* What the caller said beside the command line. */
static void put_details(const struct session *session, struct text *out)
{
	const struct session_request *request = session->request;
	const Berm__Wire__Plan *plan = session->plan;
	char time[32];

	for (size_t i = 0; i < plan->n_environment; i++)
		if (is_extra(request, plan->environment[i]))
			put_line(out, "environment: ", plan->environment[i]);
	for (size_t i = 0; i < plan->n_degraded; i++)
		text_printf(out, "weaker: without %s\n", plan->degraded[i]);
	if (request->timeout_ms)
		text_printf(out, "time limit: %s\n",
			number_format_duration(request->timeout_ms, time, sizeof(time)));
	for (size_t i = 0; i < session->chain.count; i++)
		text_printf(out, "asked for by the agent %s, run %s\n",
			session->chain.hops[i].agent, session->chain.hops[i].run);
	put_input(out);
}

static void put_chain(const struct session *session, struct session_hold *held)
{
	const struct delegation_chain *chain = &session->chain;

	for (size_t i = 0; i < chain->count; i++) {
		berm__wire__approval_hop__init(&held->hops[i]);
		held->hops[i].run = words_of(chain->hops[i].run);
		held->hops[i].agent_id = words_of(chain->hops[i].agent_id);
		held->hops[i].agent = words_of(chain->hops[i].agent);
		held->chain[i] = &held->hops[i];
	}
	held->shown.n_delegated_by = chain->count;
	held->shown.delegated_by = held->chain;
}

/* Whose rate counts: of a run that was delegated the agent whose tool asked for it. The other one's
 * own questions are asked however often that asks. */
static char *asker_of(const struct session *session)
{
	const struct delegation_chain *chain = &session->chain;
	const Berm__Wire__Agent *agent = session_agent(session);
	char user[32];

	snprintf(user, sizeof(user), "uid %u", (unsigned)session->caller.uid);
	return strdup(chain->count ? chain->hops[chain->count - 1].agent_id
		      : agent      ? agent->id
				   : user);
}

/* call: of a write, what the tool is about to do; or NULL. */
static int fill(
	const struct session *session, const char *why, const char *call, struct session_hold *held)
{
	Berm__Wire__ApprovalRequest *shown = &held->shown;
	const Berm__Wire__Plan *plan = session->plan;
	const Berm__Wire__Agent *agent = session_agent(session);

	berm__wire__approval_request__init(shown);
	shown->on = call ? HELD_WRITE : HELD_RUN;
	shown->asker = asker_of(session);
	put_chain(session, held);
	shown->argv = calloc(plan->n_argv + 1, sizeof(*shown->argv));
	shown->digest.data = malloc(APPROVAL_DIGEST_BYTES);
	if (call)
		text_printf(&held->details, "first write: %s\n", call);
	put_details(session, &held->details);
	if (!shown->asker || !shown->argv || !shown->digest.data || held->details.failed)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_argv; i++)
		shown->argv[shown->n_argv++] = bytes_of(plan->argv[i], strlen(plan->argv[i]));
	if (agent) {
		shown->agent = agent->name;
		shown->group = agent->group;
	}
	shown->task = words_of(session->request->task);
	shown->profile = plan->profile_name;
	shown->profile_digest = plan->profile_digest;
	shown->directory = bytes_of(plan->working_directory, strlen(plan->working_directory));
	shown->details = bytes_of(text_string(&held->details), held->details.length);
	shown->uid = session->caller.uid;
	shown->user = words_of(session->caller.name);
	shown->why = words_of(why);
	shown->digest.len = APPROVAL_DIGEST_BYTES;
	make_digest(session, shown, shown->digest.data);
	return 0;
}

void session_hold_finish(struct session_hold *hold)
{
	if (!hold)
		return;
	if (hold->shown.asker != protobuf_c_empty_string)
		free(hold->shown.asker);
	free(hold->shown.argv);
	free(hold->shown.digest.data);
	text_finish(&hold->details);
	free(hold);
}

/* ---- the hold ---- */

/* Made once more from the profile, the ceilings, the agent and the host as they are now. */
static int check_plan(const struct session *session, struct error *err)
{
	autosession struct session again = {0};
	int r = session_load_again(session, &again, err);

	if (r == 0)
		r = session_check(&again, err);
	if (r == 0)
		r = session_compile(&again, err);
	if (r < 0) {
		error_wrap(err, "it was approved, and cannot start any more");
		err->kind = ERROR_REFUSED;
		return r;
	}
	if (memcmp(again.plan_digest, session->plan_digest, PLAN_DIGEST_BYTES) != 0)
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"what the run may do was changed while it was held (its profile, a "
			"ceiling, or what is there on this host); start it again");
	return 0;
}

/* Between the question and the answer there is time for whoever wants something else to run. */
static int check_unchanged(const struct session *session, struct error *err)
{
	const struct session_hold *held = session->held;
	uint8_t digest[APPROVAL_DIGEST_BYTES];
	int r = check_plan(session, err);

	if (r < 0)
		return r;
	make_digest(session, &held->shown, digest);
	if (memcmp(digest, held->shown.digest.data, sizeof(digest)) != 0)
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"the program %s, or what it reads from, was changed while the run was "
			"held; start it again",
			session->plan->n_argv ? session->plan->argv[0] : "");
	return 0;
}

static struct hold_question question_of(
	const struct session *session, const Berm__Wire__ApprovalRequest *shown)
{
	const struct agent_run *run = session->agent_run;
	const struct delegation_origin *above = session->request->delegated;

	return (struct hold_question){.state = session->places.state,
		.rules = session->plan->approvals,
		.why = run ? run->answer.approval : NULL,
		.run = session->run_id,
		.shown = shown,
		.no_terminal = run && !run->is_operator,
		.client_fd = session->request->client ? session->request->client->signals_fd : -1,
		.ends = {{above ? above->link_fd : -1, POLLRDHUP},
			{above ? above->client_fd : -1, POLLRDHUP},
			{above ? above->init_fd : -1, POLLIN}},
		.n_ends = above ? 3 : 0,
		.uid = run ? geteuid() : session->caller.uid,
		.gid = run ? getegid() : session->caller.gid};
}

/* Only `on` is looked at before there is more to show. */
static bool is_held(const struct session *session, const char *why, enum held on)
{
	Berm__Wire__ApprovalRequest moment;
	struct hold_question question = question_of(session, &moment);

	berm__wire__approval_request__init(&moment);
	moment.on = on;
	question.why = why;
	return hold_is_wanted(&question);
}

bool session_is_held(const struct session *session)
{
	const struct agent_run *run = session->agent_run;

	return is_held(session, run ? run->answer.approval : NULL, HELD_RUN);
}

bool session_writes_are_held(const struct session *session)
{
	return is_held(session, NULL, HELD_WRITE);
}

int session_hold_of_write(
	const struct session *session, const char *call, struct session_hold *ret_hold)
{
	return fill(session, NULL, call, ret_hold);
}

/* The tool lasts, and may share the terminal: what stands there is not what was asked. */
int session_hold_write(const struct session *session, struct session_hold *hold_, struct error *err)
{
	struct hold_question question = question_of(session, &hold_->shown);

	question.why = NULL;
	question.no_terminal = true;
	question.client_fd = -1;
	question.n_ends = 0;
	return hold(&question, &hold_->answers, err);
}

void session_held_by(const struct session *session, struct text *out)
{
	const Berm__Wire__Plan *plan = session->plan;
	const Berm__Wire__Approvals *a = plan->approvals;
	uint32_t index = a ? a->rule : UINT32_MAX;

	for (size_t i = 0; a && !(a->on & HELD_RUN) && i < a->n_gates; i++)
		if (a->gates[i]->on & HELD_RUN)
			index = a->gates[i]->rule;
	if (index >= plan->n_rules)
		text_puts(out, "approvals");
	else
		text_printf(out, "%s:%u: %s", plan->rules[index]->file, plan->rules[index]->line,
			plan->rules[index]->key);
}

/* Somebody was asked, and the answer was no: whoever asks the same at once does not listen. */
static bool was_denied(const struct hold_answers *answers)
{
	const char *last = answers->count ? answers->items[answers->count - 1].answer : "";

	return strcmp(last, "denied") == 0 || strcmp(last, "timeout") == 0;
}

int session_hold(struct session *session, struct error *err)
{
	struct hold_question question;
	int r;

	if (!session_is_held(session))
		return 0;
	if (!session->places.state)
		return error_set(err, -ENOENT, ERROR_REFUSED,
			"nobody can be asked: no state directory is known");
	session->held = calloc(1, sizeof(*session->held));
	if (!session->held)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	question = question_of(session, &session->held->shown);
	if (fill(session, question.why, NULL, session->held) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = hold(&question, &session->held->answers, err);
	session->was_denied = r < 0 && was_denied(&session->held->answers);
	return r < 0 ? r : check_unchanged(session, err);
}

/* Whoever kills takes the yes back before he looks for runs. */
int session_hold_counts(const struct session *session, struct error *err)
{
	const struct session_hold *held = session->held;
	const struct hold_answer *last =
		held && held->answers.count ? &held->answers.items[held->answers.count - 1] : NULL;
	autorequests struct requests requests = REQUESTS_NONE;
	autorequest Berm__Wire__ApprovalRequest *request = NULL;
	autotext struct text by = {0};
	struct agent_now now = {0};
	enum approval_state state;
	const char *words;
	int r;

	if (!last || !last->id[0])
		return 0;
	r = requests_open(session->places.state, false, &requests, err);
	if (r == 0)
		r = agents_now(&now, err);
	if (r == 0)
		r = requests_read(&requests, last->id, &request, err);
	if (r < 0 || !request) {
		error_wrap(err, "whether what was approved may start still cannot be told");
		err->kind = ERROR_REFUSED;
		return r < 0 ? r : -EIO;
	}
	state = approval_at_start(request, session->run_id, &now);
	if (state == APPROVAL_APPROVED)
		return 0;
	if (state != APPROVAL_WITHDRAWN)
		return error_set(err, -ETIMEDOUT, ERROR_REFUSED,
			"it was approved too long ago (question %s); start it again", last->id);
	words = approval_withdrawn_by(request, session->run_id);
	text_escape(&by, words, strlen(words), APPROVAL_WORDS_MAX);
	return error_set(err, -ECANCELED, ERROR_REFUSED,
		"it was killed before it began, by %s (question %s)", text_string(&by), last->id);
}
