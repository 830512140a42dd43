/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/supervisor-closer.h"
#include "daemon/supervisor-peer.h"
#include "daemon/supervisor-users.h"
#include "daemon/supervisor-wire.h"
#include "wire/strict.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* ---- users ---- */

static void a_user_has_so_many_connections_and_no_more(void **state)
{
	static struct users users;
	struct user *one = users_find(&users, 1000, 0), *other;

	(void)state;
	for (unsigned i = 0; i < USER_CONNECTIONS_MAX; i++)
		assert_true(user_connects(one));
	other = users_find(&users, 1001, 0);
	assert_false(user_connects(one));
	assert_int_equal(one->connections, USER_CONNECTIONS_MAX);
	assert_true(user_connects(other));
	one->connections--;
	assert_true(user_connects(one));
	for (unsigned i = 0; i < USER_SESSIONS_MAX; i++)
		assert_true(user_begins(one));
	assert_false(user_begins(one));
	assert_true(user_begins(other));
	assert_int_equal(users_count(&users), 2);
}

static void requests_come_back_with_time_and_never_more_than_the_burst(void **state)
{
	static struct users users;
	struct user *user = users_find(&users, 1000, 5000);

	(void)state;
	for (unsigned i = 0; i < USER_REQUESTS_BURST; i++)
		assert_true(user_asks(user, 5000));
	assert_false(user_asks(user, 5000));
	/* A clock that stands still or goes back gives nothing. */
	assert_false(user_asks(user, 4000));
	for (unsigned second = 1; second <= 3; second++) {
		for (unsigned i = 0; i < USER_REQUESTS_PER_SECOND; i++)
			assert_true(user_asks(user, 5000 + second * 1000));
		assert_false(user_asks(user, 5000 + second * 1000));
	}
	for (unsigned i = 0; i < USER_REQUESTS_BURST; i++)
		assert_true(user_asks(user, UINT64_MAX));
	assert_false(user_asks(user, UINT64_MAX));
}

static void who_has_something_keeps_the_row_and_who_has_nothing_makes_room(void **state)
{
	static struct users users = {.owner = 1};

	(void)state;
	for (uid_t uid = 2; uid < USERS_MAX; uid++)
		assert_true(user_connects(users_find(&users, uid, 0)));
	assert_null(users_find(&users, 70000, 0));
	/* Root and the owner have places that nobody else has. */
	for (uid_t uid = 0; uid < 8; uid++)
		assert_ptr_equal(users_find(&users, uid, 0), &users.rows[uid]);
	users.rows[7].connections--;
	assert_ptr_equal(users_find(&users, 70000, 0), &users.rows[7]);
	assert_int_equal(users.rows[7].uid, 70000);
	/* Whoever has asked a lot is not forgotten by asking no more for a moment. */
	assert_true(user_asks(&users.rows[7], 0));
	assert_null(users_find(&users, 7, 5));
	assert_ptr_equal(users_find(&users, 7, 1000), &users.rows[7]);
}

/* Those that came at once are paid for one by one, and a user with a debt is not forgotten. */
static void refusals_are_a_debt_and_a_line_now_and_then(void **state)
{
	static struct users users;
	struct user *user = users_find(&users, 1000, 5000);
	unsigned lines = 0, told = 0;

	(void)state;
	for (unsigned i = 0; i < 10 * USER_REFUSALS_BURST; i++) {
		unsigned count = user_was_refused(user, 5000);

		lines += count > 0;
		told += count;
	}
	assert_int_equal(lines, 1);
	assert_int_equal(told, 1);
	for (unsigned second = 0; second <= 9 * USER_REFUSALS_BURST; second++)
		assert_false(user_is_trusted(user, 5000 + second * 1000));
	assert_true(user_is_trusted(user, 5000 + (9 * USER_REFUSALS_BURST + 1) * 1000));
	assert_int_equal(user_was_refused(user, 5000 + USER_WORDS_MS), 10 * USER_REFUSALS_BURST);
	for (uid_t uid = 0; uid < USERS_MAX - 3; uid++)
		assert_non_null(users_find(&users, 70000 + uid, 5000));
	assert_ptr_equal(users_find(&users, 1000, 5000), user);
	assert_int_not_equal(users_find(&users, 1, 5000) - user, 0);
}

