// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counters, caps, thresholds and the breaker. Atomic add, then the decision on the value that the
 * add returned: at most cap operations ever pass, whatever the number of threads, since the first
 * refusal needs cap successes before it.
 */
#include "subject.bpf.h"

static __always_inline struct meter_account *account_at(__u32 account)
{
	return bpf_map_lookup_elem(&accounts, &account);
}

/* Add refusals to an account's posture; true where that changed it. */
static __always_inline bool add_posture(__u32 account, __u32 posture)
{
	struct meter_control *control = bpf_map_lookup_elem(&controls, &account);

	if (!control || !posture)
		return false;
	return (__sync_fetch_and_or(&control->posture, posture) & posture) != posture;
}

/* A threshold (step < METER_STEPS) or a cap (step == METER_STEPS) was reached: the first time, add
 * its posture and say so. Once only, so that a supervisor that opens the posture again is not
 * overruled by the next operation. */
static __always_inline void reached(__u32 slot, __u32 account, struct meter_account *a,
	__u32 counter, __u32 step, struct report *report)
{
	__u32 bit = 1U << step;

	if (__sync_fetch_and_or(&a->fired[counter & (METER_COUNTERS - 1)], bit) & bit)
		return;
	add_posture(account, report->posture);
	report->account = account;
	report->counter = counter;
	emit(slot, report, 0);
}

/* One account that is being charged. */
struct charged {
	struct meter_account *account;
	const struct meter_limits *limits;
	__u32 number;
	__u32 slot;
	__u32 counter;
	__u32 hook;
};

/* Look at the thresholds of one counter, now that value (what happened and what was refused) has
 * grown. */
static __always_inline void steps(const struct charged *c, __u64 value)
{
	for (int i = 0; i < METER_STEPS; i++) {
		const struct meter_step *step = &c->limits->step[c->counter][i];

		if (!step->at || value < step->at)
			continue;

		struct report report = {
			.kind = METER_EVENT_STEP,
			.hook = c->hook,
			.value = value,
			.limit = step->at,
			.posture = step->posture,
			.id = step->id,
		};
		reached(c->slot, c->number, c->account, c->counter, i, &report);
	}
}

static __always_inline void cap_refused(const struct charged *c, __u64 amount, __u64 value)
{
	__u64 asked =
		value + __sync_fetch_and_add(&c->account->refused[c->counter], amount) + amount;
	struct report report = {
		.kind = METER_EVENT_CAP,
		.hook = c->hook,
		.result = -EPERM,
		.value = value + amount,
		.limit = c->limits->cap[c->counter].limit,
		.posture = c->limits->cap[c->counter].posture,
		.id = c->limits->cap[c->counter].id,
	};

	reached(c->slot, c->number, c->account, c->counter, METER_STEPS, &report);
	steps(c, asked);
}

__noinline int refund(__u32 slot, __u32 counter, __u64 amount)
{
	struct meter_run *run = bpf_map_lookup_elem(&runs, &slot);

	counter &= METER_COUNTERS -
		   1; /* a mask, not a test: the verifier follows it into registers and back */
	if (!run)
		return 0;
	for (int level = 0; level < METER_LEVELS; level++) {
		__u32 account = run->account[level];
		struct meter_account *a;

		if (!account)
			continue;
		a = account_at(account);
		if (a)
			__sync_fetch_and_add(&a->value[counter], -amount);
	}
	return 0;
}

