/* SPDX-License-Identifier: Apache-2.0 */

/* Opening a meter: adopting what is pinned, or loading it and pinning it.
 *
 * Below the pin directory: maps/NAME, and one directory of links for each build of the programs
 * that is attached, links-DIGEST-MAKE/NAME, complete once it has that name. Programs are told apart
 * by the digest of the object. */
#include "base/own.h"
#include "meter/internal.h"
#include "meter/note.h"
#include "meter/pins.h"
#include "meter/programs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- which make ---- */

static bool is_in_lsm_list(const char *name)
{
	char list[512];
	autofclose FILE *f = fopen("/sys/kernel/security/lsm", "re");

	if (!f || !fgets(list, sizeof(list), f))
		return false;
	for (char *rest = NULL, *word = strtok_r(list, ",\n", &rest); word;
		word = strtok_r(NULL, ",\n", &rest))
		if (strcmp(word, name) == 0)
			return true;
	return false;
}

enum meter_make meter_strongest_make(void)
{
	return is_in_lsm_list("bpf") ? METER_MAKE_LSM : METER_MAKE_FMOD_RET;
}

/* ---- directories on the bpffs ---- */

void meter_links_path(const char *directory, enum meter_make make, const char *suffix, char *path,
	size_t capacity)
{
	snprintf(path, capacity, "%s/links-%s-%s%s", directory, programs_digest(),
		meter_make_name(make), suffix);
}

/* ---- maps ---- */

static void *share(int fd, size_t bytes, bool writable)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void unshare_map(const void *memory, size_t bytes)
{
	union {
		const void *borrowed;
		void *owned;
	} pointer = {.borrowed = memory};

	if (memory)
		munmap(pointer.owned, bytes);
}

const struct meter_account *meter_look(struct meter *m, uint32_t account)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), at, begin, bytes;
	void *memory;

	if (account >= METER_ACCOUNTS)
		account = 0;
	at = account * sizeof(m->looked);
	begin = at / page * page;
	bytes = (at + sizeof(m->looked) + page - 1) / page * page - begin;
	for (size_t i = 0; i < METER_WINDOWS; i++) {
		struct account_window *w = &m->window[i];

		if (!w->memory) {
			memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED,
				m->map_fd[METER_MAP_accounts], (off_t)begin);
			if (memory == MAP_FAILED)
				break;
			*w = (struct account_window){memory, bytes, account};
		}
		if (w->account == account)
			return (const struct meter_account *)(const void *)((const char *)
										    w->memory +
									    (at - begin));
	}
	if (bpf_map_lookup_elem(m->map_fd[METER_MAP_accounts], &account, &m->looked))
		memset(&m->looked, 0, sizeof(m->looked));
	return &m->looked;
}

static int share_maps(struct meter *m, struct error *err)
{
	m->controls =
		share(m->map_fd[METER_MAP_controls], METER_ACCOUNTS * sizeof(*m->controls), true);
	m->host = share(m->map_fd[METER_MAP_host], sizeof(*m->host), true);
	m->fired = share(m->map_fd[METER_MAP_fired], METER_HOOK_COUNT * sizeof(*m->fired), false);
	if (!m->controls || !m->host || !m->fired)
		return error_errno(err, "map the counters into memory");
	if (m->host->magic == 0) {
		m->host->abi = METER_ABI;
		m->host->magic = METER_ABI_MAGIC;
	}
	if (m->host->magic != METER_ABI_MAGIC || m->host->abi != METER_ABI)
		return error_set(err, -EPROTO, ERROR_UNSUPPORTED,
			"the pinned meter speaks version %u, this berm %u: end its runs and remove "
			"the pins",
			m->host->abi, METER_ABI);
	meter_heartbeat(m);
	return 0;
}

/* ---- opening ---- */

/* Load, attach under a name of their own, then take the old ones away: in between both are
 * attached, never none. What happens then is charged twice. */
static int load_pinned(struct meter *m, const struct meter_options *options, int directory_fd,
	struct loading **ret_loading, struct error *err)
{
	char fresh[512], final[512];
	int r = programs_load(m, options, ret_loading, err);

	if (r)
		return r;
	meter_links_path(options->pin_directory, m->make, "-new", fresh, sizeof(fresh));
	meter_links_path(options->pin_directory, m->make, "", final, sizeof(final));
	/* Of one that did not get further: it may be all that is attached. */
	r = pins_put_aside(directory_fd, strrchr(fresh, '/') + 1, err);
	if (r == 0 && mkdir(fresh, 0700))
		r = error_errno(err, "make %s", fresh);
	if (r == 0)
		r = programs_attach(m, *ret_loading, options, fresh, err);
	if (r == 0)
		r = meter_pin_lists(m, fresh, err);
	if (r == 0)
		r = slot_maps_prepare(m, err);
	if (r == 0)
		r = note_write(m, fresh, options->cgroup_fd, options->lacks, err);
	if (r == 0)
		r = pins_put_aside(directory_fd, strrchr(final, '/') + 1, err);
	if (r)
		return r;
	if (rename(fresh, final))
		return error_errno(err, "rename %s", fresh);
	pins_remove_links(directory_fd, strrchr(final, '/') + 1);
	return 0;
}

