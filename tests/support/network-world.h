/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Network namespaces of a test's own: "here" stands for the host, a holder's namespace for a run's,
 * another holder's for the world behind the uplink. What fails ends the test. */

#include "test.h"

#include "apply/launch.h"

#include <net/if.h>
#include <sys/socket.h>

#define PORT 4711
#define WORLD_HERE "up0"
#define WORLD_HERE_ADDRESS "192.0.2.1"
#define WORLD_ADDRESS "192.0.2.2"

/* A process that keeps a network namespace alive. */
struct holder {
	pid_t pid;
	int fd; /* pidfd */
};

struct holder hold(void);
void let_go(struct holder *holder);
/* Do something in a holder's namespace, in a process of its own: what deed returned, 0-255. */
int within(const struct holder *holder, int (*deed)(const char *), const char *argument);
socklen_t address_of(const char *text, uint16_t port, struct sockaddr_storage *ret);
/* A deed: 0 where a connection to PORT of the address stands and a byte came back, else errno. */
int connect_to(const char *address);
/* A busy machine may need more than one try. */
void expect_reach(const struct holder *holder, const char *address);

/* A server on PORT that answers each connection with a byte; its file holds the last peer's
 * address. */
struct server {
	pid_t pid;
	char peer[64];
};

/* holder: whose namespace, NULL: this one. any: "0.0.0.0" or "::". */
struct server start_server(const struct holder *holder, const char *any);
void stop_server(struct server *server);
void expect_peer(const struct server *server, const char *wanted);

/* A namespace behind the interface WORLD_HERE of this one. */
void make_world(struct holder *world);
/* A deed: the world gets its address, and a way back to everything by route_by, so that only the
 * filter keeps it from beginning something. */
int finish_world(const char *route_by);

/* A launch with what network_link() looks at, and a run that is only a namespace. */
struct fixture {
	struct launch launch;
	Berm__Wire__Plan plan;
	Berm__Wire__Network network;
	struct holder run;
	char name[IFNAMSIZ]; /* the host's end, after make_link() */
};

void begin(struct fixture *f, const char *pool, const char *pool6, const char *uplink);
void make_link(struct fixture *f);
void end_fixture(struct fixture *f);

void set(const char *path, const char *value);
/* Of runs, in this namespace. */
int count_links(void);
/* The kernel takes a namespace down some time after its last process: waits for it. */
void expect_no_links(void);

/* Setups of cmocka. Root of a user namespace will do: all is about namespaces of its own. */
int become_root(void **state);
int enter_own_network(void **state);
