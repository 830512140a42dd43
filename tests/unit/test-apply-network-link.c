/* SPDX-License-Identifier: Apache-2.0 */
#include "network-world.h"

#include "apply/network-end.h"
#include "apply/network-filter.h"
#include "apply/network-probe.h"
#include "base/io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static void expect_failure(struct fixture *f, int code, const char *words)
{
	struct error err = {0};

	assert_int_equal(network_link(&f->launch, &err), code);
	if (!strstr(err.text, words))
		fail_msg("wanted \"%s\", got \"%s\"", words, err.text);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_int_equal(f->launch.link_index, 0);
	end_fixture(f);
}

static void expect_setting(const char *name, const char *setting, const char *wanted)
{
	autofree char *text = NULL;
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", setting);
	if (name)
		snprintf(path, sizeof(path), "/proc/sys/net/%.4s/conf/%s/%s", setting, name,
			setting + 5);
	if (io_read_file(AT_FDCWD, path, 16, &text, NULL, NULL) < 0)
		fail_msg("%s", path);
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, wanted) != 0)
		fail_msg("%s is %s, not %s", path, text, wanted);
}

static void both_families_reach_the_host_at_once(void **state)
{
	struct server server4 = start_server(NULL, "0.0.0.0"), server6;
	struct fixture f;

	(void)state;
	begin(&f, "10.143.0.0/29", "fd62:6572:6d00::/125", "");
	make_link(&f);
	if (strcmp(f.name, "berm-0a8f0000") == 0) {
		expect_reach(&f.run, "10.143.0.1");
		expect_peer(&server4, "10.143.0.2");
	} else {
		assert_string_equal(f.name, "berm-0a8f0004");
		expect_reach(&f.run, "10.143.0.5");
		expect_peer(&server4, "10.143.0.6");
	}
	stop_server(&server4);
	server6 = start_server(NULL, "::");
	/* No waiting for duplicate address detection on either side. */
	expect_reach(&f.run,
		strcmp(f.name, "berm-0a8f0000") == 0 ? "fd62:6572:6d00::1" : "fd62:6572:6d00::5");
	stop_server(&server6);
	end_fixture(&f);
	expect_no_links();
}

static void the_hosts_end_is_strict(void **state)
{
	static const char *const off[] = {"ipv4/forwarding", "ipv4/proxy_arp",
		"ipv4/accept_redirects", "ipv4/send_redirects", "ipv4/accept_source_route",
		"ipv4/route_localnet", "ipv4/accept_local", "ipv6/accept_ra",
		"ipv6/accept_redirects", "ipv6/accept_source_route"};
	struct fixture f;

	(void)state;
	begin(&f, "10.143.0.0/16", "fd62:6572:6d00::/64", "");
	make_link(&f);
	for (size_t i = 0; i < array_size(off); i++)
		expect_setting(f.name, off[i], "0");
	expect_setting(f.name, "ipv4/rp_filter", "1");
	expect_setting(f.name, "ipv4/arp_ignore", "1");
	expect_setting(NULL, "ipv4/ip_forward", "0");
	end_fixture(&f);
	begin(&f, "10.143.0.0/16", "", "");
	make_link(&f);
	expect_setting(f.name, "ipv6/disable_ipv6", "1");
	end_fixture(&f);
}

static int has_no_ipv6(const char *unused)
{
	autofree char *text = NULL;

	(void)unused;
	if (io_read_file(AT_FDCWD, "/proc/net/if_inet6", 4096, &text, NULL, NULL) < 0)
		return 2;
	return strstr(text, "berm0") ? 1 : 0;
}

static void without_a_second_pool_the_run_has_no_ipv6_address(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "10.143.0.0/16", "", "");
	make_link(&f);
	assert_int_equal(within(&f.run, has_no_ipv6, NULL), 0);
	end_fixture(&f);
	begin(&f, "10.143.0.0/16", "fd62:6572:6d00::/64", "");
	make_link(&f);
	assert_int_equal(within(&f.run, has_no_ipv6, NULL), 1);
	end_fixture(&f);
}

/* As a tool would do it that had every capability over its network. */
static int connect_as_another(const char *address)
{
	struct sockaddr_storage own;
	struct netlink netlink = NETLINK_NONE;
	struct end end = {.netlink = &netlink, .index = if_nametoindex("berm0")};
	struct in_addr stolen;
	socklen_t length = address_of("198.51.100.7", 0, &own);
	const struct timeval patience = {.tv_sec = 1};
	struct sockaddr_storage peer;
	int fd;

	inet_pton(AF_INET, "198.51.100.7", &stolen);
	if (netlink_open(NETLINK_ROUTE, &netlink, NULL) < 0 ||
		end_send_address(&end, AF_INET, &stolen, 32, NULL) < 0)
		return 254;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (bind(fd, (struct sockaddr *)&own, length) < 0)
		return 253;
	length = address_of(address, PORT, &peer);
	if (connect(fd, (struct sockaddr *)&peer, length) < 0)
		return errno == EINPROGRESS ? ETIMEDOUT : errno;
	return 0;
}