/* ---- packets ---- */

struct talk {
	int ours, theirs, null;
};

static struct talk begin(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	return (struct talk){ends[0], ends[1], open("/dev/null", O_RDWR | O_CLOEXEC)};
}

static void end(struct talk *talk)
{
	own_close(&talk->ours);
	own_close(&talk->theirs);
	own_close(&talk->null);
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void a_packet_comes_with_its_descriptors(void **state)
{
	struct talk talk = begin();
	const int fds[SUPERVISOR_DESCRIPTORS_MAX] = {talk.null, talk.null, talk.null, talk.null};
	struct supervisor_packet packet = {0};
	uint8_t bytes[8];
	int before = count_descriptors();

	(void)state;
	assert_int_equal(supervisor_packet_receive(talk.theirs, bytes, sizeof(bytes), &packet), 0);
	assert_int_equal(supervisor_packet_send(talk.ours, (const uint8_t *)"abc", 3, fds, 4), 0);
	assert_int_equal(supervisor_packet_receive(talk.theirs, bytes, sizeof(bytes), &packet), 1);
	assert_int_equal(packet.length, 3);
	assert_int_equal(packet.count, 4);
	for (unsigned i = 0; i < packet.count; i++)
		assert_true(fcntl(packet.fds[i], F_GETFD) & FD_CLOEXEC);
	supervisor_packet_finish(&packet);
	assert_int_equal(count_descriptors(), before);
	/* Too long a packet, and one with its descriptors: nothing of it stays. */
	assert_int_equal(
		supervisor_packet_send(talk.ours, (const uint8_t *)"123456789", 9, fds, 3), 0);
	assert_int_equal(
		supervisor_packet_receive(talk.theirs, bytes, sizeof(bytes), &packet), -EPROTO);
	assert_int_equal(count_descriptors(), before);
	own_close(&talk.ours);
	assert_int_equal(
		supervisor_packet_receive(talk.theirs, bytes, sizeof(bytes), &packet), -EPIPE);
	end(&talk);
}

static void more_descriptors_than_belong_to_any_packet_are_closed(void **state)
{
	struct talk talk = begin();
	int fds[253], before = count_descriptors();
	char control[CMSG_SPACE(sizeof(fds))] = {0};
	struct iovec part = {(void *)(uintptr_t) "x", 1};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	struct supervisor_packet packet = {0};
	uint8_t bytes[8];

	(void)state;
	for (size_t i = 0; i < array_size(fds); i++)
		fds[i] = talk.null;
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(rights), fds, sizeof(fds));
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(sendmsg(talk.ours, &message, 0), 1);
		assert_int_equal(
			supervisor_packet_receive(talk.theirs, bytes, sizeof(bytes), &packet),
			-EPROTO);
	}
	assert_int_equal(count_descriptors(), before);
	end(&talk);
}

