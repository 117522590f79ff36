/* The script process, from its fork to its first task: capabilities, descriptors, user. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

__attribute__((noreturn)) static void setup_failed(const char *what)
{
	snprintf(sh->setup_error, sizeof(sh->setup_error), "%s: %s", what, strerror(errno));
	_exit(99);
}

/* Capabilities with a meaning inside the model's world, and no reach beyond the private namespaces. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	uint64_t keep = 1UL << CAP_CHOWN | 1UL << CAP_DAC_OVERRIDE | 1UL << CAP_FOWNER | 1UL << CAP_FSETID |
			1UL << CAP_KILL | 1UL << CAP_NET_BIND_SERVICE | 1UL << CAP_IPC_LOCK | 1UL << CAP_SYS_NICE |
			1UL << CAP_SYS_RESOURCE | 1UL << CAP_SYSLOG | 1UL << CAP_WAKE_ALARM | 1UL << CAP_BLOCK_SUSPEND;

	if (world.private_user)
		keep = 0; /* an ordinary user: capabilities over a user namespace would be an answer no user gets */
	else if (world.private_net)
		keep |= 1UL << CAP_NET_ADMIN | 1UL << CAP_NET_RAW;
	if ((setup.needs_frozen && setup.needs_processes) || setup.needs_exec)
		keep |= 1UL << CAP_SYS_PTRACE; /* a forked process makes a userfaultfd; an executed one looks for its memory */
	if (syscall(SYS_capget, &header, data) < 0)
		return;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= keep >> (32 * i);
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		setup_failed("capset");
}

int make_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM };
	struct uffdio_register range = { .range = { FROZEN, FROZEN_BYTES }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
		if (device < 0)
			return -1;
		fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		close(device);
	}
	if (fd >= 0 && (ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &range) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

void offer_userfaultfd(void)
{
	int fd = make_userfaultfd();

	if (fd < 0)
		setup_failed("userfaultfd");
	atomic_store(&sh->stage, 1 + fd);
	futex_wake(&sh->stage);
	while (atomic_load(&sh->stage) != 0)
		futex_wait(&sh->stage, 1 + fd, 0);
	close(fd);
}

static void script_files(void)
{
	if (fchdir(work_dir) < 0)
		setup_failed("private directory");
	if (syscall(SYS_close_range, 0, ~0U, 0) < 0)
		for (int fd = 0; fd < 1024; fd++)
			close(fd);
	if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
		setup_failed("/dev/null");
}

static void script_user(void)
{
	gid_t none;

	if (setup.uid > 0) {
		if (setgroups(0, &none) < 0 || setresgid(setup.uid, setup.uid, setup.uid) < 0 ||
		    setresuid(setup.uid, setup.uid, setup.uid) < 0)
			setup_failed("uid");
	} else {
		drop_capabilities();
	}
	if (setup.needs_exec) /* or root would get back what has just been dropped */
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 1); /* else its /proc files belong to root and the coordinator may be refused */
}

__attribute__((noreturn)) void script_main(void)
{
	struct rlimit nofile;

	signal(SIGALRM, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (!world.private_pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	script_files();
	if (setup.nofile >= 0) {
		getrlimit(RLIMIT_NOFILE, &nofile);
		nofile.rlim_cur = setup.nofile;
		if (nofile.rlim_max < nofile.rlim_cur)
			nofile.rlim_max = nofile.rlim_cur;
		if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
			setup_failed("RLIMIT_NOFILE");
	}
	if (setup.needs_frozen)
		offer_userfaultfd();
	script_user();
	task_main(0);
	_exit(0);
}
