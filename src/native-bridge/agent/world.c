/* The private world of the coordinator: namespaces, a root directory with next to nothing in it, limits. */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct world world;

static int bind_file(const char *from, const char *to)
{
	int fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		return -1;
	close(fd);
	return mount(from, to, NULL, MS_BIND, NULL);
}

/* A root directory in memory, with nothing in it but what scripts may open. It vanishes with the namespace. */
static int build_jail(void)
{
	static const char *const devices[] = { "zero", "full", "random", "urandom", "kmsg", "fuse", "net/tun" };
	char from[64], to[64];

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("epollsim", "/tmp", "tmpfs", MS_NOSUID, "size=64m,mode=755") < 0 || chdir("/tmp") < 0)
		return -1;
	mkdir("proc", 0755);
	mkdir("sys", 0755);
	mkdir("dev", 0755);
	mkdir("dev/net", 0755);
	mkdir("dev/pts", 0755);
	mkdir("tmp", 01777);
	mkdir("work", 0755);
	if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
	    bind_file("/dev/null", "dev/null") < 0)
		return -1;
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		snprintf(from, sizeof(from), "/dev/%s", devices[i]);
		snprintf(to, sizeof(to), "dev/%s", devices[i]);
		if (access(from, F_OK) == 0)
			bind_file(from, to);
	}
	if (mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620") == 0 &&
	    symlink("pts/ptmx", "dev/ptmx") < 0)
		return -1;
	mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -1;
	work_dir = open("/work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return work_dir < 0 ? -1 : 0;
}

static void map_user_ids(int uid, int gid)
{
	char line[64];

	write_string("/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "%d %d 1", uid, uid);
	write_string("/proc/self/uid_map", line);
	snprintf(line, sizeof(line), "%d %d 1", gid, gid);
	write_string("/proc/self/gid_map", line);
}

static void limit_resources(void)
{
	struct rlimit nofile = { 1024, 1 << 20 };
	struct rlimit core = { 0, 0 };
	struct rlimit size = { 1UL << 30, 1UL << 30 };

	if (setrlimit(RLIMIT_NOFILE, &nofile) < 0 && getrlimit(RLIMIT_NOFILE, &nofile) == 0) {
		nofile.rlim_cur = nofile.rlim_max < 1024 ? nofile.rlim_max : 1024;
		setrlimit(RLIMIT_NOFILE, &nofile);
	}
	setrlimit(RLIMIT_CORE, &core);
	setrlimit(RLIMIT_FSIZE, &size);
	setrlimit(RLIMIT_AS, &size);
	write_string("/proc/self/oom_score_adj", "1000");
}

/* The guardian has gone, or tells us to go. */
static void on_terminate(int sig)
{
	(void)sig;
	kill_script();
	restore_sysctls();
	remove_private_dir();
	_exit(1);
}

void set_handler(int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };
	sigaction(sig, &sa, NULL);
}

static void find_abilities(unsigned long flags)
{
	int fd = make_userfaultfd();

	world.uffd = fd >= 0;
	if (fd >= 0)
		close(fd);
	world.private_user = (flags & CLONE_NEWUSER) != 0;
	world.set_uid = geteuid() == 0 && !world.private_user;
	world.sysctl = access("/proc/sys/fs/epoll/max_user_watches", W_OK) == 0;
	world.proc_syscall = access("/proc/self/syscall", R_OK) == 0;
	world.ncpus = sysconf(_SC_NPROCESSORS_ONLN);
	low_end = (uint64_t)sbrk(0) + (64UL << 20);
}

__attribute__((noreturn)) void coordinate(unsigned long flags, int uid, int gid)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setsid();
	umask(022);
	set_handler(SIGTERM, on_terminate);
	set_handler(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	if (flags & CLONE_NEWUSER)
		map_user_ids(uid, gid);
	if (flags) {
		if (build_jail() < 0)
			_exit(NO_WORLD);
		world.jail = world.private_pid = world.private_mount = world.private_ipc = world.private_net = 1;
		private_net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		loopback_up();
	}
	limit_resources();
	find_abilities(flags);
	serve();
	exit(0);
}