static void only_pipes_terminals_and_null_devices_are_plain(void **state)
{
	int pipe_fds[2], pair[2], terminal;
	struct {
		int fd;
		bool as_input, as_output;
	} rows[] = {
		{open("/dev/null", O_RDWR), true, true},
		{open("/dev/zero", O_RDONLY), true, false},
		{open("/dev/null", O_WRONLY), false, true},
		{open("/dev/null", O_PATH), false, false},
		{open("/", O_RDONLY | O_DIRECTORY), false, false},
		{open("/etc/passwd", O_RDONLY), false, false},
		{open("/proc/self/exe", O_RDONLY), false, false},
		{memfd_create("x", 0), false, false},
		{epoll_create1(0), false, false},
		{-1, false, false},
	};

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(supervisor_stdio_is_plain(pipe_fds[0], true));
	assert_false(supervisor_stdio_is_plain(pipe_fds[0], false));
	assert_true(supervisor_stdio_is_plain(pipe_fds[1], false));
	assert_false(supervisor_stdio_is_plain(pipe_fds[1], true));
	assert_false(supervisor_stdio_is_plain(pair[0], true));
	assert_false(supervisor_stdio_is_plain(pair[0], false));
	for (size_t i = 0; i < array_size(rows); i++) {
		assert_int_equal(supervisor_stdio_is_plain(rows[i].fd, true), rows[i].as_input);
		assert_int_equal(supervisor_stdio_is_plain(rows[i].fd, false), rows[i].as_output);
		own_close(&rows[i].fd);
	}
	terminal = posix_openpt(O_RDWR | O_NOCTTY);
	/* Its other end; that of the one who shows it makes more terminals. */
	assert_false(terminal >= 0 && supervisor_stdio_is_plain(terminal, true));
	if (terminal >= 0 && unlockpt(terminal) == 0) {
		int other = open(ptsname(terminal), O_RDWR | O_NOCTTY);

		assert_true(supervisor_stdio_is_plain(other, true));
		assert_true(supervisor_stdio_is_plain(other, false));
		own_close(&other);
	}
	own_close(&terminal);
	for (int i = 0; i < 2; i++) {
		own_close(&pipe_fds[i]);
		own_close(&pair[i]);
	}
}

/* ---- the wire ---- */

static void what_is_packed_is_read_and_no_other_form_of_it(void **state)
{
	char *argv[] = {"/bin/true", "a"}, agent[] = "worker";
	Berm__Wire__SuperviseRequest request, *again = NULL;
	autofree uint8_t *packet = NULL;
	Berm__Wire__SuperviseRun run;
	struct error err = {0};
	uint8_t longer[256];
	size_t length;

	(void)state;
	berm__wire__supervise_run__init(&run);
	run.agent = agent;
	run.argv = argv;
	run.n_argv = array_size(argv);
	berm__wire__supervise_request__init(&request);
	request.version = SUPERVISE_VERSION;
	request.type = BERM__WIRE__SUPERVISE_TYPE__SUPERVISE_RUN;
	request.run = &run;
	length = supervise_pack(&request.base, SUPERVISE_REQUEST_MAX, &packet);
	assert_true(length > 0 && length + 8 < sizeof(longer));
	assert_int_equal(supervise_request_read(packet, length, &again, &err), 0);
	assert_string_equal(again->run->argv[1], "a");
	berm__wire__supervise_request__free_unpacked(again, NULL);
	/* Cut anywhere, with a field that nobody knows, with the version written in two bytes. */
	for (size_t cut = 0; cut < length; cut++) {
		if (supervise_request_read(packet, cut, &again, &err) < 0)
			continue;
		/* The version alone is of no type. */
		assert_int_equal(again->type, 0);
		assert_int_equal(cut, 2);
		berm__wire__supervise_request__free_unpacked(again, NULL);
	}
	memcpy(longer, packet, length);
	memcpy(longer + length, "\xf8\x07\x01", 3);
	assert_true(supervise_request_read(longer, length + 3, &again, &err) < 0);
	memcpy(longer, "\x08\x81\x00", 3);
	memcpy(longer + 3, packet + 2, length - 2);
	assert_true(supervise_request_read(longer, length + 1, &again, &err) < 0);
	assert_int_equal(supervise_pack(&request.base, length - 1, &packet), 0);
}

