/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "policy/decide.h"
#include "policy/image.h"
#include "policy/load.h"

/* A profile as a planner that was taken over can send it: what is read is written as the same bytes
 * again, and can be asked about. Input: the image. */

static void ask(const struct profile *profile, enum operation operation, const char *object)
{
	struct verdict v = {.decision = DECISION_COUNT};

	decide(profile, operation, object, &v);
	assert(v.decision < DECISION_COUNT);
	assert(memchr(v.hint, '\0', sizeof(v.hint)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree const char **paths = NULL, **globs = NULL, **programs = NULL;
	autoprofile struct profile *profile = NULL;
	autotext struct text again = {0};
	struct error err = {0};
	int r = profile_image_read(data, size, NULL, NULL, &profile, &err);

	if (r < 0 || !profile) {
		assert(r < 0 && !profile && err.text[0]);
		return 0;
	}
	profile_image_write(profile, &again);
	assert(!again.failed && again.length == size && memcmp(again.data, data, size) == 0);
	assert(profile->name && profile->file);
	ask(profile, OPERATION_READ, "/usr/lib/x");
	ask(profile, OPERATION_WRITE, "/srv/u/w/x");
	ask(profile, OPERATION_EXEC, "/usr/bin/git");
	ask(profile, OPERATION_CONNECT, "api.example.com:443");
	ask(profile, OPERATION_SYSCALL, "mount");
	ask(profile, OPERATION_ENV, "HOME");
	assert(profile_paths(profile, &paths, &globs) == 0);
	programs = profile_programs(profile);
	assert(programs);
	return 0;
}
