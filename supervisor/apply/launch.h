/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the steps of one launch share. Private to apply/. The supervisor fills it before clone3(2);
 * the child has its own copy afterwards and allocates nothing: everything it needs is prepared
 * here. */

#include "apply/apply.h"
#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LAUNCH_OWN_TMPFS_MAX 16
#define LAUNCH_NETLINK_MAX 256

/* One host object that a mount step needs, pinned. */
struct grant {
	int fd; /* O_PATH descriptor of the object, or a detached mount tree; -1: none, or optional
		   and absent */
	bool is_tree; /* fd is a detached mount tree made by a privileged supervisor */
};

/* Which object something is. */
struct file_id {
	dev_t dev;
	ino_t ino;
};

/* A placeholder directory made on the host; removed again, if still empty. */
struct placeholder {
	int parent_fd;    /* O_PATH directory that it was made in */
	const char *name; /* borrowed from the plan */
	size_t mount;     /* index of its step */
};

struct launch {
	const Berm__Wire__Plan *plan;
	struct grant *grants; /* one for each plan->mounts entry */
	struct placeholder *placeholders;
	size_t placeholder_count;
	char **argv; /* NULL-terminated, strings borrowed from the plan */
	char **environment;
	char **candidates;         /* paths to try for argv[0], in order; NULL-terminated */
	int sync[2];               /* SOCK_SEQPACKET: [0] supervisor, [1] the run */
	struct sync_message *last; /* shared by both: sync_leave() */
	int cgroup_fd;             /* directory of the run's cgroup, or -1 */
	char cgroup_name[64];      /* beneath plan->cgroup->parent */
	int cgroup_parent_fd;
	unsigned char lo_up[LAUNCH_NETLINK_MAX]; /* the netlink message that brings lo up */
	size_t lo_up_length;
	unsigned link_index; /* the host's end of the run's link; 0: none */
	int filter_fd;       /* owns the link's packet filter; -1: none */
	int janitor_fd;      /* closing it tells the janitor that all is clean; -1: no janitor */
	pid_t janitor_pid;
	pid_t init_pid;
	int init_fd;         /* pidfd of the run's PID 1 */
	ino_t pid_namespace; /* its inode; 0 where the run has a cgroup, by which it is stopped */
	/* child only */
	int root_fd;
	int network_fd; /* the run's network namespace, between network_begin() and network_join()
			 */
	pid_t network_pid;
	dev_t own_tmpfs[LAUNCH_OWN_TMPFS_MAX];
	size_t own_tmpfs_count;
	int copies_fd;      /* file system of the copies, while they are made; -1: none yet */
	size_t copies_made; /* names its files */
	struct file_id
		*copies;    /* one for each plan->mounts entry: the copy that a COPY step made */
	struct grant stage; /* directory of the overlay's layers, where the plan has a STAGE step */
	const char *stage_path; /* its path on the host; borrowed */
	int lower_fd;           /* what the overlay covers: the root of the bind */
	int cover_fd; /* directory of berm's own, beneath the mount at /proc: cover objects and the
			 Landlock probe */
};

struct handover {
	int pipe[2]; /* tells the process the number of the listener; -1: there is no process */
	pid_t pid;
};

enum sync_type {
	SYNC_GO = 1, /* to the run: ids are mapped */
	SYNC_WALLS,  /* from PID 1: every wall stands; carries the listener where there is one */
	SYNC_START,  /* to the run: start the tool */
	SYNC_PROVED, /* from the tool's process: the canary failed everywhere, exec follows */
	SYNC_FAILED, /* from either: error says why; the run is over */
	SYNC_EXIT,   /* left by PID 1: the tool's wait status */
};

struct sync_message {
	uint32_t type;
	int32_t status;
	struct error error; /* SYNC_FAILED only */
};

/* Send one message, with a descriptor where fd >= 0. 0 or -errno. Async-signal-safe. */
int sync_send(int socket_fd, const struct sync_message *message, int fd) must_check;
/* The same without a descriptor and by write(2), for processes behind the filter: sending asks the
 * meter, which may refuse it. Where nobody is there to read, SIGPIPE ends any process but PID 1. */
int sync_tell(int socket_fd, const struct sync_message *message) must_check;
/* From SYNC_START on a posture holds for every process of the run, and may refuse all that is
 * written to a descriptor, just when a tool that crossed a cap ends. What a run says last is
 * therefore left in memory that it shares with the supervisor. */
/* Make that memory, empty; to be given back by sync_last_free() (NULL: nothing). NULL with errno.
 */
