/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/places.h"

#include "base/io.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

/* A namespace can hold 100000 mounts (fs.mount-max); a run has dozens. */
#define MOUNTINFO_MAX (8u << 20)

void run_places_unescape(char *field)
{
	char *to = field;

	for (const char *from = field; *from; to++) {
		bool escaped = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
			       from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7';

		*to = escaped ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
					(from[3] - '0'))
			      : *from;
		from += escaped ? 4 : 1;
	}
	*to = '\0';
}

/* O_PATH, and every link refused: what a name leads to was settled when the plan was made. */
static int open_inside(int root_fd, const char *path)
{
	const struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

static int add(struct places *places, const struct meter_anchor_rule *anchor, struct error *err)
{
	size_t capacity = places->capacity ? places->capacity * 2 : 64;
	struct meter_anchor_rule *larger;
	char *path = strdup(anchor->path);

	if (!path)
		return error_errno(err, "remember an anchor");
	if (places->count == places->capacity) {
		larger = realloc(places->anchors, capacity * sizeof(*larger));
		if (!larger) {
			free(path);
			return error_errno(err, "remember an anchor");
		}
		places->anchors = larger;
		places->capacity = capacity;
	}
	places->anchors[places->count] = *anchor;
	places->anchors[places->count++].path = path;
	return 0;
}

/* A mount that does not open (covered by another one) stays without an anchor: nobody gets there by
 * its path, and everything there is refused. */
static int add_mount(const Berm__Wire__Plan *plan, int root_fd, const char *path, bool read_only,
	struct places *places, struct error *err)
{
	autoclose int fd = open_inside(root_fd, path);
	struct meter_anchor_rule anchor = {.fd = fd, .path = path};
	int r;

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM
			       ? error_errno(err, "anchor %s", path)
			       : 0;
	anchor.rights = meter_rights_at(plan, path, read_only, &anchor.rule);
	r = add(places, &anchor, err);
	if (r == 0)
		(void)take_fd(&fd);
	return r;
}

/* mountinfo (proc(5)): id parent major:minor root MOUNTPOINT OPTIONS … */
static int add_line(const Berm__Wire__Plan *plan, int root_fd, char *line, struct places *places,
	struct error *err)
{
	char *rest = NULL, *field[6];

	for (size_t i = 0; i < array_size(field); i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &rest);
		if (!field[i])
			return error_set(err, -EPROTO, ERROR_INTERNAL,
				"a line of mountinfo has no mount point");
	}
	run_places_unescape(field[4]);
	return add_mount(plan, root_fd, field[4],
		strcmp(field[5], "ro") == 0 || strncmp(field[5], "ro,", 3) == 0, places, err);
}

/* What the plan names and is no mount. Where it is missing, what holds above it must be no more
 * than what it was to have. */
static int add_named(const Berm__Wire__Plan *plan, int root_fd,
	const Berm__Wire__MeterAnchor *named, struct places *places, struct error *err)
{
	struct meter_anchor_rule anchor = {
		.path = named->path, .rights = named->rights, .rule = named->rule};
	char above[4096];
	uint32_t rule;
	size_t length;
	int r;

	for (size_t i = 0; i < places->count; i++)
		if (strcmp(places->anchors[i].path, named->path) == 0)
			return 0;
	anchor.fd = open_inside(root_fd, named->path);
	if (anchor.fd >= 0) {
		r = add(places, &anchor, err);
		if (r)
			own_close(&anchor.fd);
		return r;
	}
	length = strlen(named->path);
	if (errno != ENOENT || length >= sizeof(above))
		return error_errno(err, "anchor %s", named->path);
	memcpy(above, named->path, length + 1);
	above[strrchr(above, '/') > above ? (size_t)(strrchr(above, '/') - above) : 1] = '\0';
	if (meter_rights_at(plan, above, false, &rule) & ~named->rights)
		return error_set(err, -ENOENT, ERROR_INPUT,
			"%s is not there, and what the run may do in its place is more than there",
			named->path);
	return 0;
}

int run_places_gather(
	const Berm__Wire__Plan *plan, pid_t pid, struct places *ret_places, struct error *err)
{
	autoclose int root_fd = -1;
	autofree char *mounts = NULL;
	char path[64];
	size_t length;
	int r;

	memset(ret_places, 0, sizeof(*ret_places));
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return error_errno(err, "open the root of the run");
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	r = io_read_file(AT_FDCWD, path, MOUNTINFO_MAX, &mounts, &length, err);
	for (char *rest = NULL, *line = r ? NULL : strtok_r(mounts, "\n", &rest); !r && line;
		line = strtok_r(NULL, "\n", &rest))
		r = add_line(plan, root_fd, line, ret_places, err);
	for (size_t i = 0; r == 0 && i < plan->meter->n_anchors; i++)
		r = add_named(plan, root_fd, plan->meter->anchors[i], ret_places, err);
	return r;
}

void run_places_finish(struct places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		union {
			const char *borrowed;
			char *owned;
		} path = {.borrowed = places->anchors[i].path};

		own_close(&places->anchors[i].fd);
		free(path.owned);
	}
	free(places->anchors);
	memset(places, 0, sizeof(*places));
}