static int open_pinned(struct meter *m, const struct meter_options *options,
	struct loading **ret_loading, struct error *err)
{
	char links[128];
	int r;

	m->pins_fd = pins_open(options->pin_directory, !options->adopt_only, err);
	if (m->pins_fd < 0)
		return m->pins_fd == -ENOENT && options->adopt_only ? -ESTALE : m->pins_fd;
	m->pins = strdup(options->pin_directory);
	if (!m->pins)
		return error_errno(err, "allocate the meter");
	meter_links_path("", m->make, "", links, sizeof(links));
	snprintf(m->links, sizeof(m->links), "%s", links + 1);
	r = meter_adopt(m, options);
	if (r == -EXDEV)
		return error_set(err, r, ERROR_UNSUPPORTED,
			"what is pinned below %s is for another pid namespace or another "
			"hierarchy of cgroups",
			options->pin_directory);
	if (r == -ESTALE && !options->adopt_only)
		r = load_pinned(m, options, m->pins_fd, ret_loading, err);
	m->links_inode = meter_links_inode(m, m->links);
	flock(m->pins_fd, LOCK_UN);
	return r;
}

static int open_unpinned(struct meter *m, const struct meter_options *options,
	struct loading **ret_loading, struct error *err)
{
	int r;

	if (options->adopt_only)
		return -ESTALE;
	r = programs_load(m, options, ret_loading, err);
	return r ? r : programs_attach(m, *ret_loading, options, "", err);
}

/* For whoever adopts them: these belong there. */
static void note_attached(struct meter *m)
{
	uint64_t attached[METER_HOOK_WORDS] = {0};

	for (size_t i = 0; i < m->link_count; i++)
		attached[m->hook[i] / 64] |= 1ULL << (m->hook[i] % 64);
	for (size_t i = 0; i < METER_HOOK_WORDS; i++)
		__atomic_store_n(&m->host->attached[i], attached[i], __ATOMIC_RELEASE);
}

int meter_open(const struct meter_options *options, struct meter **ret_meter, struct error *err)
{
	struct meter *m = calloc(1, sizeof(*m));
	struct loading *loading = NULL;
	int r;

	if (!m)
		return error_errno(err, "allocate the meter");
	m->pins_fd = m->note_fd = m->hierarchy_fd = -1;
	if (options->cgroup_fd >= 0)
		m->hierarchy_fd = fcntl(options->cgroup_fd, F_DUPFD_CLOEXEC, 3);
	memset(m->list_fd, -1, sizeof(m->list_fd));
	memset(m->map_fd, -1, sizeof(m->map_fd));
	memset(m->link_fd, -1, sizeof(m->link_fd));
	m->make = options->make;
	if (m->make == METER_MAKE_AUTO)
		m->make = meter_strongest_make();
	r = options->pin_directory ? open_pinned(m, options, &loading, err)
				   : open_unpinned(m, options, &loading, err);
	if (r == 0)
		r = share_maps(m, err);
	if (r == 0 && !m->adopted)
		note_attached(m);
	if (r == 0 && m->adopted)
		meter_reap(m);
	programs_unload(loading);
	if (r) {
		meter_close(m);
		return r;
	}
	*ret_meter = m;
	return 0;
}

void meter_close(struct meter *meter)
{
	if (!meter)
		return;
	for (size_t i = 0; i < METER_WINDOWS; i++)
		unshare_map(meter->window[i].memory, meter->window[i].bytes);
	unshare_map(meter->controls, METER_ACCOUNTS * sizeof(*meter->controls));
	unshare_map(meter->host, sizeof(*meter->host));
	unshare_map(meter->fired, METER_HOOK_COUNT * sizeof(*meter->fired));
	own_close(&meter->pins_fd);
	own_close(&meter->note_fd);
	own_close(&meter->hierarchy_fd);
	for (size_t i = 0; i < METER_LIST_COUNT; i++)
		own_close(&meter->list_fd[i]);
	for (size_t i = 0; i < METER_LINKS_MAX; i++)
		own_close(&meter->link_fd[i]);
	for (size_t i = 0; i < METER_MAP_COUNT; i++)
		own_close(&meter->map_fd[i]);
	free(meter->pins);
	free(meter);
}
