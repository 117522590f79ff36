/* What happens before the first step of a program and after the last. */
#include "agent.h"

#include <errno.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static int is_allowed_sysctl(const char *name)
{
	static const char *const exact[] = {
		"fs.epoll.max_user_watches", "fs.pipe-max-size", "fs.pipe-user-pages-soft", "net.unix.max_dgram_qlen", "net.mptcp.enabled",
		"net.core.somaxconn", "net.core.wmem_max", "net.core.wmem_default", "net.core.rmem_max",
		"net.core.rmem_default",
	};

	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
		if (strcmp(name, exact[i]) == 0)
			return 1;
	return strncmp(name, "net.ipv4.tcp_", 13) == 0 && !strchr(name, '/') && !strstr(name, "..");
}

/* Net sysctls belong to the script's own namespace, but for a few that exist once; those live where we came from. */
static int is_machine_wide(const char *name)
{
	return strncmp(name, "net.", 4) != 0 || strncmp(name, "net.core.wmem", 13) == 0 ||
	       strncmp(name, "net.core.rmem", 13) == 0;
}

static void enter_net(int fd)
{
	if (world.private_net && setns(fd, CLONE_NEWNET) < 0)
		perror("epollsim-agent: setns");
}

void restore_sysctls(void)
{
	unsigned count = atomic_exchange(&sh->nsaved, 0);

	if (count == 0)
		return;
	enter_net(original_net);
	while (count-- > 0)
		write_sysctl(sh->saved[count].path, sh->saved[count].value);
	enter_net(private_net);
}

static int set_machine_sysctl(const struct setting *s)
{
	struct saved_sysctl *saved = &sh->saved[atomic_load(&sh->nsaved)];
	char *end;

	sysctl_path(saved->path, sizeof(saved->path), s->name);
	if (read_text(saved->path, saved->value, sizeof(saved->value)) < 0)
		return -1;
	end = strchr(saved->value, '\n');
	if (end)
		*end = 0;
	atomic_fetch_add(&sh->nsaved, 1);
	return write_sysctl(saved->path, s->value);
}

static enum end set_machine_sysctls(void)
{
	for (unsigned i = 0; i < setup.nsysctls; i++) {
		const struct setting *s = &setup.sysctls[i];
		int error;

		if (!is_allowed_sysctl(s->name))
			return stop(END_UNSUPPORTED, "the sysctl %s is not one that a script may set", s->name);
		if (!is_machine_wide(s->name))
			continue;
		enter_net(original_net);
		error = set_machine_sysctl(s) < 0 ? errno : 0;
		enter_net(private_net);
		if (error)
			return stop(END_UNSUPPORTED, "the sysctl %s cannot be set to %s: %s", s->name, s->value,
				    strerror(error));
	}
	return CONTINUE;
}

/*
 * Scripts with internet sockets run in a net namespace of their own kind. Making one takes half a millisecond, so it is
 * used again unless something is left in it.
 */
static int inet_net = -1;
static int inet_net_changed;
static char time_wait_buckets[32];

#define TIME_WAIT_BUCKETS "/proc/sys/net/ipv4/tcp_max_tw_buckets"

static int counts_nothing(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return !p || p[strlen(key)] == '0';
}

static int has_no_sockets(void)
{
	char text[1024];

	if (read_text("/proc/net/sockstat", text, sizeof(text)) < 0 || !counts_nothing(text, "TCP: inuse ") ||
	    !counts_nothing(text, " tw ") || !counts_nothing(text, "UDP: inuse "))
		return 0;
	return read_text("/proc/net/sockstat6", text, sizeof(text)) < 0 ||
	       (counts_nothing(text, "TCP6: inuse ") && counts_nothing(text, "UDP6: inuse "));
}

static int make_inet_net(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	loopback_up();
	read_text(TIME_WAIT_BUCKETS, time_wait_buckets, sizeof(time_wait_buckets));
	inet_net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	inet_net_changed = 0;
	return 0;
}

static void drop_inet_net(void)
{
	if (inet_net >= 0)
		close(inet_net);
	inet_net = -1;
}

/* Go where the script will be born. */
static enum end enter_script_net(void)
{
	for (unsigned i = 0; i < setup.nsysctls; i++)
		setup.needs_inet |= !is_machine_wide(setup.sysctls[i].name) << 1;
	if (!setup.needs_inet)
		return CONTINUE;
	if (!world.private_net)
		return setup.needs_inet == 1 ? CONTINUE
					     : stop(END_UNSUPPORTED, "net sysctls need a private net namespace");
	if (setup.needs_inet != 1)
		drop_inet_net();
	if (inet_net >= 0)
		enter_net(inet_net);
	else if (make_inet_net() < 0)
		return stop(END_UNSUPPORTED, "no new net namespace: %s", strerror(errno));
	for (unsigned i = 0; i < setup.nsysctls; i++) {
		char path[128];
		if (is_machine_wide(setup.sysctls[i].name))
			continue;
		inet_net_changed = 1;
		sysctl_path(path, sizeof(path), setup.sysctls[i].name);
		if (write_sysctl(path, setup.sysctls[i].value) < 0)
			return stop(END_UNSUPPORTED, "the sysctl %s cannot be set to %s: %s", setup.sysctls[i].name,
				    setup.sysctls[i].value, strerror(errno));
	}
	return CONTINUE;
}

