/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "base/path.h"
#include "facts-text.h"
#include "fuzz.h"
#include "plan/plan.h"
#include "policy/keys.h"
#include "policy/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Make the seeds that are messages, and the dictionary of profiles: seeds PLANS OUT
 *
 * PLANS is the directory of the golden plans: every profile there, on the host of base.facts and
 * its own facts, gives OUT/facts/NAME, OUT/plan/NAME and OUT/filter/NAME. They are made in every
 * build, so that they always fit the messages as they are. OUT/profile.dict holds every key and
 * word of the key table. */

#define FILE_BYTES_MAX (256 * 1024)
#define HOME "/srv/u"
#define WORKDIR "/srv/u/w"

static int plans_fd, out_fd;

static void give_up(const char *what)
{
	fprintf(stderr, "seeds: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_out(const char *folder, const char *name, const void *data, size_t length)
{
	autofree char *path = path_join(folder, name);
	autoclose int fd = -1;

	if (mkdirat(out_fd, folder, 0755) < 0 && errno != EEXIST)
		give_up(folder);
	fd = path ? openat(out_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	if (fd < 0 || io_write_all(fd, data, length) < 0)
		give_up(path);
}

static void write_message(const char *folder, const char *name, const ProtobufCMessage *message)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	autofree uint8_t *packed = malloc(length + 1);

	if (!packed || protobuf_c_message_pack(message, packed) != length)
		give_up(name);
	write_out(folder, name, packed, length);
}

/* The lines of a file of facts that say something about the host. */
static void add_facts(struct text *facts, const char *file)
{
	autofree char *data = NULL;
	char *rest, *line;

	if (io_read_file(plans_fd, file, FILE_BYTES_MAX, &data, NULL, NULL) < 0)
		return;
	rest = data;
	while ((line = strsep(&rest, "\n")))
		if (strncmp(line, "request ", 8) != 0)
			text_printf(facts, "%s\n", line);
}

static void write_plan(const char *name, const char *path, const Berm__Wire__HostFacts *facts)
{
	static const char *const words[] = {"true", NULL};
	const struct profile_request wanted = {.profile = path,
		.variables = {.home = HOME,
			.workdir = WORKDIR,
			.tmpdir = "/tmp",
			.state = "/var/lib/berm",
			.run_id = "r1",
			.uid = "1000"},
		.trusted_uid = getuid()};
	const struct plan_request request = {.argv = words,
		.home = HOME,
		.working_directory = WORKDIR,
		.environment = words + 1,
		.run_id = "r1"};
	autoprofile struct profile *profile = NULL;
	autotext struct text notes = {0};
	Berm__Wire__Plan *plan = NULL;
	struct error err;

	/* Golden refusals have no plan; nor have those that want more of the request than this. */
	if (profile_load(&wanted, &profile, &notes, &err) < 0 ||
		plan_compile(profile, facts, &request, &plan, &notes, &err) < 0)
		return;
	write_message("filter", name, &plan->seccomp->base);
	/* One filter is much like the other and much longer than the rest of the plan. */
	berm__wire__seccomp__free_unpacked(plan->seccomp, NULL);
	plan->seccomp = NULL;
	write_message("plan", name, &plan->base);
	plan_destroy(plan);
}

static void write_seeds(const char *plans, const char *file)
{
	autotext struct text text = {0}, own = {0}, name = {0};
	autofree char *path = path_join(plans, file);
	Berm__Wire__HostFacts *facts;

	text_append(&name, file, strlen(file) - strlen(".yaml"));
	text_printf(&own, "%s.facts", text_string(&name));
	add_facts(&text, "base.facts");
	add_facts(&text, text_string(&own));
	facts = facts_from_text(text_string(&text));
	write_message("facts", text_string(&name), &facts->base);
	write_plan(text_string(&name), path, facts);
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

static void add_word(struct text *out, const char *word, const char *after)
{
	if (!word || !*word)
		return;
	text_puts(out, "\"");
	for (const char *c = word; *c; c++) {
		if (*c == '"' || *c == '\\')
			text_printf(out, "\\%c", *c);
		else if (*c >= 0x20 && *c < 0x7f)
			text_append(out, c, 1);
		else
			text_printf(out, "\\x%02x", (unsigned char)*c);
	}
	text_printf(out, "%s\"\n", after);
}

static void write_dictionary(void)
{
	static const char *const more[] = {"${HOME}", "${WORKDIR}", "${TMPDIR}", "${STATE}",
		"${RUN_ID}", "${UID}", "$$", "/**/", "**.", "0.0.0.0/0", "::/0", "#next\n", "\n  "};
	autotext struct text out = {0};

	for (size_t s = 0; s < SECTION_COUNT; s++) {
		for (const struct key *key = sections[s].keys; key->name; key++) {
			add_word(&out, key->name, ": ");
			add_word(&out, key->example, "");
			for (size_t i = 0; key->words && key->words[i]; i++)
				add_word(&out, key->words[i], "");
		}
	}
	for (size_t i = 0; i < array_size(more); i++)
		add_word(&out, more[i], "");
	if (out.failed)
		give_up("dictionary");
	write_out(".", "profile.dict", out.data, out.length);
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	DIR *dir;

	if (argc != 3) {
		fprintf(stderr, "usage: seeds PLANS OUT\n");
		return 2;
	}
	dir = opendir(argv[1]);
	if (!dir)
		give_up(argv[1]);
	plans_fd = dirfd(dir);
	mkdir(argv[2], 0755);
	out_fd = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (out_fd < 0)
		give_up(argv[2]);
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0)
			write_seeds(argv[1], entry->d_name);
	}
	write_dictionary();
	closedir(dir);
	return 0;
}
