/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Before what somebody is asked: a set, in the order of the words of on in profiles. */
enum held { HELD_RUN = 1 << 0, HELD_COMMIT = 1 << 1, HELD_WRITE = 1 << 2 };

/* How a person is reached: a set, in the order of the words of approvals.channels. */
enum approval_channel {
	APPROVAL_TERMINAL = 1 << 0,
	APPROVAL_EXEC = 1 << 1,
	APPROVAL_SOCKET = 1 << 2,
};

/* What holds where nobody says anything. */
#define APPROVAL_TIMEOUT_DEFAULT_MS (2ULL * 60 * 1000)
#define APPROVAL_RATE_DEFAULT 10
#define APPROVAL_WITHIN_DEFAULT_MS (60ULL * 1000)