__noinline int charge(__u32 slot, __u32 counter, __u64 amount, __u32 hook)
{
	struct meter_run *run = bpf_map_lookup_elem(&runs, &slot);
	struct meter_limits *l = 0;
	struct meter_account *a = 0;
	__u32 account = 0, passed = 0;
	struct charged c;
	__u64 value = 0;

	counter &= METER_COUNTERS - 1;
	if (!run)
		return -EPERM;
	for (; passed < METER_LEVELS; passed++) {
		account = run->account[passed];
		if (!account)
			continue;
		a = account_at(account);
		l = bpf_map_lookup_elem(&limits, &account);
		if (!a || !l)
			break;
		/* No single amount is near the cap of what has none, so the sum cannot wrap. */
		if (amount > METER_UNLIMITED)
			break;
		value = __sync_fetch_and_add(&a->value[counter], amount);
		if (value + amount > l->cap[counter].limit || value + amount > METER_UNLIMITED) {
			__sync_fetch_and_add(&a->value[counter], -amount);
			break;
		}
		c = (struct charged){a, l, account, slot, counter, hook};
		steps(&c, value + amount + a->refused[counter]);
	}
	if (passed == METER_LEVELS)
		return 0;
	for (__u32 level = 0; level < METER_LEVELS; level++) {
		__u32 earlier = run->account[level];
		struct meter_account *b;

		if (level >= passed || !earlier)
			continue;
		b = account_at(earlier);
		if (b)
			__sync_fetch_and_add(&b->value[counter], -amount);
	}
	if (a && l) {
		c = (struct charged){a, l, account, slot, counter, hook};
		cap_refused(&c, amount, value);
	}
	return -EPERM;
}

__noinline int account_only(__u32 slot, __u32 counter, __u64 amount, __u32 hook)
{
	struct meter_run *run = bpf_map_lookup_elem(&runs, &slot);
	struct charged c;

	counter &= METER_COUNTERS - 1;
	if (!run || amount > METER_UNLIMITED)
		return 0;
	for (int level = 0; level < METER_LEVELS; level++) {
		__u32 account = run->account[level];
		struct meter_account *a;
		struct meter_limits *l;
		__u64 value;

		if (!account)
			continue;
		a = account_at(account);
		l = bpf_map_lookup_elem(&limits, &account);
		if (!a || !l)
			continue;
		value = __sync_fetch_and_add(&a->value[counter], amount) + amount;
		c = (struct charged){a, l, account, slot, counter, hook};
		if (value > METER_UNLIMITED)
			__sync_fetch_and_add(&a->value[counter], -amount); /* saturated */
		else if (value > l->cap[counter].limit)
			cap_refused(&c, 0, value);
		else
			steps(&c, value + a->refused[counter]);
	}
	return 0;
}

__noinline int charge_host(__u32 slot, __u64 high, __u64 low, __u32 hook)
{
	struct meter_seen_key key = {.kind = METER_SEEN_HOST, .high = high, .low = low};
	void *set = bpf_map_lookup_elem(&seen, &slot);
	__u32 mark = SEEN_COUNTED;
	struct meter_account *a;
	long r = -ENOENT;

	if (set && bpf_map_lookup_elem(set, &key))
		return 0;
	if (charge(slot, METER_HOSTS_CONTACTED, 1, hook))
		return set && bpf_map_lookup_elem(set, &key) ? 0 : -EPERM;
	if (set)
		r = bpf_map_update_elem(set, &key, &mark, BPF_NOEXIST);
	if (r == -EEXIST) {
		refund(slot, METER_HOSTS_CONTACTED, 1);
	} else if (r) {
		a = account_at(slot);
		if (a)
			__sync_fetch_and_add(&a->untracked, 1);
	}
	return 0;
}

/* A breaker counts exactly: the time of the refusal before the last count - 1 is kept, so any count
 * of them within the window is seen, wherever the window begins. */
static __always_inline bool has_tripped(
	struct meter_window *window, const struct meter_breaker *breaker)
{
	__u64 now = bpf_ktime_get_boot_ns(), before;
	__u32 kept = breaker->count - 1;
	__u32 place;

	if (breaker->count > METER_DENIALS_KEPT)
		return false;
	if (kept == 0)
		return true;
	place = __sync_fetch_and_add(&window->next, 1) % kept;
	barrier_var(place);
	place &= METER_DENIALS_KEPT - 1;
	before = __sync_lock_test_and_set(&window->time_ns[place], now);
	return before && (!breaker->within_ns || now - before <= breaker->within_ns);
}

