/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"
#include "policy/risky-env.h"

/* execve(2): a single string may have MAX_ARG_STRLEN bytes (32 pages) with its NUL. The sum is
 * berm's own bound; the kernel's is a quarter of the stack limit, shared with the arguments. */
#define VARIABLE_BYTES_MAX (32 * 4096 - 1)
#define ENVIRONMENT_BYTES_MAX (1024 * 1024)
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct variable {
	const char *name; /* not NUL-terminated */
	size_t name_length;
	const char *value;
};

struct variables {
	struct variable *items;
	size_t count, capacity;
};

/* The last one of a name stands. */
static void set_variable(struct compiler *c, struct variables *vars, const char *name,
	size_t length, const char *value)
{
	struct variable *v = NULL;

	for (size_t i = 0; i < vars->count && !v; i++) {
		if (vars->items[i].name_length == length &&
			memcmp(vars->items[i].name, name, length) == 0)
			v = &vars->items[i];
	}
	if (!v)
		v = array_add(c, &vars->items, &vars->count, &vars->capacity, sizeof(*v));
	if (v)
		*v = (struct variable){name, length, value};
}

static const char *caller_value(const struct compiler *c, const char *name, size_t length)
{
	const char *const *env = c->request->environment;

	for (size_t i = 0; env && env[i]; i++) {
		if (strncmp(env[i], name, length) == 0 && env[i][length] == '=')
			return env[i] + length + 1;
	}
	return NULL;
}

static bool is_hidden(const struct compiler *c, const char *name)
{
	for (size_t i = 0; i < c->profile->env.hide.count; i++) {
		if (env_hides(c->profile->env.hide.items[i].text, name))
			return true;
	}
	return false;
}

/* A portable name; what a shell exports as a function (BASH_FUNC_x%%) has none. */
static bool name_is_plain(const char *name)
{
	if (*name >= '0' && *name <= '9')
		return false;
	return *name &&
	       name[strspn(name,
		       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static bool is_passed(const struct compiler *c, const char *name)
{
	for (size_t i = 0; i < c->profile->env.pass.count; i++) {
		const char *word = c->profile->env.pass.items[i].text;

		if (env_passes(word, name) && (name_is_plain(name) || strcmp(word, name) == 0))
			return true;
	}
	return false;
}

static void add_passed(struct compiler *c, struct variables *vars)
{
	const char *const *env = c->request->environment;

	for (size_t i = 0; env && env[i]; i++) {
		const char *equals = strchr(env[i], '=');
		char name[256];

		if (!equals || equals == env[i] || (size_t)(equals - env[i]) >= sizeof(name))
			continue;
		memcpy(name, env[i], (size_t)(equals - env[i]));
		name[equals - env[i]] = '\0';
		if (is_passed(c, name) && !is_hidden(c, name))
			set_variable(c, vars, env[i], strlen(name), equals + 1);
	}
}

static int add_extra(struct compiler *c, struct variables *vars)
{
	const char *const *extra = c->request->env_extra;

	for (size_t i = 0; extra && extra[i]; i++) {
		size_t length = strcspn(extra[i], "=");
		char *name = keep(c, strndup(extra[i], length));
		const char *value;

		if (!name)
			return -ENOMEM;
		if (!length)
			return error_set(c->err, -EINVAL, ERROR_INPUT,
				"--env %s: the name is missing", extra[i]);
		if (is_hidden(c, name)) {
			note(c, "--env %s: env.hide of the profile keeps it out", name);
			continue;
		}
		value = extra[i][length] ? extra[i] + length + 1 : caller_value(c, name, length);
		if (!value)
			note(c, "--env %s: it is not set", name);
		else
			set_variable(c, vars, name, length, value);
	}
	return 0;
}

static void add_set(struct compiler *c, struct variables *vars)
{
	for (size_t i = 0; i < c->profile->env.set_count; i++) {
		const struct env_set *s = &c->profile->env.set[i];

		if (is_hidden(c, s->name))
			note(c, "%s: env.hide keeps it out",
				rule_text(c, rule_index(c, RULES_ENV_SET, i)));
		else
			set_variable(c, vars, s->name, strlen(s->name), s->value);
	}
}

/* What every program expects. The caller's HOME, USER … say nothing true about the run. */
static void add_own(struct compiler *c, struct variables *vars, bool forced)
{
	const Berm__Wire__Identity *id = c->plan->identity;
	const struct {
		const char *name, *value;
		bool forced; /* whatever the caller or the profile have */
	} own[] = {
		{"PATH", PATH_DEFAULT, false},
		{"HOME", id->home, true},
		{"TMPDIR", "/tmp", false},
		{"USER", id->user_name, true},
		{"LOGNAME", id->user_name, true},
		{"SHELL", "/bin/sh", false},
		{"BERM_RUN", c->request->run_id, true},
	};

	for (size_t i = 0; i < array_size(own); i++) {
		if (own[i].forced == forced && own[i].value)
			set_variable(c, vars, own[i].name, strlen(own[i].name), own[i].value);
	}
}

static int compare_variables(const void *a, const void *b)
{
	const struct variable *va = a, *vb = b;
	size_t shorter = va->name_length < vb->name_length ? va->name_length : vb->name_length;
	int order = memcmp(va->name, vb->name, shorter);

	if (order)
		return order;
	return va->name_length < vb->name_length ? -1 : va->name_length > vb->name_length;
}

static int emit(struct compiler *c, const struct variables *vars)
{
	Berm__Wire__Plan *plan = c->plan;
	size_t total = 0;

	for (size_t i = 0; i < vars->count; i++) {
		const struct variable *v = &vars->items[i];
		size_t bytes = v->name_length + 1 + strlen(v->value);
		char *line;

		total += bytes + 1;
		if (bytes > VARIABLE_BYTES_MAX || total > ENVIRONMENT_BYTES_MAX)
			return error_set(c->err, -E2BIG, ERROR_INPUT,
				"environment: %.*s is too large (%zu bytes, %zu in all)",
				(int)v->name_length, v->name, bytes, total);
		line = malloc(bytes + 1);
		if (!line)
			return -ENOMEM;
		memcpy(line, v->name, v->name_length);
		line[v->name_length] = '=';
		memcpy(line + v->name_length + 1, v->value, bytes - v->name_length);
		if (!message_push(c, &plan->environment, &plan->n_environment, line)) {
			free(line);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Later ones win: berm's fallbacks, what env.pass takes from the caller, env.set, --env, berm's own
 * that must be true. */
int plan_environment(struct compiler *c)
{
	struct variables vars = {0};
	int r;

	add_own(c, &vars, false);
	add_passed(c, &vars);
	add_set(c, &vars);
	r = add_extra(c, &vars);
	add_own(c, &vars, true);
	if (r == 0 && c->out_of_memory)
		r = -ENOMEM;
	if (r == 0) {
		qsort(vars.items, vars.count, sizeof(*vars.items), compare_variables);
		r = emit(c, &vars);
	}
	free(vars.items);
	return r;
}
