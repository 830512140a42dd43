/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* ROUNDS: fork and make a file while children that ended before are reported, by a handler that
 * does not ask for calls to be restarted; says how many rounds went well. */
int children_end(char **words);

/* FILES: removed one by one while a timer interrupts, by a program that makes calls again itself
 * when they end with EINTR; says how many went well, and how many such ends it saw. A call that had
 * an effect before it failed would find no file. */
int not_restarted(char **words);
