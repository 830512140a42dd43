/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The role "session": one run of an agent for somebody who asked a supervisor. ROLE_FD is the
 * session's end of a socket, with an order in it and with the client's connection, in which the
 * request lies; that it is open tells the supervisor that the session lasts. All that the client
 * sent becomes descriptors here and nowhere else: what they can do by being closed they do to their
 * own run. Returns the exit code of the process, which nobody waits for. */
int session_role(int argc, char **argv);

/* What a session says to its supervisor: that it came to nothing. */
#define SESSION_REFUSED 'R'