static void no_signal_but_those_that_are_forwarded_is_taken(void **state)
{
	(void)state;
	for (int number = 0; number < 256; number++) {
		bool known = false;

		for (const int *signal = supervise_signals; *signal; signal++)
			known |= *signal == number;
		assert_int_equal(supervise_signal_is_known(number), known);
	}
	assert_false(supervise_signal_is_known(0));
	assert_false(supervise_signal_is_known(SIGKILL));
	assert_false(supervise_signal_is_known(SIGSTOP));
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Packets as long as they may be, each of which makes protobuf-c copy or allocate without end. */
static void no_packet_costs_more_than_reading_it(void **state)
{
	static const struct {
		const char *unit;
		size_t length;
	} rows[] = {
		{"\x1a\x02\x12\x00", 4}, /* a run of one word, again and again: merged each time */
		{"\x12\x00", 2}, {"\x08\x01", 2},
		{"\xfa\x07\x00", 3}, /* a field that nobody knows */
	};
	autofree uint8_t *packet = malloc(SUPERVISE_REQUEST_MAX);

	(void)state;
	assert_non_null(packet);
	for (size_t row = 0; row < array_size(rows); row++) {
		size_t length = SUPERVISE_REQUEST_MAX / rows[row].length * rows[row].length;
		double before = cpu_seconds();

		memcpy(packet, "\x08\x01\x10\x01", 4);
		for (size_t at = 4; at < length; at++)
			packet[at] = (uint8_t)rows[row].unit[at % rows[row].length];
		for (unsigned i = 0; i < 100; i++) {
			Berm__Wire__SuperviseRequest *request = NULL;
			struct error err = {0};

			assert_true(supervise_request_read(packet, length, &request, &err) < 0);
			assert_null(request);
		}
		assert_true(cpu_seconds() - before < 1.0);
	}
}

/* What may be anybody's, and of which version it may be. */
static void bytes_are_plain_where_each_field_stands_once_and_in_order(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		bool strict, growing;
	} rows[] = {
		{"", 0, true, true}, {"\x08\x01\x10\x01", 4, true, true},
		{"\x10\x01\x08\x01", 4, false, false},     /* out of order */
		{"\x08\x01\x08\x01", 4, false, false},     /* twice */
		{"\x08\x81\x00", 3, false, false},         /* a long one */
		{"\x88\x00\x01", 3, false, false},         /* a long tag */
		{"\x0d\x01\x00\x00\x00", 5, false, false}, /* another type */
		{"\x0b\x0c", 2, false, false},             /* a group */
		{"\x00\x01", 2, false, false},             /* number 0 */
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, true, true},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, false, false},
		{"\x08\x01\x48\x05", 4, false, true},  /* one that nobody knows */
		{"\x08\x01\x4b\x4c", 4, false, false}, /* and is a group */
		{"\x08", 1, false, false},
		{"\x1a\x05\x12\x00", 4, false, false},                 /* longer than it is */
		{"\x1a\x04\x12\x00\x12\x00", 6, true, true},           /* two words */
		{"\x1a\x06\x12\x00\x12\x00\x12\x00", 8, false, false}, /* three */
		{"\x1a\x02\x12\x00\x1a\x02\x12\x00", 8, false, false}, /* two runs */
		{"\x1a\x04\x0a\x00\x0a\x00", 6, false, false},         /* two names in one */
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		const uint8_t *bytes = (const uint8_t *)rows[i].bytes;

		assert_int_equal(message_is_plain(&berm__wire__supervise_request__descriptor, bytes,
					 rows[i].length, (struct message_bounds){.repeated = 2}),
			rows[i].strict);
		assert_int_equal(message_is_plain(&berm__wire__supervise_request__descriptor, bytes,
					 rows[i].length,
					 (struct message_bounds){.repeated = 2, .may_grow = true}),
			rows[i].growing);
	}
}

