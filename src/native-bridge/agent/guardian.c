/* The guardian, and the start of everything. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

void *shared_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		perror("epollsim-agent: mmap");
		exit(1);
	}
	return p;
}

/* Maps the next bytes of the file that holds the memory. */
static void *map_memory(uint64_t at, size_t bytes, int prot)
{
	static off_t next;
	int flags = MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0);
	void *p = mmap((void *)at, bytes, prot, flags, memory_fd, next);

	if (p == MAP_FAILED || (at && p != (void *)at)) {
		fprintf(stderr, "epollsim-agent: cannot map memory at %#lx: %s\n", at, strerror(errno));
		exit(1);
	}
	next += bytes;
	return p;
}

static const size_t memory_bytes = AGENT_BYTES + ARENA_BYTES + EDGE_BYTES + FROZEN_BYTES + PAGE;

static void map_all(void)
{
	sh = map_memory(AGENT, AGENT_BYTES, PROT_READ | PROT_WRITE);
	in_buffer = (void *)IN_AT;
	out_buffer = (void *)OUT_AT;
	map_memory(ARENA, ARENA_BYTES, PROT_READ | PROT_WRITE);
	map_memory(EDGE, EDGE_BYTES, PROT_READ | PROT_WRITE);
	map_memory(FROZEN, FROZEN_BYTES, PROT_READ | PROT_WRITE);
	map_memory(READ_ONLY, PAGE, PROT_READ);
	read_only_alias = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, memory_bytes - PAGE);
}

static void make_memory(void)
{
	memory_fd = memfd_create("epollsim", MFD_CLOEXEC);
	if (memory_fd < 0 || ftruncate(memory_fd, memory_bytes) < 0) {
		perror("epollsim-agent: memory");
		exit(1);
	}
	map_all();
	tasks = shared_map((2 * MAX_TASKS + 1) * sizeof(*tasks));
	procs = shared_map((MAX_TASKS + 1) * sizeof(*procs));
}

/* Here a task goes on behind an execve: its number, and which descriptor of which process is the memory. */
static int go_on(char **words)
{
	char path[64];
	struct ctl *c;
	uint32_t seen;

	snprintf(path, sizeof(path), "/proc/%s/fd/%s", words[1], words[2]);
	memory_fd = open(path, O_RDWR | O_CLOEXEC);
	if (memory_fd < 0)
		return 1;
	map_all();
	close(memory_fd);
	c = &sh->ctl[atoi(words[0])];
	seen = atomic_load(&c->command);
	c->ret = 0;
	atomic_store(&c->done, seen);
	futex_wake(&c->done);
	task_loop(c - sh->ctl, seen);
	return 0;
}

static volatile sig_atomic_t terminated;

static void on_guardian_signal(int sig)
{
	if (sig == SIGTERM || sig == SIGHUP)
		terminated = 1;
}

/* Watch over the coordinator until it ends or nobody is left to read the results. Returns its exit status. */
static int guard(pid_t pid)
{
	struct pollfd out = { .fd = 1, .events = 0 };
	int status;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (terminated || (poll(&out, 1, 200) > 0 && out.revents & (POLLERR | POLLHUP | POLLNVAL))) {
			kill(pid, SIGKILL);
			while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
				;
			return 1;
		}
	}
}

static void make_private_dir(void)
{
	strcpy(sh->private_dir, "/tmp/epollsim-XXXXXX");
	if (!mkdtemp(sh->private_dir)) {
		perror("epollsim-agent: private directory");
		exit(1);
	}
	work_dir = open(sh->private_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int run_coordinator(unsigned long flags)
{
	int uid = geteuid(), gid = getegid();
	int status;
	pid_t pid;

	if (!flags)
		make_private_dir();
	pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		return NO_WORLD;
	if (pid == 0)
		coordinate(flags, uid, gid);
	status = guard(pid);
	restore_sysctls();
	remove_private_dir();
	return status;
}

static void open_locks(void)
{
	lock_turn = open("/proc/sys/fs/pipe-max-size", O_RDONLY | O_CLOEXEC);
	lock_machine = open("/proc/sys/fs/epoll/max_user_watches", O_RDONLY | O_CLOEXEC);
	original_net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	int plain = argc > 1 && strcmp(argv[1], "--plain") == 0;
	int status = NO_WORLD;

	if (argc == 5 && strcmp(argv[1], "--go-on") == 0)
		return go_on(argv + 2);
	if (argc > 1 && !plain) {
		fprintf(stderr, "usage: epollsim-agent [--plain]\n"
				"Speaks epollsim's protocol on stdin and stdout. --plain: no private namespaces.\n");
		return 2;
	}
	make_memory();
	open_locks();
	signal(SIGINT, SIG_IGN); /* Ctrl-C is for the client; when that goes, so do we */
	signal(SIGPIPE, SIG_IGN);
	set_handler(SIGTERM, on_guardian_signal);
	set_handler(SIGHUP, on_guardian_signal);
	set_handler(SIGCHLD, on_guardian_signal);
	if (!plain && geteuid() == 0)
		status = run_coordinator(NAMESPACES);
	if (!plain && status == NO_WORLD)
		status = run_coordinator(NAMESPACES | CLONE_NEWUSER);
	if (status == NO_WORLD)
		status = run_coordinator(0);
	return status;
}
