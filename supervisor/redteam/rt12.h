/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "redteam/world.h"

/* Within which a phase has to hold for the runs of its group (MASO: containment by machine). */
#define RT12_SECONDS 30

/* A group under attack. */
struct siege {
	struct world *world;
	struct child *worker, *attacker;    /* runs of alpha and beta */
	char word[300];                     /* what is to be signed, as it is now */
	char statement[2 * WORLD_PATH_MAX]; /* the file of the last good one */
	unsigned signed_count;
};

/* The group's phase as berm tells it; "" where it does not. The word to sign is kept. */
const char *siege_phase(struct siege *siege, char phase[32]);
/* Sign with a key of the suite; the file of the statement. review may be NULL. */
const char *siege_sign(
	struct siege *siege, const char *key, const char *role, const char *to, const char *review);
/* "berm pace declare" or "recover" with it; the exit code. */
int siege_bring(struct siege *siege, const char *verb, const char *statement, const char *to);
/* It must be refused, and the phase must stay. */
void siege_refused(struct siege *siege, const char *what, int code, const char *phase);

/* Statements that must not hold, before the group is in another phase. */
void siege_forgeries(struct siege *siege);
/* Each phase in turn, with somebody against it. */
void siege_breaker(struct siege *siege);
void siege_contingency(struct siege *siege);
void siege_emergency(struct siege *siege);
void siege_recovery(struct siege *siege);