/* Before the script is killed: what its connections leave behind shall not wait for a minute. */
static void forget_time_wait(void)
{
	if (setup.needs_inet && inet_net >= 0)
		write_string(TIME_WAIT_BUCKETS, "0");
}

static void leave_script_net(void)
{
	if (!setup.needs_inet || !world.private_net)
		return;
	if (inet_net_changed || !has_no_sockets())
		drop_inet_net();
	else
		write_string(TIME_WAIT_BUCKETS, time_wait_buckets);
	enter_net(private_net);
}

static void set_watchdog(uint64_t ns)
{
	struct itimerval it = { .it_value = { ns / 1000000000, ns % 1000000000 / 1000 } };

	if (ns > 0 && ns < 1000)
		it.it_value.tv_usec = 1;
	setitimer(ITIMER_REAL, &it, NULL);
}

/* flock with an end: the alarm interrupts it. */
static int lock_within(int fd, int how, uint64_t ns)
{
	int ret;

	set_watchdog(ns);
	ret = flock(fd, how);
	set_watchdog(0);
	return ret;
}

/*
 * Machine-wide sysctls would show in the scripts of other agents: whoever sets them is alone on the machine. While it
 * waits for that it holds the turn lock, or a stream of short scripts would starve it; but only for a while, or one
 * long script would hold up everybody.
 */
static enum end lock_the_machine(void)
{
	static const struct timespec pause = { 0, 100000000 };
	uint64_t start = now_ns();
	int alone = 0;

	for (unsigned i = 0; i < setup.nsysctls; i++)
		alone |= is_machine_wide(setup.sysctls[i].name);
	if (lock_turn < 0 || lock_machine < 0)
		return CONTINUE;
	do {
		int locked = lock_within(lock_turn, LOCK_EX, LOCK_NS) == 0 &&
			     lock_within(lock_machine, alone ? LOCK_EX : LOCK_SH, alone ? TURN_NS : LOCK_NS) == 0;
		flock(lock_turn, LOCK_UN);
		if (locked)
			return CONTINUE;
		nanosleep(&pause, NULL);
	} while (now_ns() - start < LOCK_NS);
	return stop(END_UNSUPPORTED, "another agent keeps this machine's sysctls to itself");
}

static void unlock_the_machine(void)
{
	if (lock_machine >= 0)
		flock(lock_machine, LOCK_UN);
}