static void a_look_at_a_packet_takes_nothing_out_of_it(void **state)
{
	struct talk talk = begin();
	const int fds[1] = {talk.null};
	struct supervisor_packet packet = {0};
	bool has_descriptors = false;
	int before = count_descriptors();
	uint8_t bytes[8];
	size_t length;

	(void)state;
	assert_int_equal(supervisor_packet_peek(
				 talk.theirs, bytes, sizeof(bytes), &length, &has_descriptors),
		0);
	assert_int_equal(supervisor_packet_send(talk.ours, (const uint8_t *)"abc", 3, fds, 1), 0);
	assert_int_equal(supervisor_packet_send(talk.ours, (const uint8_t *)"defg", 4, NULL, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(supervisor_packet_peek(talk.theirs, bytes, sizeof(bytes), &length,
					 &has_descriptors),
			1);
		assert_true(has_descriptors && length == 3 && memcmp(bytes, "abc", 3) == 0);
		assert_int_equal(count_descriptors(), before);
	}
	assert_int_equal(
		supervisor_packet_peek(talk.theirs, bytes, 2, &length, &has_descriptors), -EPROTO);
	assert_int_equal(supervisor_packet_receive(talk.theirs, bytes, sizeof(bytes), &packet), 1);
	assert_int_equal(packet.count, 1);
	supervisor_packet_finish(&packet);
	assert_int_equal(supervisor_packet_peek(
				 talk.theirs, bytes, sizeof(bytes), &length, &has_descriptors),
		1);
	assert_true(!has_descriptors && length == 4);
	end(&talk);
}

/* ---- who closes ---- */

/* A socket whose last close waits for its peer: what is written is not taken, and it lingers. */
static int lingering(int *ret_peer)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 20};
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listen_fd = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	char bytes[65536] = {0};

	assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listen_fd, 1), 0);
	assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	*ret_peer = accept(listen_fd, NULL, NULL);
	own_close(&listen_fd);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	return fd;
}

/* The socket lies in the connection's queue, and whoever closes the connection closes it. */
static void closing_a_connection_waits_for_nobody(void **state)
{
	struct closer closer = {0};
	int peer = -1, ends[2], fd = lingering(&peer);
	struct timespec begun, ended;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(supervisor_packet_send(ends[0], (const uint8_t *)"x", 1, &fd, 1), 0);
	own_close(&fd);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	closer_take(&closer, &ends[1], 1000);
	assert_int_equal(ends[1], -1);
	assert_int_equal(closer_look(&closer, false, 1000), CLOSER_DELAY_MS);
	assert_int_equal(closer_look(&closer, false, 1000 + CLOSER_DELAY_MS), -1);
	assert_int_equal(closer.count, 0);
	/* Closed it is: the other end sees it, at once. */
	assert_int_equal(poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 10000), 1);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_true(ended.tv_sec - begun.tv_sec < 10);
	own_close(&ends[0]);
	own_close(&peer);
	assert_true(wait(NULL) > 0);
}

int main(void)
{
	const struct CMUnitTest rows[] = {
		cmocka_unit_test(a_user_has_so_many_connections_and_no_more),
		cmocka_unit_test(requests_come_back_with_time_and_never_more_than_the_burst),
		cmocka_unit_test(who_has_something_keeps_the_row_and_who_has_nothing_makes_room),
		cmocka_unit_test(a_packet_comes_with_its_descriptors),
		cmocka_unit_test(more_descriptors_than_belong_to_any_packet_are_closed),
		cmocka_unit_test(only_pipes_terminals_and_null_devices_are_plain),
		cmocka_unit_test(what_is_packed_is_read_and_no_other_form_of_it),
		cmocka_unit_test(no_signal_but_those_that_are_forwarded_is_taken),
		cmocka_unit_test(no_packet_costs_more_than_reading_it),
		cmocka_unit_test(bytes_are_plain_where_each_field_stands_once_and_in_order),
		cmocka_unit_test(a_look_at_a_packet_takes_nothing_out_of_it),
		cmocka_unit_test(closing_a_connection_waits_for_nobody),
		cmocka_unit_test(refusals_are_a_debt_and_a_line_now_and_then),
	};

	return cmocka_run_group_tests(rows, NULL, NULL);
}