struct sync_message *sync_last_new(void) must_check;
void sync_last_free(struct sync_message *last);
/* Leave a message there, where none is yet: the first to fail knows why. One process at a time.
 * Allocates nothing and makes no system call. */
void sync_leave(struct sync_message *last, const struct sync_message *message);
/* What was left, when all who could have are gone. False: nothing. */
bool sync_left(const struct sync_message *last, struct sync_message *ret_message);
/* Receive one message; *ret_fd (may be NULL: none expected) gets a descriptor or -1. flags as of
 * recvmsg(2). -EPIPE at end of file, -EPROTO for a malformed message. */
int sync_receive(
	int socket_fd, struct sync_message *ret_message, int *ret_fd, int flags) must_check;

/* The steps: supervisor side. Each leaves what it made in launch; release() in run.c undoes all.
 * What outlives a killed berm (the cgroup, the placeholders) is named first, then the janitor
 * starts, and only then is it made. */
int grants_open(struct launch *launch, struct error *err) must_check;
int reserve_name(struct launch *launch, struct error *err) must_check;
int reserve_make(struct launch *launch, struct error *err) must_check;
/* wait_ms: how long to wait for others that hold a placeholder (this run's own dying processes); 0:
 * not at all. */
void reserve_remove(const struct launch *launch, int wait_ms);
int cgroup_name(struct launch *launch, struct error *err) must_check;
int cgroup_make(struct launch *launch, struct error *err) must_check;
/* Kill what is left in the run's cgroup, wait until it is empty (bounded) and remove it; with it
 * the empty cgroups of runs whose berm and janitor were killed. */
void cgroup_remove(struct launch *launch);
/* True where the kernel's OOM killer hit the run's cgroup. */
bool cgroup_was_oom(const struct launch *launch);
/* Fill the peaks of the result; before the cgroup is removed. */
void cgroup_peaks(const struct launch *launch, struct run_result *result);
int network_prepare(struct launch *launch, struct error *err) must_check;
/* The way out of the run's network namespace, for NETWORK_LINK: to be made when everything that
 * decides what may pass stands, and the run's PID 1 waits. Both leave other modes alone. */
int network_link(struct launch *launch, struct error *err) must_check;
void network_unlink(struct launch *launch);
int janitor_start(struct launch *launch, struct error *err) must_check;
void janitor_dismiss(struct launch *launch);
int identity_map(const struct launch *launch, struct error *err) must_check;
/* Raise an inherited negative OOM score of the run to 0. */
int identity_oom_score(const struct launch *launch, struct error *err) must_check;
/* A descriptor of a user namespace in which the on-disk owner ids of a mount are mapped onto the
 * run's ids. */
int identity_owner_namespace(const Berm__Wire__Identity *identity, const Berm__Wire__Mount *mount,
	int *ret_fd, struct error *err) must_check;

/* The steps: inside the run, in the order of child_main(). No allocation. */
int identity_become(const struct launch *launch, struct error *err) must_check;
int inherited_reset(struct error *err) must_check;
/* Make the new root, execute every mount step and pivot into it; launch->root_fd and cover_fd are
 * set. */
int root_build(struct launch *launch, struct error *err) must_check;
/* One step of plan->mounts. */
int mounts_step(struct launch *launch, size_t index, struct error *err) must_check;
/* A detached new instance of a file system; options are "key=value" or NULL, at most two. -1 and
 * errno. */
int mounts_new_file_system(
	const char *type, const char *const options[2], unsigned attributes) must_check;
/* The restricted, detached tree of a BIND or DEVICE step; *ret_tree stays as it is where an
 * optional object is absent. */
int mounts_bind_tree(
	struct launch *launch, size_t index, int *ret_tree, struct error *err) must_check;
/* Takes *tree on success and leaves the descriptor open: child_main() closes them all. */
int mounts_attach(
	int *tree, int point, const Berm__Wire__Mount *mount, struct error *err) must_check;
/* Read-only, nosuid and so on: MOUNT_ATTR_… for a detached tree. */
int mounts_restrict(int tree, uint64_t attributes, const Berm__Wire__Mount *mount,
	struct error *err) must_check;
/* A descriptor of the step's target in the new root, no link followed; flags as of openat2(2). -1
 * and errno. */
int mounts_open_target(const struct launch *launch, const char *target, uint64_t flags) must_check;
/* A COPY step: the file at its target is copied and hashed in one go, and the copy mounted over it.
 * ERROR_REFUSED where it does not hold what the plan says. */
int copies_mount(struct launch *launch, size_t index, struct error *err) must_check;
/* The copies stay, where they are mounted; what they were made in goes. */
int copies_finish(struct launch *launch, struct error *err) must_check;
/* What the path of a COPY step leads to must be its copy. 0 for all other paths. */
int copies_check(
	const struct launch *launch, const char *path, int fd, struct error *err) must_check;