static void a_stolen_source_address_gets_nowhere(void **state)
{
	struct server server = start_server(NULL, "0.0.0.0");
	struct holder world;
	struct fixture f;

	(void)state;
	make_world(&world);
	/* The way back must not lead to the run, or strict filtering would let it pass. */
	assert_int_equal(within(&world, finish_world, WORLD_HERE_ADDRESS), 0);
	begin(&f, "10.143.0.0/16", "", "");
	make_link(&f);
	expect_reach(&f.run, WORLD_HERE_ADDRESS);
	assert_int_equal(within(&f.run, connect_as_another, WORLD_HERE_ADDRESS), ETIMEDOUT);
	end_fixture(&f);
	let_go(&world);
	stop_server(&server);
}

static void runs_get_distinct_addresses_and_a_full_pool_is_said(void **state)
{
	struct fixture many[9];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		begin(&many[i], "10.143.0.0/27", "", "");
		make_link(&many[i]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(many[i].name, many[j].name);
	}
	begin(&many[8], "10.143.0.0/27", "", "");
	expect_failure(&many[8], -EADDRNOTAVAIL, "all 8 links of the pool 10.143.0.0/27");
	for (size_t i = 0; i < 8; i++)
		end_fixture(&many[i]);
	expect_no_links();
}

static void runs_that_start_at_the_same_time_get_distinct_addresses(void **state)
{
	struct fixture f;
	pid_t pids[20];
	int go[2], status, hold_on[2];

	(void)state;
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hold_on, O_CLOEXEC), 0);
	for (size_t i = 0; i < array_size(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char byte;

			close(go[1]);
			close(hold_on[1]);
			begin(&f, "10.143.0.0/25", "", "");
			(void)!read(go[0], &byte, 1);
			if (network_link(&f.launch, NULL) < 0)
				_exit(1);
			(void)!read(hold_on[0], &byte, 1);
			kill(f.run.pid, SIGKILL);
			_exit(0);
		}
	}
	close(go[1]);
	for (int i = 0; i < 500 && count_links() < 20; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	assert_int_equal(count_links(), 20);
	close(hold_on[1]);
	for (size_t i = 0; i < array_size(pids); i++) {
		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	close(go[0]);
	close(hold_on[0]);
	expect_no_links(); /* nobody called network_unlink() */
}

static void a_pool_that_somebody_uses_is_refused(void **state)
{
	struct holder world;
	struct fixture f;

	(void)state;
	make_world(&world);
	begin(&f, "192.0.2.0/29", "", "");
	expect_failure(&f, -EADDRINUSE, "in use on up0");
	begin(&f, "192.0.0.0/16", "", "");
	expect_failure(&f, -EADDRINUSE, "in use on up0");
	begin(&f, "192.0.3.0/24", "", "");
	make_link(&f);
	end_fixture(&f);
	let_go(&world);
}

static void an_uplink_has_to_be_there_and_to_forward(void **state)
{
	struct holder world;
	struct fixture f;

	(void)state;
	begin(&f, "10.143.0.0/16", "", "up0");
	expect_failure(&f, -ENODEV, "up0 is no network interface");
	make_world(&world);
	begin(&f, "10.143.0.0/16", "", "up0");
	expect_failure(&f, -ENONET, "net.ipv4.conf.up0.forwarding=1");
	expect_setting(NULL, "ipv4/ip_forward", "0");
	set("/proc/sys/net/ipv4/conf/up0/forwarding", "1");
	begin(&f, "10.143.0.0/16", "fd62:6572:6d00::/64", "up0");
	expect_failure(&f, -ENONET, "net.ipv6.conf.all.forwarding=1");
	let_go(&world);
}

static void the_world_sees_the_uplinks_address_and_begins_nothing(void **state)
{
	struct server server, inside;
	struct holder world;
	struct fixture f;

	(void)state;
	make_world(&world);
	assert_int_equal(within(&world, finish_world, WORLD_HERE_ADDRESS), 0);
	set("/proc/sys/net/ipv4/conf/up0/forwarding", "1");
	server = start_server(&world, "0.0.0.0");

	/* Without an uplink nothing goes further than the host, although it could. */
	begin(&f, "10.143.0.0/29", "", "");
	make_link(&f);
	assert_int_not_equal(within(&f.run, connect_to, WORLD_ADDRESS), 0);
	end_fixture(&f);

	begin(&f, "10.143.0.0/29", "", "up0");
	make_link(&f);
	expect_reach(&f.run, WORLD_ADDRESS);
	expect_peer(&server, WORLD_HERE_ADDRESS);
	inside = start_server(&f.run, "0.0.0.0");
	assert_int_equal(
		within(&world, connect_to,
			strcmp(f.name, "berm-0a8f0000") == 0 ? "10.143.0.2" : "10.143.0.6"),
		ETIMEDOUT);
	/* It is the filter that keeps it out. */
	own_close(&f.launch.filter_fd);
	expect_reach(&world, strcmp(f.name, "berm-0a8f0000") == 0 ? "10.143.0.2" : "10.143.0.6");
	stop_server(&inside);
	stop_server(&server);
	end_fixture(&f);
	let_go(&world);
}

static void one_run_cannot_reach_another(void **state)
{
	struct fixture a, b;
	struct holder world;
	struct server server;
	const char *address;

	(void)state;
	make_world(&world);
	set("/proc/sys/net/ipv4/ip_forward", "1");
	begin(&a, "10.143.0.0/29", "", "up0");
	make_link(&a);
	begin(&b, "10.143.0.0/29", "", "up0");
	make_link(&b);
	server = start_server(&b.run, "0.0.0.0");
	address = strcmp(b.name, "berm-0a8f0000") == 0 ? "10.143.0.2" : "10.143.0.6";
	assert_int_equal(within(&a.run, connect_to, address), ETIMEDOUT);
	own_close(&a.launch.filter_fd);
	own_close(&b.launch.filter_fd);
	expect_reach(&a.run, address);
	stop_server(&server);
	end_fixture(&a);
	end_fixture(&b);
	set("/proc/sys/net/ipv4/ip_forward", "0");
	let_go(&world);
}

static void a_killed_owner_takes_its_filter_along(void **state)
{
	struct netlink again = NETLINK_NONE;
	struct error err = {0};
	int ready[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (network_filter_make("berm-test", "up0", &again, NULL) == 0)
			(void)!write(ready[1], "r", 1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	/* Nobody else may touch a table that has an owner, not even root. */
	assert_int_equal(network_filter_make("berm-test", "up0", &again, &err), -EPERM);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (network_filter_make("berm-test", "up0", &again, &err) < 0)
		fail_msg("%s", err.text);
	netlink_close(&again);
	close(ready[0]);
	close(ready[1]);
}

static void other_modes_get_no_link(void **state)
{
	struct fixture f;
	struct error err = {0};

	(void)state;
	begin(&f, "10.143.0.0/16", "", "");
	f.network.mode = BERM__WIRE__NETWORK_MODE__NETWORK_NONE;
	assert_int_equal(network_link(&f.launch, &err), 0);
	assert_int_equal(f.launch.link_index, 0);
	assert_int_equal(count_links(), 0);
	end_fixture(&f);
}

static void expect_probe(const char *pool, const char *uplink, int code, const char *words)
{
	Berm__Wire__HostFacts facts;
	struct error err = {0};

	berm__wire__host_facts__init(&facts);
	facts.network_pool = (char *)(uintptr_t)pool;
	facts.network_uplink = (char *)(uintptr_t)uplink;
	assert_int_equal(network_probe(&facts, &err), code);
	if (!strstr(err.text, words))
		fail_msg("wanted \"%s\", got \"%s\"", words, err.text);
}

static void a_probe_says_what_a_link_would_lack(void **state)
{
	struct holder world;

	(void)state;
	expect_probe("", "", 0, "");
	expect_probe("10.143.0.0/16", "", 0, "");
	expect_probe("10.143.0.0/16", "up0", -ENODEV, "up0 is no network interface");
	make_world(&world);
	expect_probe("10.143.0.0/16", "up0", -ENONET, "does not forward");
	expect_probe("192.0.2.0/24", "", -EADDRINUSE, "in use on up0");
	set("/proc/sys/net/ipv4/conf/up0/forwarding", "1");
	expect_probe("10.143.0.0/16", "up0", 0, "");
	assert_int_equal(count_links(), 0);
	let_go(&world);
}

#define ROW(function) cmocka_unit_test_setup(function, enter_own_network)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(both_families_reach_the_host_at_once),
		ROW(the_hosts_end_is_strict),
		ROW(without_a_second_pool_the_run_has_no_ipv6_address),
		ROW(a_stolen_source_address_gets_nowhere),
		ROW(runs_get_distinct_addresses_and_a_full_pool_is_said),
		ROW(runs_that_start_at_the_same_time_get_distinct_addresses),
		ROW(a_pool_that_somebody_uses_is_refused),
		ROW(an_uplink_has_to_be_there_and_to_forward),
		ROW(the_world_sees_the_uplinks_address_and_begins_nothing),
		ROW(one_run_cannot_reach_another),
		ROW(a_killed_owner_takes_its_filter_along),
		ROW(other_modes_get_no_link),
		ROW(a_probe_says_what_a_link_would_lack),
	};

	return cmocka_run_group_tests(tests, become_root, NULL);
}