/* One account's breakers, after a refusal of this class. A trip is reported the first time, and
 * whenever it takes something away that was open. */
static __always_inline void try_breakers(__u32 slot, __u32 account, __u32 class)
{
	struct meter_limits *l = bpf_map_lookup_elem(&limits, &account);
	struct meter_windows *w = bpf_map_lookup_elem(&windows, &account);
	struct meter_account *a = account_at(account);

	if (!a || !l || !w)
		return;
	__sync_fetch_and_add(&a->value[METER_DENIALS], 1);
	for (__u32 i = 0; i < METER_BREAKERS; i++) {
		const struct meter_breaker *breaker = &l->breaker[i];
		__u32 bit = 1U << i;

		if (!breaker->count)
			continue;
		if (breaker->class != class && breaker->class != METER_DENIAL)
			continue;
		if (!has_tripped(&w->of[i], breaker))
			continue;
		if (add_posture(account, breaker->posture) || !(a->tripped & bit)) {
			struct report report = {
				.kind = METER_EVENT_BREAKER,
				.class = class,
				.account = account,
				.value = a->value[METER_DENIALS],
				.limit = breaker->count,
				.posture = breaker->posture,
				.id = breaker->id,
			};

			__sync_fetch_and_or(&a->tripped, bit);
			emit(slot, &report, 0);
		}
	}
}

__noinline int note_refusal(__u32 slot, __u32 class)
{
	struct meter_run *run = bpf_map_lookup_elem(&runs, &slot);

	if (!run || class == METER_QUIET)
		return 0;
	for (int level = 0; level < METER_LEVELS; level++)
		if (run->account[level])
			try_breakers(slot, run->account[level], class);
	return 0;
}

/* Take an operation's marks out of the run's set of seen files; false where another one relied on a
 * mark meanwhile: then it stays, and so does its charge. */
static __always_inline bool withdraw(__u32 slot, const struct meter_seen_key *key)
{
	void *set = bpf_map_lookup_elem(&seen, &slot);
	__u32 *mark;

	if (!set)
		return true;
	mark = bpf_map_lookup_elem(set, key);
	if (!mark)
		return true;
	if (__sync_fetch_and_or(mark, SEEN_WITHDRAWN) & SEEN_SHARED) {
		__sync_fetch_and_and(mark, ~(SEEN_WITHDRAWN | SEEN_PENDING));
		return false;
	}
	bpf_map_delete_elem(set, key);
	return true;
}

static __always_inline void confirm(__u32 slot, const struct meter_seen_key *key)
{
	void *set = bpf_map_lookup_elem(&seen, &slot);
	__u32 *mark = set ? bpf_map_lookup_elem(set, key) : 0;

	if (mark)
		__sync_fetch_and_and(mark, ~SEEN_PENDING);
}

__noinline int settle(struct work *work, __u32 failed, __u64 written)
{
	struct pending *p;
	__u32 slot;

	if (!work || work->operation.kind == PENDING_NONE)
		return 0;
	p = &work->operation;
	slot = p->slot;
	for (__u32 i = 0; i < PENDING_KEYS; i++) {
		struct meter_seen_key key;

		if (i >= p->keys)
			break;
		key = p->key[i];
		if (!failed)
			confirm(slot, &key);
		else if (!withdraw(slot, &key) && p->changed)
			p->changed--;
	}
	if (p->kind == PENDING_WRITE && !failed && written < p->bytes)
		refund(slot, METER_BYTES_WRITTEN, p->bytes - written);
	if (failed) {
		if (p->bytes)
			refund(slot, METER_BYTES_WRITTEN, p->bytes);
		if (p->changed)
			refund(slot, METER_FILES_CHANGED, p->changed);
		if (p->created)
			refund(slot, METER_FILES_CREATED, p->created);
		if (p->deleted)
			refund(slot, METER_FILES_DELETED, p->deleted);
		if (p->processes)
			refund(slot, METER_PROCESSES_STARTED, p->processes);
	}
	p->kind = PENDING_NONE;
	return 0;
}
