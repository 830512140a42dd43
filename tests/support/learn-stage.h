/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A base, walls and what was seen behind them, and what comes of it. Include after test.h. */

#include "policy/learn.h"

#include "loading.h"

#define HEAD "version: 1\nname: p\n"
#define BASE HEAD "fs:\n  read: [/usr]\n"
#define WALLS                                                                                      \
	"version: 1\nname: walls\nextends: [base]\nfs:\n  read: [/usr, /opt, /etc/app, "           \
	"/etc/one.conf]\n"                                                                         \
	"  write: [\"${WORKDIR}\"]\n  protect: [\"${WORKDIR}/.git\", \"${WORKDIR}/.mcp.json\"]\n"  \
	"  deny: [{path: \"${WORKDIR}/.env\", reason: credentials}]\n"

/* A base, walls and what was seen, and what comes of it. */
struct stage {
	struct loading l;
	struct profile *base, *walls;
	struct learn learn;
	struct learn_world world;
	struct learn_proposal proposal;
	struct text text;
};

static inline struct profile *load_named(struct loading *l, const char *name)
{
	assert_int_equal(loading_load(l, name), 0);
	return take_ptr(&l->profile);
}

static inline void stage_init(struct stage *s, const char *base)
{
	*s = (struct stage){.learn = {.runs = 1}};
	loading_init(&s->l);
	loading_string(&s->l, "base.yaml", base);
	loading_string(&s->l, "walls.yaml", WALLS);
	s->base = load_named(&s->l, "base");
	s->walls = load_named(&s->l, "walls");
	s->world = (struct learn_world){.base = s->base,
		.walls = s->walls,
		.workdir = s->l.request.variables.workdir,
		.home = s->l.request.variables.home};
}

static inline void stage_finish(struct stage *s)
{
	text_finish(&s->text);
	learn_proposal_finish(&s->proposal);
	learn_finish(&s->learn);
	profile_destroy(s->walls);
	profile_destroy(s->base);
	loading_finish(&s->l);
}
#define autostage __attribute__((cleanup(stage_finish)))

static inline void see_as(struct stage *s, enum operation operation, const char *object,
	enum learn_there there, bool of_root)
{
	learn_add(&s->learn, &(struct learn_observation){operation, object, there, of_root, 1, 1});
}

static inline void see(struct stage *s, enum operation operation, const char *object)
{
	see_as(s, operation, object, LEARN_FILE, true);
}

static inline void propose(struct stage *s)
{
	struct error err = {0};

	assert_int_equal(learn_propose(&s->learn, &s->world, &s->proposal, &err), 0);
}

static inline const struct learn_line *line(
	const struct stage *s, const char *key, const char *path)
{
	for (size_t i = 0; i < s->proposal.count; i++) {
		const struct learn_line *l = &s->proposal.lines[i];

		if (strcmp(l->key, key) == 0 && strcmp(l->path, path) == 0)
			return l;
	}
	return NULL;
}

/* Write the proposal, read it back as a profile and ask the model about all that was seen. */
static inline void round_trip(struct stage *s)
{
	autotext struct text wrong = {0};

	learn_write(&s->learn, &s->world, &s->proposal, "made", "base", &s->text);
	assert_false(s->text.failed);
	loading_write(&s->l, "made.yaml", s->text.data, s->text.length);
	if (loading_load(&s->l, "made") != 0)
		fail_msg("%s%s", text_string(&s->l.out), text_string(&s->text));
	if (learn_check(&s->learn, &s->proposal, s->l.profile, &wrong))
		fail_msg("%s%s", text_string(&wrong), text_string(&s->text));
}