/* The STAGE step: an overlay over the bind at its target. point: what the target leads to. */
int stage_mount(struct launch *launch, const Berm__Wire__Mount *mount, int point,
	struct error *err) must_check;
/* The object beneath the STAGE step that a protection was planned for, seen without the overlay: an
 * O_PATH descriptor, or -1 and errno. */
int stage_open_lower(const struct launch *launch, const char *target);
/* Supervisor side: open the directory of the layers. */
int stage_open(struct launch *launch, struct error *err) must_check;
int mounts_remember_tmpfs(struct launch *launch, int fd, struct error *err) must_check;
/* Start making the run's network namespace, with lo up, in a second process; network_join() waits
 * for it and enters. */
int network_begin(struct launch *launch, struct error *err) must_check;
int network_join(struct launch *launch, struct error *err) must_check;
int limits_apply(const struct launch *launch, struct error *err) must_check;
int landlock_apply(struct launch *launch, struct error *err) must_check;
int capabilities_drop(struct error *err) must_check;
/* *ret_listener gets the notification descriptor, or -1 where the plan has none. */
int syscalls_apply(const struct launch *launch, int *ret_listener, struct error *err) must_check;
/* Where the meter is asked about sendmsg(2): a process that has the same descriptors and no filter,
 * made before the filter is loaded, passes the listener on. Until then nobody could answer. */
int handover_begin(
	const struct launch *launch, struct handover *handover, struct error *err) must_check;
/* Send SYNC_WALLS with the listener (-1: none), by whatever was begun. 0 or -errno. */
int handover_send(const struct launch *launch, struct handover *handover, int listener) must_check;
int canary_try(const struct launch *launch, struct error *err) must_check;

/* PID 1 of the run; never returns. */
void child_main(struct launch *launch) __attribute__((noreturn));
/* The signals that PID 1 waits for and the supervisor forwards; blocked in both. */
void reaper_signals(sigset_t *ret_set);
/* The same, and those that are between the supervisor and PID 1 alone. */
void reaper_own_signals(sigset_t *ret_set);
/* The supervisor's: the same, and what a terminal would stop it by. */
void reaper_supervisor_signals(sigset_t *ret_set);
/* True for those that are passed on. */
bool reaper_forwards(int number);
/* From the supervisor to PID 1: stop everything else in the namespace. */
#define REAPER_STOP_ALL SIGRTMIN
/* Reap and forward until the tool has ended; its wait status. From deadline_ms on (CLOCK_BOOTTIME;
 * 0: never) everything else in the namespace is killed. */
int reaper_run(pid_t tool_pid, uint64_t deadline_ms);

struct seccomp_notif;
/* Notifications of refused and traced calls (plan->seccomp->listener), seccomp_unotify(2). */
struct listener {
	int fd;
	const Berm__Wire__Plan *plan;
	const struct run_callbacks *callbacks;
	bool proving;                /* the canary's own calls are answered, not reported */
	struct seccomp_notif *later; /* owned: gated calls that nobody has decided about yet */
	size_t later_count;
};
/* Ask for the cheaper wake-up where the kernel has it (SECCOMP_IOCTL_NOTIF_SET_FLAGS, 6.6). */
void listener_tune(const struct listener *listener);
/* 0 where somebody is there to decide about the plan's gated calls; else an error. */
int listener_check(const struct listener *listener, struct error *err) must_check;
/* Receive, judge and answer what is there, up to a bound. before_judging is called between
 * receiving and judging while proving, so that a message sent before the call is seen before it. */
void listener_handle(struct listener *listener, void (*before_judging)(void *), void *context);

/* Ask the gate again about the calls that wait for it. */
void listener_again(struct listener *listener);
void listener_close(struct listener *listener);

/* A gated call that a signal reaches before it has been received ends with ERESTARTSYS, so with
 * EINTR where the handler was installed without SA_RESTART (kernel/seccomp.c,
 * seccomp_do_user_notification; SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV holds from then on only).
 * fork(2) has no such error, and open(2) of a file neither: dash, whose handler of SIGCHLD is such
 * a one, gives up with "Cannot fork". So the flag is set in the caller's own argument of
 * rt_sigaction(SIGCHLD) before the call goes on. Nothing depends on whether that works. */
void restart_mend(const struct listener *listener, const struct seccomp_notif *request);
/* Report what a call that the plan only watches was tried on. Reads the caller's memory: for
 * reporting, never for a verdict. */
void trace_report(
	const struct listener *listener, const struct seccomp_notif *request, const char *name);
