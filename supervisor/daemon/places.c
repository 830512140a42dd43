/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/places.h"

#include "base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#define OPERATOR_CEILING "/etc/berm/ceiling.yaml"
#define OPERATOR_PROFILES "/etc/berm/profiles"
#define SHIPPED_PROFILES "/usr/share/berm/profiles"
#define ROOT_STATE "/var/lib/berm"
#define ROOT_STATE_PARENT "/var/lib"

/* The variable's value where it is an absolute path; the XDG base directory specification has
 * others ignored. */
static const char *absolute_variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

static char *find_home(const struct caller *caller)
{
	const char *home = absolute_variable("HOME");

	if (caller->uid != getuid() || !home)
		home = caller->home;
	return home[0] ? path_normalise(home) : strdup("");
}

/* "$VARIABLE/rest", or "HOME/fallback/rest", or NULL where neither is known. */
static char *xdg(const struct caller *caller, const char *home, const char *variable,
	const char *fallback, const char *rest)
{
	const char *value = caller->uid == getuid() ? absolute_variable(variable) : NULL;
	char *path = NULL;
	int n = -1;

	if (value)
		n = asprintf(&path, "%s/%s", value, rest);
	else if (home[0])
		n = asprintf(&path, "%s/%s/%s", home, fallback, rest);
	return n < 0 ? NULL : path;
}

/* Root of a user namespace is not the one whose directory that is. On a host whose root cannot
 * write there, for a disk that is read-only say, it stays root's directory all the same. */
static bool is_root_of_the_host(void)
{
	if (geteuid() != 0)
		return false;
	if (faccessat(AT_FDCWD, ROOT_STATE, W_OK, AT_EACCESS) == 0)
		return true;
	if (errno == ENOENT && faccessat(AT_FDCWD, ROOT_STATE_PARENT, W_OK, AT_EACCESS) == 0)
		return true;
	return errno != EACCES && errno != EPERM;
}

/* Whole and normal, since the run's own walls are asked about it; NULL where it is not to be had.
 */
static char *absolute_path(const char *path)
{
	autofree char *directory = NULL, *whole = NULL;

	if (path[0] == '/')
		return path_normalise(path);
	directory = getcwd(NULL, 0);
	whole = directory ? path_join(directory, path) : NULL;
	return whole ? path_normalise(whole) : NULL;
}

static int find_state(const struct caller *caller, const struct places_request *request,
	struct places *places, struct error *err)
{
	places->usual_state = is_root_of_the_host() ? strdup(ROOT_STATE)
						    : xdg(caller, places->home, "XDG_STATE_HOME",
							      ".local/state", "berm");
	if (!request->state_dir) {
		places->state = places->usual_state ? strdup(places->usual_state) : NULL;
		return 0;
	}
	places->state = absolute_path(request->state_dir);
	return places->state ? 0
			     : error_set(err, -EINVAL, ERROR_INPUT,
				       "the state directory has no \"..\" in its name: %s",
				       request->state_dir);
}

static int find_ceilings(const char *ceiling, struct places *places, struct error *err)
{
	size_t count = 0;

	if (faccessat(AT_FDCWD, OPERATOR_CEILING, F_OK, AT_EACCESS) == 0)
		places->ceilings[count++] = OPERATOR_CEILING;
	else if (errno != ENOENT && errno != ENOTDIR)
		return error_errno(err, "the operator's ceiling %s", OPERATOR_CEILING);
	if (ceiling)
		places->ceilings[count++] = ceiling;
	return 0;
}

bool places_ceiling_is_same(const struct places *places)
{
	const char *first = places->ceilings[0];
	bool had = first && strcmp(first, OPERATOR_CEILING) == 0;

	return had == (faccessat(AT_FDCWD, OPERATOR_CEILING, F_OK, AT_EACCESS) == 0);
}