static void stay_on_this_cpu(int yes)
{
	static int known;
	cpu_set_t one;
	int cpu = sched_getcpu();

	if (!known)
		known = sched_getaffinity(0, sizeof(all_cpus), &all_cpus) == 0;
	world.pinned = 0;
	if (!known || cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	world.pinned = sched_setaffinity(0, sizeof(one), yes ? &one : &all_cpus) == 0 && yes && world.proc_syscall;
}

static enum end start_script(void)
{
	pid_t pid;

	memset(&sh->ctl[0], 0, sizeof(sh->ctl[0]));
	sh->setup_error[0] = 0;
	sh->thawed = 0;
	sh->frozen_armed = setup.needs_frozen;
	atomic_store(&sh->stage, 0);
	atomic_store(&sh->results, 0);
	atomic_store(&sh->overflow, 0);
	atomic_store(&sh->step, 0);
	memset(sh->slots, 0, setup.nslots * sizeof(sh->slots[0]));
	memset(&used, 0, sizeof(used));
	ntasks = 1;
	if (setup.uid > 0 && fchown(work_dir, setup.uid, setup.uid) < 0)
		return stop(END_UNSUPPORTED, "the private directory cannot be given to uid %d", setup.uid);
	pid = fork();
	if (pid < 0)
		return stop(END_CRASHED, "fork: %s", strerror(errno));
	if (pid == 0)
		script_main();
	procs[0].pid = pid;
	procs[0].uffd = -1;
	new_task(&tasks[0], 0, pid, pid);
	if (setup.needs_frozen && take_userfaultfd(&procs[0]) < 0)
		return fired ? END_TIMEOUT : stop(END_UNSUPPORTED, "userfaultfd: %s", sh->setup_error);
	return CONTINUE;
}

struct directory_entry {
	uint64_t ino;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static void empty_directory(int dirfd);

static void remove_entry(int dirfd, const char *name)
{
	int fd;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || unlinkat(dirfd, name, 0) == 0)
		return;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		empty_directory(fd);
		close(fd);
	}
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* Also called by a signal handler: no opendir, which allocates. */
static void empty_directory(int dirfd)
{
	char buf[2048] __attribute__((aligned(8)));
	long n;

	lseek(dirfd, 0, SEEK_SET);
	while ((n = syscall(SYS_getdents64, dirfd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n; at += ((struct directory_entry *)(buf + at))->length)
			remove_entry(dirfd, ((struct directory_entry *)(buf + at))->name);
}

void remove_private_dir(void)
{
	if (!sh->private_dir[0])
		return;
	empty_directory(work_dir);
	rmdir(sh->private_dir);
}

/* Without a pid namespace: children that nobody recorded, such as a fork that the watchdog overtook. */
static void kill_strays(void)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	read_text(path, text, sizeof(text));
	for (char *p = strtok(text, " \n"); p; p = strtok(NULL, " \n"))
		kill(atoi(p), SIGKILL);
}

/* Every process of the script has got its SIGKILL; what is left of it comes to us, its init or subreaper. */
static void reap_all(void)
{
	static const struct timespec pause = { 0, 200000 };
	pid_t pid;

	if (world.private_pid) {
		if (setup.needs_processes || setup.needs_frozen)
			kill(-1, SIGKILL);
		while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
			;
		return;
	}
	while (procs[0].pid > 0 && waitpid(procs[0].pid, NULL, 0) < 0 && errno == EINTR)
		;
	while ((pid = waitpid(-1, NULL, __WALL | WNOHANG)) >= 0) {
		if (pid > 0)
			continue;
		kill_strays();
		nanosleep(&pause, NULL);
	}
}

/* Kill and reap every process of the script, and forget its tasks. */
static void end_script(void)
{
	for (int i = 0; i <= ntasks; i++) {
		if (procs[i].pid <= 0)
			continue;
		kill(procs[i].pid, SIGKILL);
		if (procs[i].uffd >= 0)
			close(procs[i].uffd);
	}
	reap_all();
	for (int i = 0; i <= ntasks; i++) {
		if (helper_of(i)->state != ABSENT)
			close_task_files(helper_of(i));
		helper_of(i)->state = ABSENT;
		procs[i].pid = 0;
	}
	for (int i = 0; i < ntasks; i++) {
		if (tasks[i].state != ABSENT)
			close_task_files(&tasks[i]);
		tasks[i].state = ABSENT;
	}
}

static void clean_up_memory(void)
{
	if (used.touched_dir)
		empty_directory(work_dir);
	if (setup.uid > 0 && fchown(work_dir, geteuid(), getegid()) < 0)
		perror("epollsim-agent: private directory");
	for (unsigned i = 0; i < used.nqueues; i++)
		mq_unlink(used.queues[i]);
	if (sh->read_only_poked)
		memset(read_only_alias, 0, PAGE);
	sh->read_only_poked = 0;
	madvise((void *)ARENA, ARENA_BYTES, MADV_REMOVE);
	madvise((void *)EDGE, EDGE_BYTES, MADV_REMOVE);
	if (setup.needs_frozen)
		madvise((void *)FROZEN, FROZEN_BYTES, MADV_REMOVE);
}

static void clean_up(void)
{
	restore_sysctls();
	clean_up_memory();
}

/* The script once, from its birth to its death. */
static enum end run_once(void)
{
	enum end end = start_script();

	if (end == CONTINUE)
		end = run_steps();
	set_watchdog(0);
	forget_time_wait();
	end_script();
	return end;
}

static enum end check_abilities(void)
{
	if (setup.uid > 0 && !world.set_uid)
		return stop(END_UNSUPPORTED, "only root can run a script as another user");
	if (setup.needs_frozen && !world.uffd)
		return stop(END_UNSUPPORTED, "userfaultfd is not permitted here");
	if (setup.needs_exec && (setup.uid > 0 || setup.needs_frozen))
		return stop(END_UNSUPPORTED, "no execve as another user, or beside frozen pages");
	if (setup.needs_frozen && setup.needs_processes && setup.uid > 0)
		return stop(END_UNSUPPORTED, "frozen pages and forks together need root");
	return CONTINUE;
}

void run_program(unsigned runs, void (*each)(enum end end))
{
	enum end end;

	end = check_abilities();
	if (end != CONTINUE) {
		each(end);
		return;
	}
	end = lock_the_machine();
	stay_on_this_cpu(1);
	fired = 0;
	set_watchdog(setup.watchdog_ns ? setup.watchdog_ns : DEFAULT_WATCHDOG_NS);
	if (end == CONTINUE)
		end = set_machine_sysctls();
	if (end == CONTINUE)
		end = enter_script_net();
	if (end != CONTINUE) {
		set_watchdog(0);
		each(end);
		runs = 0;
	}
	for (unsigned i = 0; i < runs && end != END_UNSUPPORTED; i++) {
		if (i > 0) {
			fired = 0;
			reason[0] = 0;
			clean_up_memory();
			set_watchdog(setup.watchdog_ns ? setup.watchdog_ns : DEFAULT_WATCHDOG_NS);
		}
		end = run_once();
		each(end);
	}
	leave_script_net();
	clean_up();
	stay_on_this_cpu(0);
	unlock_the_machine();
}
