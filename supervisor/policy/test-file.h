/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "policy/load.h"
#include "policy/test-case.h"

#define TEST_FILE_SUFFIX ".test.yaml"

/* A file of tests, NAME.test.yaml: the profile it is about, variables, and cases.
 *
 *	profile: coding-agent.yaml      # relative to this file; absent: NAME.yaml beside it
 *	vars: {WORKDIR: /srv/repo}
 *	cases:
 *	  - {do: read /etc/shadow, expect: deny, name: no passwords}
 *	  - {steps: [{do: read /etc/shadow, times: 5}], expect_state: alternate}
 *	  - {run: [cat, /etc/shadow], expect_exit: 1}
 */
struct test_file {
	const char *profile; /* a path, or a name on the search path */
	struct profile_variables variables;
	bool own_variables; /* the file set some */
	const struct test_case *cases;
	size_t count;
};

/* Read a test file in the strict YAML of profiles. Variables that it does not set are those of the
 * request. Problems are appended to diagnostics as in profile_load(). Returns 0, or -EINVAL and err
 * (kind INPUT); a file without cases is not good. Release with test_file_destroy(). */
int test_file_load(const char *path, uid_t trusted_uid, const struct profile_variables *defaults,
	struct test_file **ret_file, struct text *diagnostics, struct error *err) must_check;
void test_file_destroy(struct test_file *file); /* NULL is fine */