/* The directory of a profile that was named by its path, or NULL where it was named by its name. */
static char *beside(const char *profile)
{
	const char *slash = profile ? strrchr(profile, '/') : NULL;
	size_t length = profile ? strlen(profile) : 0;

	if (slash)
		return slash == profile ? strdup("/") : strndup(profile, (size_t)(slash - profile));
	return length > 5 && strcmp(profile + length - 5, ".yaml") == 0 ? strdup(".") : NULL;
}

static void find_search_path(
	const struct caller *caller, const struct places_request *request, struct places *places)
{
	char *const found[PLACES_SEARCH_MAX] = {
		beside(request->profile),
		request->operators_profiles && caller->uid != geteuid()
			? NULL
			: xdg(caller, places->home, "XDG_CONFIG_HOME", ".config", "berm/profiles"),
		strdup(OPERATOR_PROFILES),
		strdup(SHIPPED_PROFILES),
	};
	size_t count = 0;

	for (size_t i = 0; i < array_size(found); i++)
		if (found[i])
			places->search[count++] = found[i];
}

int places_find(const struct caller *caller, const struct places_request *request,
	struct places *ret_places, struct error *err)
{
	struct places places = {.home = find_home(caller)};
	int r;

	if (!places.home)
		places.home = strdup("");
	if (!places.home)
		return error_errno(err, "places");
	find_search_path(caller, request, &places);
	r = find_state(caller, request, &places, err);
	if (r == 0)
		r = find_ceilings(request->ceiling, &places, err);
	if (r < 0)
		places_finish(&places);
	else
		*ret_places = places;
	return r;
}

void places_finish(struct places *places)
{
	own_free(&places->home);
	own_free(&places->state);
	own_free(&places->usual_state);
	for (size_t i = 0; i < PLACES_SEARCH_MAX; i++)
		own_free(&places->search[i]);
}

/* -ELOOP comes without words: what it means depends on `resolve`. */
static int open_directory(const char *dir, uint64_t resolve, const char *shown, struct error *err)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = resolve};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, dir, &how, sizeof(how));

	if (fd >= 0)
		return fd;
	if (errno == ELOOP)
		return -ELOOP;
	if (errno == ENOSYS)
		return error_set(err, -ENOSYS, ERROR_UNSUPPORTED, "this kernel has no openat2(2)");
	return error_set(err, -errno, ERROR_INPUT, "%s: %s", shown, strerror(errno));
}

static int real_path(int fd, const char *shown, char **ret_path, struct error *err)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return error_errno(err, "%s", shown);
	path[n] = '\0';
	if (!path_is_normal(path) || faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0)
		return error_set(
			err, -ENOENT, ERROR_INPUT, "%s: has no path on this host any more", shown);
	*ret_path = strdup(path);
	return *ret_path ? 0 : error_errno(err, "%s", shown);
}

int places_directory(const char *dir, char **ret_path, struct error *err)
{
	const char *shown = dir ? dir : "the working directory";
	autoclose int fd = open_directory(dir ? dir : ".", RESOLVE_NO_MAGICLINKS, shown, err);

	if (fd == -ELOOP)
		return error_set(err, -ELOOP, ERROR_INPUT,
			"%s: leads through a link of /proc or through too many links; name the "
			"directory itself",
			shown);
	return fd < 0 ? fd : real_path(fd, shown, ret_path, err);
}

int places_directory_kept(const char *dir, char **ret_path, struct error *err)
{
	autoclose int fd = open_directory(dir, RESOLVE_NO_SYMLINKS, dir, err);
	autofree char *path = NULL;
	int r;

	if (fd == -ELOOP)
		return error_set(err, -ELOOP, ERROR_REFUSED,
			"%s: it, or a directory on the way to it, was replaced by a link", dir);
	r = fd < 0 ? fd : real_path(fd, dir, &path, err);
	if (r < 0 || !path)
		return r;
	if (strcmp(path, dir) != 0)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s: another directory was put there: %s", dir, path);
	*ret_path = take_ptr(&path);
	return 0;
}
