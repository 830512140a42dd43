/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"
#include "daemon/staging-room.h"

#include <dirent.h>
#include <string.h>

/* Which change sets there are, and the end of one: under another name it is none any more, and what
 * it held is removed by whoever comes. */

#define GONE ".gone-"

static void gone_name(const struct change_set *set, char name[sizeof(GONE) + CHANGES_RUN_MAX])
{
	snprintf(name, sizeof(GONE) + CHANGES_RUN_MAX, GONE "%s", set->run);
}

int changes_let_go(struct change_set *set, struct error *err)
{
	char gone[sizeof(GONE) + CHANGES_RUN_MAX];
	int r;

	gone_name(set, gone);
	r = disk_rename(set->disk, set->parent_fd, set->run, set->parent_fd, gone, 0);
	if (r == 0)
		r = disk_sync(set->disk, set->parent_fd);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "remove the change set: %s", strerror(-r))
		     : 0;
}

int changes_remove_gone(struct change_set *set, struct error *err)
{
	char gone[sizeof(GONE) + CHANGES_RUN_MAX];
	int r;

	gone_name(set, gone);
	r = disk_remove_tree(set->disk, set->parent_fd, gone);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "remove what was staged: %s", strerror(-r))
		     : 0;
}

int changes_rollback(struct change_set *set, struct error *err)
{
	return changes_let_go(set, err);
}

static int own_names(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strlen(entry->d_name) < CHANGES_RUN_MAX;
}

static int gone_names(const struct dirent *entry)
{
	return strncmp(entry->d_name, GONE, strlen(GONE)) == 0;
}

static void remove_gone(int place_fd)
{
	struct dirent **names = NULL;
	int count = scandirat(place_fd, ".", &names, gone_names, alphasort);

	for (int i = 0; i < count; i++) {
		(void)!disk_remove_tree(NULL, place_fd, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

int changes_list(int place_fd, char ***ret_runs, struct error *err)
{
	struct dirent **names = NULL;
	int count;
	char **runs;

	remove_gone(place_fd);
	staging_room_tidy(place_fd);
	count = scandirat(place_fd, ".", &names, own_names, alphasort);
	if (count < 0)
		return error_errno(err, "list the change sets");
	runs = calloc((size_t)count + 1, sizeof(*runs) + CHANGES_RUN_MAX);
	for (int i = 0; i < count; i++) {
		if (runs) {
			runs[i] = (char *)(runs + count + 1) + (size_t)i * CHANGES_RUN_MAX;
			/* own_names() knows their length. */
			memcpy(runs[i], names[i]->d_name, strlen(names[i]->d_name) + 1);
		}
		free(names[i]);
	}
	free(names);
	if (!runs)
		return error_errno(err, "list the change sets");
	*ret_runs = runs;
	return 0;
}

static const char *const kind_words[] = {
	[BERM__WIRE__CHANGE_KIND__CHANGE_UNSPECIFIED] = "unknown",
	[BERM__WIRE__CHANGE_KIND__CHANGE_CREATE] = "create",
	[BERM__WIRE__CHANGE_KIND__CHANGE_MODIFY] = "modify",
	[BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE] = "replace",
	[BERM__WIRE__CHANGE_KIND__CHANGE_DELETE] = "delete",
	[BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES] = "mode",
	[BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT] = "left-out",
};

const char *changes_kind_word(Berm__Wire__ChangeKind kind)
{
	return (unsigned)kind < array_size(kind_words) ? kind_words[kind] : kind_words[0];
}
