/*
 * epollsim-agent: executes programs of system calls on this kernel and reports what happened.
 *
 * Three kinds of processes:
 *
 *   guardian     The process that was started. It starts the coordinator, notices when the client has gone, restores
 *                sysctls and removes the private directory whatever happened to the others.
 *   coordinator  Pid 1 of private pid, mount, ipc and net namespaces, as far as they are permitted. It speaks the
 *                protocol on stdin and stdout (see ../protocol.ts), checks each call and decides who is asleep.
 *   script       Forked for each program, killed behind it. Its threads, and processes forked from it, are the tasks.
 *
 * A task waits on a futex for a command, executes it and says that it is done; all of that lies in memory which every
 * process of the agent shares, so a script owns no descriptor that its program did not open. Coordinator and script
 * are pinned to one CPU: then handing over is a context switch (6 us), and not an interrupt to a sleeping CPU (46 us).
 *
 * A race is the exception: its tasks are spread over the CPUs, leave a barrier together, and execute several calls each
 * without being asked back. It is over when each is at its end, or asleep in a call.
 *
 * A call has blocked when its task sleeps inside that very call: /proc/PID/task/TID/syscall names the call only while
 * the task is off the CPU and not runnable. No step waits for a fixed time.
 *
 * What a program may do is decided here, not by the client: the table of calls and the checks of arguments below.
 * Behind them stand the private namespaces, a file system that holds nothing, and reduced capabilities.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the native agent knows the system calls of x86-64 only"
#endif

#define PROTOCOL_VERSION 3

/* ---- The user address space of a script: UserLayout in src/syscalls/port.ts ---- */

#define PAGE 4096UL
#define ARENA 0x200000000UL
#define ARENA_BYTES (16UL << 20)
#define EDGE 0x210000000UL
#define EDGE_BYTES (16 * PAGE)
#define READ_ONLY 0x220000000UL
#define FROZEN 0x230000000UL
#define FROZEN_PAGES 16UL
#define FROZEN_BYTES (FROZEN_PAGES * PAGE)
#define AGENT 0x300000000UL /* the agent's own; no script ever names an address there */
#define HANDLER 1000 /* in a rt_sigaction: "a handler that does nothing" */

/* ---- Limits ---- */

#define MAX_TASKS 256
#define MAX_STEPS (1U << 18)
#define MAX_SLOTS (1U << 16)
#define MAX_MESSAGE (64UL << 20)
#define STACK_BYTES (32UL << 10)
#define MAX_SYSCTLS 16
#define MAX_QUEUES 16
#define MAX_ABSTRACT 8
#define MAX_FALLOCATE (64L << 20)
#define DEFAULT_WATCHDOG_NS 10000000000ULL
#define TURN_NS 300000000ULL
#define LOCK_NS 20000000000ULL /* how long to wait for an agent that has changed sysctls of the machine */
#define TRANSIENT_NS 300000000ULL /* how long a D state may look like work in progress */
#define SLOW_NS 1000000ULL	   /* how long a work queue of the kernel may take to wake somebody */

/* ---- The calls of the language ---- */

enum check {
	C_NONE,
	C_OPEN, C_OPENAT, C_PATH0, C_PATH1, C_MKNOD, C_MKNODAT, C_WATCH, C_MQ,
	C_BIND, C_CONNECT, C_SENDTO, C_SENDMSG, C_RECVMSG, C_SENDMMSG, C_RECVMMSG, C_IOV,
	C_SOCKET, C_SETSOCKOPT, C_IOCTL, C_FCNTL, C_PRCTL, C_PRLIMIT, C_KILL, C_TGKILL, C_PID, C_KCMP,
	C_SIGACTION, C_EXEC, C_FALLOCATE, C_MEMFD, C_PSELECT, C_EXIT, C_EXIT_GROUP, C_USERS,
};

/* Which registers are user pointers. */
#define P0 1
#define P1 2
#define P2 4
#define P3 8
#define P4 16
#define P5 32

struct call {
	const char *name;
	int nr;
	uint8_t pointers;
	uint8_t sleeps; /* sleeping is normal for it; others are given time to finish a sleep in D state */
	uint8_t check;
};

static const struct call calls[] = {
	{ "read", 0, P1, 1, C_NONE },
	{ "write", 1, P1, 1, C_NONE },
	{ "open", 2, P0, 1, C_OPEN },
	{ "close", 3, 0, 0, C_NONE },
	{ "fstat", 5, P1, 0, C_NONE },
	{ "poll", 7, P0, 1, C_NONE },
	{ "lseek", 8, 0, 0, C_NONE },
	{ "rt_sigaction", 13, P1 | P2, 0, C_SIGACTION },
	{ "rt_sigprocmask", 14, P1 | P2, 0, C_NONE },
	{ "ioctl", 16, P2, 0, C_IOCTL },
	{ "pread64", 17, P1, 1, C_NONE },
	{ "pwrite64", 18, P1, 1, C_NONE },
	{ "readv", 19, P1, 1, C_IOV },
	{ "writev", 20, P1, 1, C_IOV },
	{ "pipe", 22, P0, 0, C_NONE },
	{ "select", 23, P1 | P2 | P3 | P4, 1, C_NONE },
	{ "sched_yield", 24, 0, 0, C_NONE },
	{ "dup", 32, 0, 0, C_NONE },
	{ "dup2", 33, 0, 0, C_NONE },
	{ "pause", 34, 0, 1, C_NONE },
	{ "nanosleep", 35, P0 | P1, 1, C_NONE },
	{ "getitimer", 36, P1, 0, C_NONE },
	{ "alarm", 37, 0, 0, C_NONE },
	{ "setitimer", 38, P1 | P2, 0, C_NONE },
	{ "getpid", 39, 0, 0, C_NONE },
	{ "sendfile", 40, P2, 1, C_NONE },
	{ "socket", 41, 0, 0, C_SOCKET },
	{ "connect", 42, P1, 1, C_CONNECT },
	{ "accept", 43, P1 | P2, 1, C_NONE },
	{ "sendto", 44, P1 | P4, 1, C_SENDTO },
	{ "recvfrom", 45, P1 | P4 | P5, 1, C_NONE },
	{ "sendmsg", 46, P1, 1, C_SENDMSG },
	{ "recvmsg", 47, P1, 1, C_RECVMSG },
	{ "shutdown", 48, 0, 0, C_NONE },
	{ "bind", 49, P1, 0, C_BIND },
	{ "listen", 50, 0, 0, C_NONE },
	{ "getsockname", 51, P1 | P2, 0, C_NONE },
	{ "getpeername", 52, P1 | P2, 0, C_NONE },
	{ "socketpair", 53, P3, 0, C_SOCKET },
	{ "setsockopt", 54, P3, 0, C_SETSOCKOPT },
	{ "getsockopt", 55, P3 | P4, 0, C_NONE },
	{ "execve", 59, P0, 0, C_EXEC },
	{ "exit", 60, 0, 0, C_EXIT },
	{ "wait4", 61, P1 | P3, 1, C_NONE },
	{ "kill", 62, 0, 0, C_KILL },
	{ "fcntl", 72, 0, 0, C_FCNTL },
	{ "fsync", 74, 0, 0, C_NONE },
	{ "ftruncate", 77, 0, 0, C_NONE },
	{ "mkdir", 83, P0, 0, C_PATH0 },
	{ "unlink", 87, P0, 0, C_PATH0 },
	{ "fchmod", 91, 0, 0, C_NONE },
	{ "getuid", 102, 0, 0, C_NONE },
	{ "setuid", 105, 0, 0, C_USERS },
	{ "geteuid", 107, 0, 0, C_NONE },
	{ "getppid", 110, 0, 0, C_NONE },
	{ "setresuid", 117, 0, 0, C_USERS },
	{ "rt_sigpending", 127, P0, 0, C_NONE },
	{ "rt_sigtimedwait", 128, P0 | P1 | P2, 1, C_NONE },
	{ "rt_sigqueueinfo", 129, P2, 0, C_PID },
	{ "rt_sigsuspend", 130, P0, 1, C_NONE },
	{ "sigaltstack", 131, P0 | P1, 0, C_NONE }, /* no handler ever runs on it: see prepare_sigaction */
	{ "mknod", 133, P0, 0, C_MKNOD },
	{ "prctl", 157, 0, 0, C_PRCTL },
	{ "gettid", 186, 0, 0, C_NONE },
	{ "tkill", 200, 0, 0, C_PID },
	{ "time", 201, P0, 0, C_NONE },
	{ "futex", 202, P0 | P3 | P4, 1, C_NONE },
	{ "epoll_create", 213, 0, 0, C_NONE },
	{ "timer_create", 222, P1 | P2, 0, C_NONE },
	{ "timer_settime", 223, P2 | P3, 0, C_NONE },
	{ "timer_gettime", 224, P1, 0, C_NONE },
	{ "timer_getoverrun", 225, 0, 0, C_NONE },
	{ "timer_delete", 226, 0, 0, C_NONE },
	{ "clock_gettime", 228, P1, 0, C_NONE },
	{ "clock_nanosleep", 230, P2 | P3, 1, C_NONE },
	{ "exit_group", 231, 0, 0, C_EXIT_GROUP },
	{ "epoll_wait", 232, P1, 1, C_NONE },
	{ "epoll_ctl", 233, P3, 0, C_NONE },
	{ "tgkill", 234, 0, 0, C_TGKILL },
	{ "mq_open", 240, P0 | P3, 0, C_MQ },
	{ "mq_timedsend", 242, P1 | P4, 1, C_NONE },
	{ "mq_timedreceive", 243, P1 | P3 | P4, 1, C_NONE },
	{ "mq_getsetattr", 245, P1 | P2, 0, C_NONE },
	{ "waitid", 247, P2 | P4, 1, C_NONE },
	{ "inotify_init", 253, 0, 0, C_NONE },
	{ "inotify_add_watch", 254, P1, 0, C_WATCH },
	{ "inotify_rm_watch", 255, 0, 0, C_NONE },
	{ "openat", 257, P1, 1, C_OPENAT },
	{ "mknodat", 259, P1, 0, C_MKNODAT },
	{ "unlinkat", 263, P1, 0, C_PATH1 },
	{ "pselect6", 270, P1 | P2 | P3 | P4 | P5, 1, C_PSELECT },
	{ "ppoll", 271, P0 | P2 | P3, 1, C_NONE },
	{ "splice", 275, P1 | P3, 1, C_NONE },
	{ "tee", 276, 0, 1, C_NONE },
	{ "vmsplice", 278, P1, 1, C_IOV },
	{ "epoll_pwait", 281, P1 | P4, 1, C_NONE },
	{ "signalfd", 282, P1, 0, C_NONE },
	{ "timerfd_create", 283, 0, 0, C_NONE },
	{ "eventfd", 284, 0, 0, C_NONE },
	{ "fallocate", 285, 0, 0, C_FALLOCATE },
	{ "timerfd_settime", 286, P2 | P3, 0, C_NONE },
	{ "timerfd_gettime", 287, P1, 0, C_NONE },
	{ "accept4", 288, P1 | P2, 1, C_NONE },
	{ "signalfd4", 289, P1, 0, C_NONE },
	{ "eventfd2", 290, 0, 0, C_NONE },
	{ "epoll_create1", 291, 0, 0, C_NONE },
	{ "dup3", 292, 0, 0, C_NONE },
	{ "pipe2", 293, P0, 0, C_NONE },
	{ "inotify_init1", 294, 0, 0, C_NONE },
	{ "preadv", 295, P1, 1, C_IOV },
	{ "pwritev", 296, P1, 1, C_IOV },
	{ "recvmmsg", 299, P1 | P4, 1, C_RECVMMSG },
	{ "prlimit64", 302, P2 | P3, 0, C_PRLIMIT },
	{ "sendmmsg", 307, P1, 1, C_SENDMMSG },
	{ "kcmp", 312, 0, 0, C_KCMP },
	{ "memfd_create", 319, P0, 0, C_MEMFD },
	{ "preadv2", 327, P1, 1, C_IOV },
	{ "pwritev2", 328, P1, 1, C_IOV },
	{ "pidfd_send_signal", 424, P2, 0, C_NONE },
	{ "pidfd_open", 434, 0, 0, C_PID },
	{ "close_range", 436, 0, 0, C_NONE },
	{ "epoll_pwait2", 441, P1 | P3 | P4, 1, C_NONE },
};

static const struct call *find_call(unsigned nr)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].nr == (int)nr)
			return &calls[i];
	return NULL;
}

/* ---- A program, as parsed ---- */

enum op {
	OP_POKE = 1, OP_POKE_SLOT, OP_CALL, OP_AWAIT, OP_BLOCKED, OP_PEEK, OP_PEEK_SLOT, OP_THAW, OP_SPAWN, OP_FDINFO,
	OP_POLL_MASK, OP_SETTLE, OP_RACE,
};

struct reg {
	int64_t value;
	int32_t slot; /* >= 0: the value is that of a slot */
};

struct step {
	uint8_t op;
	uint8_t wait; /* call: until it has returned; spawn: as a process */
	uint8_t size;
	uint16_t task;
	uint16_t parent;
	uint32_t clone_flags; /* spawn: CLONE_FILES and so on, of a process */
	int32_t slot;
	uint32_t page;
	unsigned nr;
	uint64_t addr;
	uint64_t length;
	const uint8_t *bytes; /* in the request buffer, which every process of the agent sees at the same address */
	const struct call *call;
	struct reg args[6];
	/* in a race: */
	uint32_t spins; /* rounds of a busy loop before the call */
	_Atomic uint32_t progress;
	long ret;
};

/* What has become of a call in a race. */
enum { NOT_ENTERED, ENTERED, LEFT };

struct lane {
	uint16_t task;
	uint32_t nsteps;
	uint32_t spins;
};

struct setting {
	char name[64];
	char value[64];
};

struct setup {
	int uid;
	int nofile;
	uint64_t watchdog_ns;
	unsigned nslots;
	unsigned nsysctls;
	struct setting sysctls[MAX_SYSCTLS];
	unsigned nsteps;
	/* What the steps say about the world they need. */
	int needs_frozen;
	int needs_processes;
	int needs_exec;
	int needs_inet; /* 1: internet sockets, 2 or 3: net sysctls */
	uint16_t proc_of[MAX_TASKS];
	unsigned nlanes;
	unsigned nracing; /* steps of all lanes */
	struct lane lanes[MAX_TASKS];
	unsigned last_use[MAX_TASKS + 1];	/* by process: the last step that needs one of its tasks to be awake */
};

/* ---- Memory shared by all processes of the agent ---- */

enum kind { K_CALL, K_STEPS, K_CLONE, K_POLL, K_RACE };

/* The kernel's struct sigaction. */
struct ksigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

/* The mail box of one task. */
struct ctl {
	_Atomic uint32_t command; /* futex of the task: number of the newest command */
	_Atomic uint32_t done;	  /* futex of the coordinator: number of the newest finished one */
	uint32_t kind;
	_Atomic uint32_t first; /* K_STEPS, K_RACE: which steps; in a race the present one */
	uint32_t last;
	int nr;
	long args[6];
	long ret;
	uint64_t sigmask; /* published when a call begins that may sleep */
	int set_sigmask;  /* a new task takes `sigmask` instead of what it inherited */
	int is_fork;	  /* this task began as a process of its own */
	_Atomic pid_t pid; /* and that is its number */
	int pidfd;	  /* where the kernel stores that of CLONE_PIDFD */
	struct ksigaction action;
	struct pollfd pollfd;
} __attribute__((aligned(64)));

struct saved_sysctl {
	char path[128];
	char value[128];
};

struct shared {
	struct ctl ctl[2 * MAX_TASKS + 1]; /* the tasks, then one helper for each process */
	_Atomic uint64_t results;	   /* number of results (high half) and bytes of results (low half) so far */
	_Atomic uint32_t step;		   /* the step being executed */
	_Atomic uint32_t overflow;	   /* the results did not fit */
	_Atomic uint32_t race_missing;	   /* tasks that have not reached the barrier */
	_Atomic uint32_t race_over;	   /* no further calls */
	_Atomic uint32_t stage;		   /* futex: hand-over of a userfaultfd */
	uint32_t thawed;		   /* bit set of frozen pages */
	uint32_t frozen_armed;
	uint32_t read_only_poked;
	_Atomic uint32_t nsaved; /* sysctls to restore, for coordinator and guardian */
	struct saved_sysctl saved[MAX_SYSCTLS];
	char exec_words[4][16];	 /* how a program of an execve finds its way back here */
	char *exec_argv[6];
	char private_dir[64]; /* to be removed by the guardian; empty if it vanishes by itself */
	char setup_error[256];
	ssize_t text_bytes; /* fdinfo; -1: none */
	char text[1 << 20];
	int64_t slots[MAX_SLOTS];
	struct step steps[MAX_STEPS];
};

static struct shared *sh;
static uint8_t *in_buffer;
static uint8_t *out_buffer;

#define ROUND(bytes) (((bytes) + PAGE - 1) / PAGE * PAGE)
#define IN_AT (AGENT + ROUND(sizeof(struct shared)))
#define OUT_AT (IN_AT + MAX_MESSAGE)
#define AGENT_BYTES (ROUND(sizeof(struct shared)) + 2 * MAX_MESSAGE)

/* All of that is one file, so that the program of an execve can have it again. */
static int memory_fd = -1;

#define OUT_HEADER 13 /* length, id, type, number of results */

/* ---- User memory, as coordinator and tasks see it ---- */

static int inside(uint64_t addr, uint64_t len, uint64_t base, uint64_t bytes)
{
	return addr >= base && addr - base <= bytes && len <= bytes - (addr - base);
}

static int frozen_readable(uint64_t addr, uint64_t len)
{
	if (!inside(addr, len, FROZEN, FROZEN_BYTES))
		return 0;
	if (!sh->frozen_armed || len == 0)
		return 1;
	for (uint64_t page = (addr - FROZEN) / PAGE; page <= (addr - FROZEN + len - 1) / PAGE; page++)
		if (!(sh->thawed & 1U << page))
			return 0;
	return 1;
}

static int user_writable(uint64_t addr, uint64_t len)
{
	return inside(addr, len, ARENA, ARENA_BYTES) || inside(addr, len, EDGE, EDGE_BYTES) ||
	       frozen_readable(addr, len);
}

static int user_readable(uint64_t addr, uint64_t len)
{
	return user_writable(addr, len) || inside(addr, len, READ_ONLY, PAGE);
}

/* The page that scripts cannot write is mapped a second time, writable, for pokes. */
static uint8_t *read_only_alias;

/* Bytes that fall behind the end of a range are dropped: there is no memory that could take them. */
static void user_poke(uint64_t addr, const void *from, uint64_t len)
{
	uint8_t *to = (uint8_t *)addr;

	while (len > 0 && !user_readable(addr, len))
		len--;
	if (len > 0 && inside(addr, len, READ_ONLY, PAGE)) {
		to = read_only_alias + (addr - READ_ONLY);
		sh->read_only_poked = 1;
	}
	memcpy(to, from, len);
}

/* 0, or -1 where the kernel would find no memory either. */
static int user_read(uint64_t addr, void *to, uint64_t len)
{
	if (!user_readable(addr, len))
		return -1;
	memcpy(to, (void *)addr, len);
	return 0;
}

/* ---- Raw system calls: tasks share one thread-local area, so they must not touch errno ---- */

static inline long raw(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value, long timeout_ns)
{
	struct timespec ts = { 0, timeout_ns };
	raw(SYS_futex, (long)word, FUTEX_WAIT, value, timeout_ns ? (long)&ts : 0, 0, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	raw(SYS_futex, (long)word, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

/* ---- Results ---- */

enum { R_RET = 1, R_BYTES = 2, R_WOKE = 4 };

struct result {
	const long *ret;
	const void *bytes;
	uint32_t length;
	const uint16_t *woke;
	uint16_t nwoke;
};

static void put_result(const struct result *r)
{
	uint64_t at = atomic_load(&sh->results);
	uint32_t used = (uint32_t)at;
	uint8_t *p = out_buffer + OUT_HEADER + used;
	uint8_t *start = p;

	if (used + 32UL + r->length + 2UL * r->nwoke > MAX_MESSAGE - 4096) {
		atomic_store(&sh->overflow, 1);
		return;
	}
	*p++ = (r->ret ? R_RET : 0) | (r->bytes ? R_BYTES : 0) | (r->nwoke ? R_WOKE : 0);
	if (r->ret) {
		memcpy(p, r->ret, 8);
		p += 8;
	}
	if (r->bytes) {
		memcpy(p, &r->length, 4);
		memcpy(p + 4, r->bytes, r->length);
		p += 4 + r->length;
	}
	if (r->nwoke) {
		memcpy(p, &r->nwoke, 2);
		memcpy(p + 2, r->woke, 2UL * r->nwoke);
		p += 2 + 2UL * r->nwoke;
	}
	atomic_store(&sh->results, at + (1UL << 32) + (uint64_t)(p - start));
}

/* Steps that only touch memory: both the coordinator and a task execute them. */
static int is_memory_step(const struct step *s)
{
	return s->op == OP_POKE || s->op == OP_POKE_SLOT || s->op == OP_PEEK || s->op == OP_PEEK_SLOT;
}

static void memory_step(const struct step *s)
{
	struct result r = { 0 };
	int32_t number;

	switch (s->op) {
	case OP_POKE:
		user_poke(s->addr, s->bytes, s->length);
		break;
	case OP_POKE_SLOT:
		user_poke(s->addr, &sh->slots[s->slot], s->size);
		break;
	case OP_PEEK:
		if (user_readable(s->addr, s->length)) {
			r.bytes = (void *)s->addr;
			r.length = s->length;
		}
		break;
	case OP_PEEK_SLOT:
		if (user_read(s->addr, &number, sizeof(number)) == 0)
			sh->slots[s->slot] = number;
		break;
	}
	put_result(&r);
}

static long value_of(const struct reg *r)
{
	return r->slot >= 0 ? sh->slots[r->slot] : r->value;
}

/* ---- What this agent can do here ---- */

/* Found out once, and told to the client in the greeting. */
static struct {
	int private_pid, private_mount, private_ipc, private_net, private_user;
	int jail;	   /* the file system holds nothing but a private directory, /proc, /dev nodes and /sys */
	int uffd;	   /* userfaultfd stops accesses by the kernel */
	int sysctl;	   /* fs.* can be written */
	int set_uid;
	int proc_syscall;  /* /proc/PID/syscall exists: the exact way to see a sleeper */
	int pinned;	   /* coordinator and script share one CPU */
	int ncpus;
} world;

/* ---- The task ---- */

static char stacks[2 * MAX_TASKS + 1][STACK_BYTES] __attribute__((aligned(4096)));

static void task_main(unsigned self);

static int thread_entry(void *arg)
{
	task_main((unsigned)(uintptr_t)arg);
	return 0;
}

/* A number of steps in one go; the coordinator saw to it that nobody else is inside a call. */
static void task_steps(struct ctl *c)
{
	for (uint32_t i = atomic_load(&c->first); i <= c->last; i++) {
		const struct step *s = &sh->steps[i];
		struct result r = { 0 };
		long a[6], ret;

		atomic_store(&sh->step, i);
		if (is_memory_step(s)) {
			memory_step(s);
			continue;
		}
		for (int k = 0; k < 6; k++)
			a[k] = value_of(&s->args[k]);
		c->ret = ret = raw(s->call->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (s->slot >= 0)
			sh->slots[s->slot] = ret;
		r.ret = &ret;
		put_result(&r);
	}
}

/*
 * Busy loops of a race do not call sched_yield again and again: 6.18 charges a whole slice for each, and whoever has
 * yielded a thousand times starves for seconds once somebody else wants its CPU.
 */
static void spin(uint32_t rounds)
{
	for (uint32_t i = 0; i < rounds; i++)
		__asm__ volatile("pause");
	if (rounds > 64) /* another task of the race may share this CPU */
		raw(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

/* Until every task of the race is here. */
static void race_barrier(void)
{
	uint32_t missing = atomic_fetch_sub(&sh->race_missing, 1) - 1;

	if (missing == 0)
		futex_wake(&sh->race_missing);
	for (uint32_t i = 1; missing != 0; i++) {
		if (i % 512 == 0)
			futex_wait(&sh->race_missing, missing, 1000000);
		else
			__asm__ volatile("pause");
		missing = atomic_load(&sh->race_missing);
	}
}

/* The calls of one task in a race. What they read was put there before, what they write is read behind the race. */
static void task_race(struct ctl *c)
{
	uint32_t end = c->last;

	race_barrier();
	for (uint32_t i = atomic_load(&c->first); i <= end; i++) {
		struct step *s = &sh->steps[i];
		long a[6];
		int32_t number;

		if (s->op == OP_POKE_SLOT)
			user_poke(s->addr, &sh->slots[s->slot], s->size);
		if (s->op == OP_PEEK_SLOT && user_read(s->addr, &number, sizeof(number)) == 0)
			sh->slots[s->slot] = number;
		if (s->op != OP_CALL)
			continue;
		for (int k = 0; k < 6; k++)
			a[k] = value_of(&s->args[k]);
		spin(s->spins);
		if (atomic_load(&sh->race_over))
			return;
		atomic_store(&c->first, i);
		atomic_store(&s->progress, ENTERED);
		s->ret = raw(s->call->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (s->slot >= 0)
			sh->slots[s->slot] = s->ret;
		if (atomic_load(&sh->race_over))
			return;
		atomic_store(&s->progress, LEFT);
	}
}

/*
 * A new thread or process. A helper thread is born with every signal blocked, so that no signal for the process ever
 * ends up there.
 *
 * Returns the number of the task that goes on in this context: a forked child is the new one.
 */
static unsigned task_clone(struct ctl *c, unsigned self)
{
	unsigned target = c->args[0];
	int as_process = c->args[1];
	uint64_t all = ~0UL, old;
	long pid;
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

	if (as_process && c->args[2] & CLONE_VM) { /* the same memory, so it needs a stack of its own */
		flags = SIGCHLD | c->args[2];
		c->ret = clone(thread_entry, stacks[target] + STACK_BYTES, flags, (void *)(uintptr_t)target, &c->pidfd);
		return self;
	}
	if (as_process) {
		pid = raw(SYS_clone, SIGCHLD | c->args[2], 0, (long)&c->pidfd, 0, 0, 0);
		if (pid == 0) /* the mail box is shared: only the parent may answer */
			return target;
		c->ret = pid;
		return self;
	}
	if (target >= MAX_TASKS)
		raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, 8, 0, 0);
	c->ret = clone(thread_entry, stacks[target] + STACK_BYTES, flags, (void *)(uintptr_t)target);
	if (target >= MAX_TASKS)
		raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, 8, 0, 0);
	return self;
}

static void offer_userfaultfd(void);

static void task_begin(unsigned self)
{
	struct ctl *c = &sh->ctl[self];

	if (c->set_sigmask)
		raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&c->sigmask, 0, 8, 0, 0);
	if (c->is_fork)
		atomic_store(&c->pid, raw(SYS_getpid, 0, 0, 0, 0, 0, 0));
	if (c->is_fork && !world.private_pid)
		raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	if (c->is_fork && sh->frozen_armed) /* the registration of the parent is not inherited */
		offer_userfaultfd();
}

/* @seen: the number of the last command that is done. */
static void task_loop(unsigned self, uint32_t seen)
{
	for (;;) {
		struct ctl *c = &sh->ctl[self];
		unsigned next = self;

		while (atomic_load(&c->command) == seen)
			futex_wait(&c->command, seen, 0);
		seen = atomic_load(&c->command);
		switch (c->kind) {
		case K_CALL:
			raw(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&c->sigmask, 8, 0, 0);
			c->ret = raw(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
			break;
		case K_STEPS:
			task_steps(c);
			break;
		case K_RACE:
			task_race(c);
			break;
		case K_CLONE:
			next = task_clone(c, self);
			break;
		case K_POLL:
			c->ret = raw(SYS_poll, (long)&c->pollfd, 1, 0, 0, 0, 0);
			break;
		}
		if (next != self) { /* the child of a fork: begin as the new task */
			self = next;
			seen = 0;
			task_begin(self);
			continue;
		}
		atomic_store(&c->done, seen);
		futex_wake(&c->done);
	}
}

static void task_main(unsigned self)
{
	task_begin(self);
	task_loop(self, 0);
}

/* The handler that a program installs as address 1000. */
static void script_handler(int sig)
{
	(void)sig;
}

void script_restorer(void);
__asm__(".text\n.globl script_restorer\nscript_restorer:\n\tmov $15, %eax\n\tsyscall\n");

/* ---- The machine around a script ---- */

static int work_dir = -1;      /* the private directory */
static int original_net = -1;  /* the net namespace that the agent was started in */
static int private_net = -1;   /* the one that scripts share which use no internet socket */
static int lock_turn = -1, lock_machine = -1;
static uint64_t low_end;       /* end of the agent's own low mappings (text, data, heap) */

static void write_string(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0) {
		/* an optional setting: the caller looks at the outcome where it matters */
	}
	close(fd);
}

static void sysctl_path(char *path, size_t size, const char *name)
{
	size_t at = snprintf(path, size, "/proc/sys/");
	for (; *name && at + 1 < size; name++)
		path[at++] = *name == '.' ? '/' : *name;
	path[at] = 0;
}

static int write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, value, strlen(value));
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return n < 0 ? -1 : 0;
}

static int read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return n < 0 ? -1 : 0;
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	write_string("/proc/sys/net/ipv4/tcp_congestion_control", "cubic");
}

/* ---- Which calls are refused, and why ---- */

/* Run-time facts of the running program that the checks need. */
static struct {
	int touched_dir;
	unsigned nqueues;
	char queues[MAX_QUEUES][64];
	unsigned nabstract;
	struct abstract_name {
		unsigned len;
		char name[108];
	} abstract[MAX_ABSTRACT];
	int other_cpus; /* tasks have raced, and run on several CPUs now */
	int slow; /* work queues of the kernel take part (pseudo terminals): settle longer */
} used;

struct process {
	volatile pid_t pid;
	int uffd;
};

enum state { ABSENT, IDLE, PENDING, GONE };

struct task {
	enum state state;
	int proc;
	pid_t pid, tid;
	uint32_t seq;
	const struct call *call;
	long ret; /* of its newest call, once it has returned */
	int32_t slot; /* that receives it, or -1 */
	int fd_syscall, fd_stat; /* its files in /proc, opened at the first look; or -1 */
	uint64_t transient_ns; /* since when it looks like a sleep that ends by itself */
};

/*
 * In shared memory, though only the coordinator looks at them: what lies in private memory is copied, page by page,
 * when it is written behind a fork. Tasks have the indices of the program, then comes one helper for each process.
 * Process 0 is the first one, process 1 + t began as task t.
 */
static struct task *tasks;
static struct process *procs;
static int ntasks; /* tasks and processes beyond these are not in use */
static struct setup setup;

static char refusal[256];

__attribute__((format(printf, 1, 2))) static const char *refuse(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(refusal, sizeof(refusal), format, ap);
	va_end(ap);
	return refusal;
}

/* Would the kernel find the agent's own memory there? For the script that memory does not exist. */
static int is_own_memory(uint64_t addr)
{
	return (addr >= 0x400000 && addr < low_end) || inside(addr, 0, AGENT, AGENT_BYTES) ||
	       (addr >= 0x700000000000 && addr < 0x800000000000);
}

/* Length of the string, -1 if the kernel cannot read it either, -2 if it has no end. */
static int user_string(uint64_t addr, char *buf, int size)
{
	for (int i = 0; i < size; i++) {
		if (user_read(addr + i, &buf[i], 1) < 0)
			return -1;
		if (buf[i] == 0)
			return i;
	}
	return -2;
}

static int has_dotdot(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == 0 || p[2] == '/'))
			return 1;
	}
	return 0;
}

/* Files outside of the private directory that may be opened. A '*' stands for digits; at the end, for anything. */
static const struct {
	const char *pattern;
	int writable;
} public_files[] = {
	{ "/", 0 },
	{ "/tmp", 0 },
	{ "/dev/null", 1 },
	{ "/dev/zero", 1 },
	{ "/dev/full", 1 },
	{ "/dev/random", 1 },
	{ "/dev/urandom", 1 },
	{ "/dev/ptmx", 1 },
	{ "/dev/pts/*", 1 },
	{ "/dev/kmsg", 0 },
	{ "/dev/fuse", 1 },
	{ "/dev/net/tun", 1 },
	{ "/proc/self/status", 0 },
	{ "/proc/self/stat", 0 },
	{ "/proc/self/maps", 0 },
	{ "/proc/self/mounts", 0 },
	{ "/proc/self/mountinfo", 0 },
	{ "/proc/self/fd/*", 0 }, /* reopening could turn a read-only file writable */
	{ "/proc/self/fdinfo/*", 0 },
	{ "/proc/meminfo", 0 },
	{ "/proc/swaps", 0 },
	{ "/proc/version", 0 },
	{ "/proc/mounts", 0 },
	{ "/proc/kmsg", 0 },
	{ "/proc/sys/kernel/hostname", 0 },
	{ "/proc/net/tcp", 0 },
	{ "/proc/pressure/cpu", 0 },
	{ "/sys/kernel/mm/*", 0 },
	{ "/sys/devices/system/cpu/*", 0 },
	{ "/sys/class/net/lo/*", 0 },
};

static int matches(const char *pattern, const char *path)
{
	size_t fixed = strcspn(pattern, "*");

	if (strncmp(pattern, path, fixed) != 0)
		return 0;
	if (pattern[fixed] == 0)
		return path[fixed] == 0;
	path += fixed;
	return strncmp(pattern, "/sys/", 5) == 0 || (*path && path[strspn(path, "0123456789")] == 0);
}

static const char *check_public(const char *path, int flags)
{
	int writing = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)));

	for (size_t i = 0; i < sizeof(public_files) / sizeof(public_files[0]); i++) {
		if (!matches(public_files[i].pattern, path))
			continue;
		if (writing && (!public_files[i].writable || (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))))
			return refuse("%s may only be opened for reading", path);
		if (strncmp(path, "/dev/pt", 7) == 0)
			used.slow = 1;
		return NULL;
	}
	return refuse("the path %s is outside of the private directory", path);
}

/* @flags: those of an open, or -1 for a call that is only allowed in the private directory. */
static const char *check_path(uint64_t addr, int dirfd, int flags)
{
	char path[PATH_MAX + 1];
	int n = user_string(addr, path, sizeof(path));

	if (n == -1 || n == -2) /* EFAULT, ENAMETOOLONG */
		return NULL;
	if (has_dotdot(path))
		return refuse("the path %s leads upwards", path);
	if (path[0] == '/')
		return flags < 0 ? refuse("the path %s is outside of the private directory", path)
				 : check_public(path, flags);
	if (dirfd != AT_FDCWD && !world.jail)
		return refuse("a path relative to a descriptor needs a private mount namespace");
	used.touched_dir = 1;
	return NULL;
}

static const char *check_mknod(uint64_t addr, int dirfd, unsigned mode)
{
	unsigned type = mode & S_IFMT;

	if (type != 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return refuse("mknod makes only FIFOs, sockets and regular files here");
	return check_path(addr, dirfd, -1);
}

/* The system call takes the name without its slash; libc adds and removes that. */
static const char *check_mq(uint64_t addr)
{
	char *queue = used.queues[used.nqueues];
	int n;

	if (!world.private_ipc)
		return refuse("mq_open needs a private ipc namespace");
	if (used.nqueues == MAX_QUEUES)
		return refuse("no more than %d message queues", MAX_QUEUES);
	queue[0] = '/';
	n = user_string(addr, queue + 1, sizeof(used.queues[0]) - 1);
	if (n == -2)
		return refuse("the name of a message queue has no more than 62 bytes");
	if (n > 0)
		used.nqueues++;
	return NULL;
}

static int is_loopback(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (ss->ss_family == AF_INET)
		return in->sin_addr.s_addr == INADDR_ANY || ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

/*
 * Abstract names are those of the whole net namespace: where that is not private, a script connects only to names that
 * it has bound itself.
 */
static const char *check_abstract_name(const char *name, unsigned len, int binding)
{
	struct abstract_name *own;

	if (world.private_net || len == 0) /* unnamed, or autobind */
		return NULL;
	for (unsigned i = 0; i < used.nabstract; i++)
		if (used.abstract[i].len == len && memcmp(used.abstract[i].name, name, len) == 0)
			return NULL;
	if (!binding)
		return refuse("an abstract address of somebody else needs a private net namespace");
	if (used.nabstract == MAX_ABSTRACT)
		return refuse("no more than %d abstract addresses", MAX_ABSTRACT);
	own = &used.abstract[used.nabstract++];
	own->len = len;
	memcpy(own->name, name, len);
	return NULL;
}

/* @len: without the family. */
static const char *check_unix_address(const char *path, unsigned len, int binding)
{
	if (path[0] == 0)
		return check_abstract_name(path, len, binding);
	if (path[0] == '/' || has_dotdot(path))
		return refuse("the socket %s is outside of the private directory", path);
	used.touched_dir = 1;
	return NULL;
}

static const char *check_address(uint64_t addr, unsigned len, int binding)
{
	struct sockaddr_storage ss;
	char path[sizeof(struct sockaddr_un)];

	memset(&ss, 0, sizeof(ss));
	if (addr == 0 || (int)len < 2)
		return NULL;
	if (len > sizeof(ss)) /* EINVAL */
		return NULL;
	if (user_read(addr, &ss, len) < 0)
		return NULL;
	if ((ss.ss_family == AF_INET || ss.ss_family == AF_INET6) && !world.private_net && !is_loopback(&ss))
		return refuse("an address that is not loopback needs a private net namespace");
	if (ss.ss_family != AF_UNIX)
		return NULL;
	if (len > sizeof(struct sockaddr_un))
		return NULL; /* EINVAL */
	memset(path, 0, sizeof(path));
	memcpy(path, (char *)&ss + 2, len - 2);
	return check_unix_address(path, len - 2, binding);
}

static const char *check_iov(uint64_t addr, uint64_t count)
{
	uint64_t iov[2];

	for (uint64_t i = 0; i < count && i < 1024; i++) {
		if (user_read(addr + 16 * i, iov, 16) < 0)
			return NULL;
		if (is_own_memory(iov[0]))
			return refuse("an iovec points into the agent");
	}
	return NULL;
}

static const char *check_msg(uint64_t addr, int sending)
{
	struct {
		uint64_t name;
		uint32_t namelen, pad;
		uint64_t iov, iovlen, control, controllen;
		uint32_t flags, pad2;
	} m;
	const char *why;

	if (user_read(addr, &m, sizeof(m)) < 0)
		return NULL;
	if (is_own_memory(m.name) || is_own_memory(m.iov) || is_own_memory(m.control))
		return refuse("a msghdr points into the agent");
	why = check_iov(m.iov, m.iovlen);
	return why || !sending ? why : check_address(m.name, m.namelen, 0);
}

static const char *check_mmsg(uint64_t addr, unsigned count, int sending)
{
	const char *why = NULL;

	for (unsigned i = 0; i < count && i < 1024 && !why; i++)
		why = check_msg(addr + 64UL * i, sending);
	return why;
}

static const char *check_socket(int domain, int type, int protocol)
{
	type &= 0xf;
	if (domain == AF_UNIX && type != 0 && type <= SOCK_SEQPACKET)
		return NULL;
	if ((domain == AF_INET || domain == AF_INET6) && (type == SOCK_STREAM || type == SOCK_DGRAM) &&
	    (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP))
		return NULL;
	if (domain == AF_NETLINK && (type == SOCK_RAW || type == SOCK_DGRAM) && protocol == 0)
		return NULL;
	if (domain < 0 || domain >= 256) /* EAFNOSUPPORT */
		return NULL;
	if ((domain == AF_INET || domain == AF_UNIX) && (type == 0 || type > SOCK_PACKET)) /* an unknown type */
		return NULL;
	return refuse("no sockets of domain %d, type %d, protocol %d", domain, type, protocol);
}

static const char *check_setsockopt(int level, int option)
{
	if (level == SOL_SOCKET && option != 50 && option != 52) /* SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF */
		return NULL;
	if (level == IPPROTO_TCP && option != 19 && option != 31) /* TCP_REPAIR, TCP_ULP */
		return NULL;
	if ((level == IPPROTO_IP || level == IPPROTO_IPV6) && option < 64) /* 64 and more: netfilter, of IPv6 until 65 */
		return NULL;
	if (level == IPPROTO_IPV6 && option >= 66 && option < 80)
		return NULL;
	if (level == IPPROTO_UDP || level >= 1024 || level < 0)
		return NULL;
	return refuse("no setsockopt of level %d, option %d", level, option);
}

static const char *check_ioctl(unsigned request)
{
	static const unsigned allowed[] = {
		0x5401, 0x5402, 0x5403, 0x5411, 0x5413, 0x5414, /* TCGETS TCSETS TCSETSW TIOCOUTQ TIOC[GS]WINSZ */
		0x5420, 0x5421, 0x541b, 0x5450, 0x5451, 0x5452, /* TIOCPKT FIONBIO FIONREAD FIONCLEX FIOCLEX FIOASYNC */
		0x80045430, 0x40045431, 0x8905, 0x894b,		/* TIOCGPTN TIOCSPTLCK SIOCATMARK SIOCOUTQNSD */
		0x40088a01, 0x80088a02, 0x40085400,		/* EPIOCSPARAMS EPIOCGPARAMS TFD_IOC_SET_TICKS */
	};

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (request == allowed[i])
			return NULL;
	return refuse("no ioctl %#x", request);
}

static const char *check_fcntl(unsigned cmd)
{
	if (cmd <= F_SETFL || cmd == F_GETOWN || cmd == F_DUPFD_CLOEXEC || cmd == F_SETPIPE_SZ || cmd == F_GETPIPE_SZ ||
	    cmd == F_ADD_SEALS || cmd == F_GET_SEALS || cmd >= 2048) /* the last: EINVAL */
		return NULL;
	return refuse("no fcntl %u", cmd);
}

static int is_script_pid(int pid)
{
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state != ABSENT && (tasks[i].pid == pid || tasks[i].tid == pid))
			return 1;
	return pid > 4194304; /* beyond the largest pid_max: nobody */
}

/* @group: 0 and negative numbers, which name process groups, are known to the call. */
static const char *check_pid(int pid, int group)
{
	if (pid > 0 ? is_script_pid(pid) : !group || pid == 0 || -pid == procs[0].pid || pid < -4194304)
		return NULL;
	return refuse("the process %d is none of the script's", pid);
}

static const char *check_prlimit(int pid, unsigned resource, uint64_t new_limit)
{
	if (pid != 0 && !is_script_pid(pid))
		return refuse("the process %d is none of the script's", pid);
	if (new_limit && resource < RLIM_NLIMITS && resource != RLIMIT_NOFILE && resource != RLIMIT_MSGQUEUE &&
	    resource != RLIMIT_SIGPENDING && resource != RLIMIT_MEMLOCK)
		return refuse("resource limit %u stays as it is", resource);
	return NULL;
}

/* Only a name is behind a pointer: a timer slack may look like an address of the agent. */
static const char *check_prctl(int option, uint64_t value)
{
	if (option == PR_SET_NAME && is_own_memory(value))
		return refuse("the name of a prctl points into the agent");
	if (option == PR_SET_NAME || option == PR_SET_TIMERSLACK || option == PR_GET_TIMERSLACK)
		return NULL;
	return refuse("no prctl %d", option);
}

#define SELF_EXE "/proc/self/exe"

/* The one program that may be executed is this one: it goes on as the same task. */
static const char *prepare_exec(long *a, const struct ctl *c)
{
	char path[sizeof(SELF_EXE)];
	int n = user_string(a[0], path, sizeof(path));

	if (n == -1) /* EFAULT */
		return NULL;
	if (n < 0 || strcmp(path, SELF_EXE) != 0)
		return refuse("only %s may be executed", SELF_EXE);
	snprintf(sh->exec_words[0], sizeof(sh->exec_words[0]), "--go-on");
	snprintf(sh->exec_words[1], sizeof(sh->exec_words[1]), "%d", (int)(c - sh->ctl));
	snprintf(sh->exec_words[2], sizeof(sh->exec_words[2]), "%d", getpid());
	snprintf(sh->exec_words[3], sizeof(sh->exec_words[3]), "%d", memory_fd);
	sh->exec_argv[0] = SELF_EXE;
	for (int i = 0; i < 4; i++)
		sh->exec_argv[i + 1] = sh->exec_words[i];
	a[1] = (long)sh->exec_argv;
	a[2] = 0;
	return NULL;
}

/* The kernel gets a copy: it needs a restorer, and a handler that exists. */
static const char *prepare_sigaction(long *a, struct ctl *c)
{
	if (a[1] == 0 || user_read(a[1], &c->action, sizeof(c->action)) < 0)
		return NULL;
	if (c->action.handler > 1 && c->action.handler != HANDLER)
		return refuse("signal handlers are SIG_DFL, SIG_IGN or the address %d", HANDLER);
	if (c->action.handler == HANDLER) {
		c->action.handler = (uint64_t)script_handler;
		c->action.flags = (c->action.flags & ~(uint64_t)SA_ONSTACK) | 0x04000000; /* SA_RESTORER */
		c->action.restorer = (uint64_t)script_restorer;
	}
	a[1] = (long)&c->action;
	return NULL;
}

static const char *check_pselect(uint64_t addr)
{
	uint64_t sigset[2];

	if (addr && user_read(addr, sigset, sizeof(sigset)) == 0 && is_own_memory(sigset[0]))
		return refuse("a signal set points into the agent");
	return NULL;
}

static const char *check_pointers(const struct call *call, const long *a)
{
	for (int i = 0; i < 6; i++)
		if (call->pointers & 1 << i && is_own_memory(a[i]))
			return refuse("argument %d of %s points into the agent", i, call->name);
	return NULL;
}

/* NULL if the call may be executed with these registers; else a sentence. It may replace registers. */
static const char *check_call(const struct call *call, long *a, struct ctl *c)
{
	const char *why = check_pointers(call, a);

	if (why)
		return why;
	switch ((enum check)call->check) {
	case C_NONE:
	case C_EXIT:
	case C_EXIT_GROUP:
		return NULL;
	case C_OPEN:
		return check_path(a[0], AT_FDCWD, (int)a[1] & INT_MAX);
	case C_OPENAT:
		return check_path(a[1], a[0], (int)a[2] & INT_MAX);
	case C_PATH0:
		return check_path(a[0], AT_FDCWD, -1);
	case C_PATH1:
		return check_path(a[1], a[0], -1);
	case C_MKNOD:
		return check_mknod(a[0], AT_FDCWD, a[1]);
	case C_MKNODAT:
		return check_mknod(a[1], a[0], a[2]);
	case C_WATCH:
		return check_path(a[1], AT_FDCWD, world.jail ? O_RDONLY : -1);
	case C_MQ:
		return check_mq(a[0]);
	case C_BIND:
		return check_address(a[1], a[2], 1);
	case C_CONNECT:
		return check_address(a[1], a[2], 0);
	case C_SENDTO:
		return check_address(a[4], a[5], 0);
	case C_SENDMSG:
		return check_msg(a[1], 1);
	case C_RECVMSG:
		return check_msg(a[1], 0);
	case C_SENDMMSG:
		return check_mmsg(a[1], a[2], 1);
	case C_RECVMMSG:
		return check_mmsg(a[1], a[2], 0);
	case C_IOV:
		return check_iov(a[1], a[2]);
	case C_SOCKET:
		return check_socket(a[0], a[1], a[2]);
	case C_SETSOCKOPT:
		return check_setsockopt(a[1], a[2]);
	case C_IOCTL:
		return check_ioctl(a[1]);
	case C_FCNTL:
		return check_fcntl(a[1]);
	case C_PRCTL:
		return check_prctl(a[0], a[1]);
	case C_PRLIMIT:
		return check_prlimit(a[0], a[1], a[2]);
	case C_KILL:
		return check_pid(a[0], 1);
	case C_TGKILL:
		why = check_pid(a[0], 0);
		return why ? why : check_pid(a[1], 0);
	case C_PID:
		return check_pid(a[0], 0);
	case C_KCMP:
		why = check_pid(a[0], 0);
		return why ? why : check_pid(a[1], 0);
	case C_SIGACTION:
		return prepare_sigaction(a, c);
	case C_EXEC:
		return prepare_exec(a, c);
	case C_FALLOCATE:
		return a[3] > MAX_FALLOCATE ? refuse("fallocate of more than 64 MiB") : NULL;
	case C_MEMFD:
		return a[1] & 4 ? refuse("no huge pages") : NULL; /* MFD_HUGETLB */
	case C_PSELECT:
		return check_pselect(a[5]);
	case C_USERS:
		return refuse("the users of a process stay as the program began with them");
	}
	return refuse("unknown check");
}

/* ---- The script process ---- */

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

static int make_userfaultfd(void)
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

/* The coordinator takes the descriptor out of this process; then its number is free again. */
static void offer_userfaultfd(void)
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

__attribute__((noreturn)) static void script_main(void)
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

/* ---- The coordinator: commands and observation ---- */

static volatile sig_atomic_t fired; /* the watchdog */

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Raw: it runs in signal handlers, which have to leave errno as it is. */
static void kill_script(void)
{
	if (world.private_pid) {
		raw(SYS_kill, -1, SIGKILL, 0, 0, 0, 0);
		return;
	}
	for (int i = 0; i <= ntasks; i++)
		if (procs[i].pid > 0)
			raw(SYS_kill, procs[i].pid, SIGKILL, 0, 0, 0, 0);
}

static void on_alarm(int sig)
{
	(void)sig;
	fired = 1;
	kill_script();
}

static struct ctl *ctl_of(const struct task *t)
{
	return &sh->ctl[t - tasks];
}

static void submit(struct task *t, enum kind kind)
{
	struct ctl *c = ctl_of(t);

	c->kind = kind;
	t->seq++;
	t->transient_ns = 0;
	atomic_store(&c->command, t->seq);
	futex_wake(&c->command);
}

static int is_done(const struct task *t)
{
	return atomic_load(&ctl_of(t)->done) == t->seq;
}

static int open_task_file(const struct task *t, const char *name)
{
	char path[96];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", t->pid, t->tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * @fd: stays open from one look to the next. Each file of a task that is opened and closed leaves something behind that the
 * end of the task has to clear away; with a look at every turn that was half of the time of a race.
 */
static ssize_t read_task_file(const struct task *t, int *fd, const char *name, char *buf, size_t size)
{
	ssize_t n;

	if (*fd < 0)
		*fd = open_task_file(t, name);
	n = *fd < 0 ? -1 : pread(*fd, buf, size - 1, 0);
	buf[n < 0 ? 0 : n] = 0;
	return n;
}

/* The state letter of the task, or 'X' if it is no more. */
static char task_state(struct task *t)
{
	char buf[512];
	char *p;

	if (read_task_file(t, &t->fd_stat, "stat", buf, sizeof(buf)) <= 0)
		return 'X';
	p = strrchr(buf, ')');
	return p && p[1] ? p[2] : 'X';
}

static void close_task_files(struct task *t)
{
	if (t->fd_syscall >= 0)
		close(t->fd_syscall);
	if (t->fd_stat >= 0)
		close(t->fd_stat);
	t->fd_syscall = t->fd_stat = -1;
}

enum look { RUNNING, ASLEEP, RETURNED, DEAD };

/* Without /proc/PID/syscall (gVisor): between command and answer a task that is in state S sleeps in its call. */
static enum look look_at_state(struct task *t)
{
	char state = task_state(t);

	if (is_done(t))
		return RETURNED;
	if (state == 'X' || state == 'Z')
		return DEAD;
	return strchr("SDTt", state) ? ASLEEP : RUNNING;
}

static enum look look_at_syscall(struct task *t)
{
	char buf[256];
	char *end;
	ssize_t n;
	long nr;

	n = read_task_file(t, &t->fd_syscall, "syscall", buf, sizeof(buf));
	if (is_done(t))
		return RETURNED;
	if (n <= 0)
		return DEAD;
	nr = strtol(buf, &end, 10);
	if (end == buf) /* "running" */
		return RUNNING;
	if (nr == -1)
		return strchr("ZX", task_state(t)) ? DEAD : RUNNING;
	if (nr == SYS_futex && strtoul(end, NULL, 16) == (unsigned long)&ctl_of(t)->command)
		return RUNNING; /* waits for a command, or has not seen this one yet */
	return nr == t->call->nr || nr == SYS_restart_syscall ? ASLEEP : RUNNING;
}

/*
 * A call that does not sleep by nature may still be seen in D state: it waits for a lock, or for a grace period. Unless
 * a frozen page holds that lock, the wait ends by itself.
 */
static int is_transient(struct task *t)
{
	uint64_t now;

	if (t->call->sleeps || sh->frozen_armed || task_state(t) != 'D')
		return 0;
	now = now_ns();
	if (t->transient_ns == 0)
		t->transient_ns = now;
	return now - t->transient_ns < TRANSIENT_NS;
}

/* How often the coordinator was off its CPU. While that stands still, no task ran: they are pinned to the same CPU. */
static long switches(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return ru.ru_nvcsw + ru.ru_nivcsw;
}

static enum look look(struct task *t)
{
	enum look l;

	if (is_done(t))
		return RETURNED;
	if (ctl_of(t)->kind == K_RACE) {
		const struct step *s = &sh->steps[atomic_load(&ctl_of(t)->first)];
		if (s->op != OP_CALL || atomic_load(&s->progress) != ENTERED)
			return RUNNING;
		t->call = s->call;
	}
	l = world.proc_syscall ? look_at_syscall(t) : look_at_state(t);
	return l == ASLEEP && is_transient(t) ? RUNNING : l;
}

static void mark_gone(struct task *t)
{
	t->state = GONE;
	t->ret = 0;
	close_task_files(t);
}

static void mark_returned(struct task *t)
{
	t->state = IDLE;
	t->ret = ctl_of(t)->ret;
}

static void relax(unsigned round)
{
	static const struct timespec pause = { 0, 30000 };

	if (round < 200)
		sched_yield();
	else
		nanosleep(&pause, NULL);
}

/* One look at everybody: 1 if all who are inside a call sleep there. */
static int all_asleep(void)
{
	int asleep = 1;

	for (int i = 0; i < ntasks; i++) {
		struct task *t = &tasks[i];
		if (t->state != PENDING)
			continue;
		switch (look(t)) {
		case RETURNED:
			mark_returned(t);
			break;
		case DEAD:
			mark_gone(t);
			break;
		case RUNNING:
			asleep = 0;
			break;
		case ASLEEP:
			break;
		}
	}
	return asleep;
}

/*
 * A task that another CPU is about to wake is no longer asleep, and not running yet: its system call can be seen as that of
 * a sleeper. Its state letter is R.
 */
static int nobody_wakes_up(void)
{
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state == PENDING && !is_done(&tasks[i]) && task_state(&tasks[i]) == 'R')
			return 0;
	return 1;
}

/*
 * Wait until every task has returned from its call or sleeps in it. Returns 0 if the watchdog fired.
 *
 * Looking at one after the other proves nothing if they run meanwhile: the second may wake the first before it goes to
 * sleep itself. They did not run if the coordinator never left the CPU; where tasks cannot be pinned to that, two looks
 * without a difference must do.
 */
static int settle(void)
{
	uint64_t quiet_since = 0;
	int quiet = 0;

	for (unsigned round = 0; !fired; round++) {
		long before = switches();

		if (all_asleep() && (!world.pinned || switches() == before)) {
			quiet++;
			if (quiet_since == 0)
				quiet_since = now_ns();
			if (used.other_cpus && !nobody_wakes_up()) /* those who raced are on other CPUs */
				quiet = 0;
			if (quiet >= 1 + (!world.pinned || used.other_cpus) && (!used.slow || now_ns() - quiet_since > SLOW_NS))
				return 1;
		} else {
			quiet = 0;
			quiet_since = 0;
		}
		relax(round);
	}
	return 0;
}

/* Wait until the task has finished its command. 0 if the watchdog fired or the task is no more. */
static int await_done(struct task *t)
{
	struct ctl *c = ctl_of(t);

	while (!fired) {
		uint32_t done = atomic_load(&c->done);
		if (done == t->seq)
			return 1;
		futex_wait(&c->done, done, 10000000);
		if (is_done(t))
			return 1;
		if (t->tid > 0 && strchr("ZX", task_state(t)) && !is_done(t)) {
			mark_gone(t);
			return 0;
		}
	}
	return 0;
}

/* ---- Steps ---- */

/* How the runs of one program differ: a generator of numbers, and how long the busy loops of this run may be. */
static struct {
	int on;
	uint64_t state;
	uint32_t scale;
} stagger;

enum end { END_DONE, END_UNSUPPORTED, END_TIMEOUT, END_CRASHED, CONTINUE };

static char reason[512];

__attribute__((format(printf, 2, 3))) static enum end stop(enum end end, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	return end;
}

static void note_pending(uint8_t *pending)
{
	for (int i = 0; i < MAX_TASKS; i++) /* a task that the step spawns too */
		pending[i] = tasks[i].state == PENDING;
}

/* Everybody has come to rest: who returned meanwhile is told, except @self, whose step it is. */
static enum end tell_step(struct result *r, const uint8_t *pending, const struct task *self)
{
	uint16_t woke[MAX_TASKS];

	r->woke = woke;
	for (int i = 0; i < ntasks; i++)
		if (pending[i] && tasks[i].state == IDLE && &tasks[i] != self)
			woke[r->nwoke++] = i;
	put_result(r);
	return CONTINUE;
}

/* The end of a step. */
static enum end finish_step(struct result *r, const uint8_t *pending)
{
	return settle() ? tell_step(r, pending, NULL) : CONTINUE; /* the main loop reports the watchdog */
}

static enum end task_is_gone(const struct task *t)
{
	siginfo_t info = { 0 };

	if (sh->setup_error[0])
		return stop(END_UNSUPPORTED, "the script process could not be set up: %s", sh->setup_error);
	if (waitid(P_PID, procs[t->proc].pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		if (info.si_code == CLD_EXITED)
			return stop(END_CRASHED, "task %d is no more: its process has exited", (int)(t - tasks));
		return stop(END_CRASHED, "task %d is no more: its process was killed by signal %d", (int)(t - tasks),
			    info.si_status);
	}
	return stop(END_CRASHED, "task %d is no more", (int)(t - tasks));
}

/* The task of a step, if it can take a command. */
static enum end need_idle(const struct step *s, struct task *t)
{
	if (s->task >= MAX_TASKS || t->state == ABSENT)
		return stop(END_UNSUPPORTED, "task %u does not exist", s->task);
	if (t->state == GONE)
		return task_is_gone(t);
	if (t->state == PENDING)
		return stop(END_UNSUPPORTED, "task %u is still inside %s", s->task, t->call->name);
	return CONTINUE;
}

/* A program whose task died of a fault, not of a signal that it sent, has crashed. */
static enum end check_crash(const struct task *t)
{
	siginfo_t info = { 0 };

	if (sh->setup_error[0])
		return task_is_gone(t);
	if (waitid(P_PID, procs[t->proc].pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return CONTINUE;
	if (info.si_code != CLD_EXITED && strchr("\4\7\10\13\37", info.si_status)) /* ILL BUS FPE SEGV SYS */
		return task_is_gone(t);
	return CONTINUE;
}

static struct task *helper_of(int proc)
{
	return &tasks[MAX_TASKS + proc];
}

static void process_is_gone(int proc)
{
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state != ABSENT && tasks[i].proc == proc)
			mark_gone(&tasks[i]);
	if (helper_of(proc)->state != ABSENT)
		mark_gone(helper_of(proc));
}

static void await_exit(struct task *t)
{
	for (unsigned round = 0; !fired; round++) {
		if (strchr("ZX", task_state(t)))
			break;
		relax(round);
	}
	if (t->call->check == C_EXIT_GROUP)
		process_is_gone(t->proc);
	mark_gone(t);
}

/* Until the task goes on in its new program, as the only one of its process; or the call has failed. */
static void await_exec(struct task *t)
{
	siginfo_t info = { 0 };

	while (!fired && !is_done(t)) {
		futex_wait(&ctl_of(t)->done, t->seq - 1, 10000000);
		if (waitid(P_PID, t->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 && !is_done(t)) {
			process_is_gone(t->proc);
			return;
		}
	}
	if (fired)
		return;
	if (ctl_of(t)->ret == 0) {
		process_is_gone(t->proc); /* its other threads */
		helper_of(t->proc)->state = ABSENT;
	}
	mark_returned(t);
}

/* A task of that process that can take a command: @first if possible, then the helper, then anybody. */
static struct task *someone_idle(int proc, struct task *first)
{
	if (first->state == IDLE)
		return first;
	if (helper_of(proc)->state == IDLE)
		return helper_of(proc);
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state == IDLE && tasks[i].proc == proc)
			return &tasks[i];
	return NULL;
}

static void new_task(struct task *t, int proc, pid_t pid, pid_t tid)
{
	memset(t, 0, sizeof(*t));
	t->state = IDLE;
	t->proc = proc;
	t->pid = pid;
	t->tid = tid;
	t->fd_syscall = t->fd_stat = -1;
}

static int take_userfaultfd(struct process *p)
{
	uint32_t stage;
	int pidfd;

	while ((stage = atomic_load(&sh->stage)) == 0 && !fired && !sh->setup_error[0])
		futex_wait(&sh->stage, 0, 10000000);
	if (stage == 0)
		return -1;
	pidfd = syscall(SYS_pidfd_open, p->pid, 0);
	p->uffd = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, stage - 1, 0);
	if (pidfd >= 0)
		close(pidfd);
	atomic_store(&sh->stage, 0);
	futex_wake(&sh->stage);
	return p->uffd;
}

static const struct call vfork_call = { "vfork", SYS_clone, 0, 1, C_NONE };

/* CLONE_VFORK: @parent sleeps from now on, so its child has to tell the number. 0 if there is none. */
static long await_vfork(struct task *parent, const struct ctl *child)
{
	parent->call = &vfork_call;
	parent->slot = -1;
	parent->state = PENDING;
	submit(parent, K_CLONE);
	for (unsigned round = 0; atomic_load(&child->pid) == 0 && !fired; round++) {
		if (is_done(parent) && ctl_of(parent)->ret < 0) {
			mark_returned(parent);
			return parent->ret;
		}
		relax(round);
	}
	return fired ? 0 : atomic_load(&child->pid);
}

/*
 * Let @cloner make a new task, a process with these CLONE_ flags or a thread. @mask_of: whose signal mask it gets, if that is
 * not the cloner. 0 on failure.
 */
static long clone_task(struct task *cloner, struct task *t, int as_process, uint32_t flags, const struct task *mask_of)
{
	struct ctl *c = ctl_of(cloner), *n = ctl_of(t);
	long ret;

	memset(n, 0, sizeof(*n));
	n->is_fork = as_process;
	if (mask_of != cloner) {
		n->set_sigmask = 1;
		n->sigmask = ctl_of(mask_of)->sigmask;
	}
	c->args[0] = t - tasks;
	c->args[1] = as_process;
	c->args[2] = flags;
	if (flags & CLONE_VFORK) {
		ret = await_vfork(cloner, n);
	} else {
		submit(cloner, K_CLONE);
		if (!await_done(cloner))
			return 0;
		ret = c->ret;
	}
	if (ret <= 0)
		return ret;
	if (as_process) {
		int proc = 1 + (t - tasks);
		procs[proc].pid = ret;
		procs[proc].uffd = -1;
		new_task(t, proc, ret, ret);
		if (sh->frozen_armed && take_userfaultfd(&procs[proc]) < 0)
			return -EPERM;
	} else {
		new_task(t, cloner->proc, cloner->pid, ret);
	}
	return ret;
}

/*
 * Before the last waking task of a process goes to sleep: if a later step wants a thread, a fork or a poll(2) there, a
 * helper thread must stay awake for it. Nobody sees it; it has every signal blocked.
 */
static void keep_one_awake(uint32_t index, struct task *t)
{
	if (index >= setup.last_use[t->proc] || helper_of(t->proc)->state != ABSENT)
		return;
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state == IDLE && tasks[i].proc == t->proc && &tasks[i] != t)
			return;
	if (clone_task(t, helper_of(t->proc), 0, 0, t) <= 0)
		helper_of(t->proc)->state = ABSENT;
}

static enum end step_call(uint32_t index, const struct step *s)
{
	struct task *t = &tasks[s->task < MAX_TASKS ? s->task : 0];
	struct ctl *c = ctl_of(t);
	struct result r = { 0 };
	uint8_t pending[MAX_TASKS];
	const char *why;
	enum end end;

	if (!s->call)
		return stop(END_UNSUPPORTED, "system call %u is not one of the language", s->nr);
	end = need_idle(s, t);
	if (end != CONTINUE)
		return end;
	if (!s->wait)
		keep_one_awake(index, t);
	for (int k = 0; k < 6; k++)
		c->args[k] = value_of(&s->args[k]);
	why = check_call(s->call, c->args, c);
	if (!why && s->call->check == C_EXEC && t->tid != t->pid)
		why = "a thread that is not the first of its process would get another number";
	if (why)
		return stop(END_UNSUPPORTED, "%s: %s", s->call->name, why);
	c->nr = s->call->nr;
	t->call = s->call;
	t->slot = s->slot;
	note_pending(pending);
	t->state = PENDING;
	submit(t, K_CALL);
	if (s->call->check == C_EXIT || s->call->check == C_EXIT_GROUP)
		await_exit(t);
	else if (s->call->check == C_EXEC)
		await_exec(t);
	else if (s->wait && await_done(t))
		mark_returned(t);
	if (!settle())
		return CONTINUE;
	if (t->state == GONE && (end = check_crash(t)) != CONTINUE)
		return end;
	if (t->state == IDLE) {
		r.ret = &t->ret;
		if (s->slot >= 0)
			sh->slots[s->slot] = t->ret;
	}
	return tell_step(&r, pending, t);
}

/* `await` and `blocked`. */
static enum end step_look(const struct step *s)
{
	struct task *t = &tasks[s->task < MAX_TASKS ? s->task : 0];
	struct result r = { 0 };
	uint8_t pending[MAX_TASKS];
	enum end end;

	if (s->task >= MAX_TASKS || t->state == ABSENT)
		return stop(END_UNSUPPORTED, "task %u does not exist", s->task);
	note_pending(pending);
	if (s->op == OP_AWAIT && t->state == PENDING && await_done(t))
		mark_returned(t);
	if (!settle())
		return CONTINUE;
	if (t->state == GONE && (end = check_crash(t)) != CONTINUE)
		return end;
	if (t->state == IDLE || (t->state == GONE && s->op == OP_BLOCKED)) /* the dead are not asleep */
		r.ret = &t->ret;
	if (s->op == OP_AWAIT && t->state == IDLE && t->call && t->slot >= 0)
		sh->slots[t->slot] = t->ret;
	return tell_step(&r, pending, s->op == OP_AWAIT ? t : NULL);
}

static enum end step_spawn(uint32_t index, const struct step *s)
{
	struct task *parent = &tasks[s->parent < MAX_TASKS ? s->parent : 0];
	struct task *t = &tasks[s->task < MAX_TASKS ? s->task : 0];
	struct result r = { 0 };
	uint8_t pending[MAX_TASKS];
	struct task *cloner;
	long ret;

	if (s->task >= MAX_TASKS || s->parent >= MAX_TASKS)
		return stop(END_UNSUPPORTED, "more than %d tasks", MAX_TASKS);
	if (parent->state == ABSENT || t->state != ABSENT)
		return stop(END_UNSUPPORTED, "task %u cannot be spawned from %u", s->task, s->parent);
	if (parent->state == GONE)
		return task_is_gone(parent);
	if (s->clone_flags & CLONE_VM && sh->frozen_armed)
		return stop(END_UNSUPPORTED, "no CLONE_VM beside frozen pages");
	if (s->clone_flags & CLONE_VFORK) {
		if (parent->state == PENDING)
			return stop(END_UNSUPPORTED, "task %u is still inside %s", s->parent, parent->call->name);
		keep_one_awake(index, parent);
	}
	note_pending(pending);
	cloner = someone_idle(parent->proc, parent);
	if (!cloner)
		return stop(END_UNSUPPORTED, "every task of the process of task %u is inside a call", s->parent);
	if (s->task >= ntasks)
		ntasks = s->task + 1;
	ret = clone_task(cloner, t, s->wait, s->clone_flags, parent);
	if (ret <= 0)
		return fired ? CONTINUE : stop(END_UNSUPPORTED, "clone failed: %s", strerror(-ret));
	return finish_step(&r, pending);
}

static enum end step_thaw(const struct step *s)
{
	struct uffdio_zeropage zero = { .range = { FROZEN + s->page * PAGE, PAGE } };
	long ret = 0;
	struct result r = { .ret = &ret };
	uint8_t pending[MAX_TASKS];

	if (s->page >= FROZEN_PAGES)
		return stop(END_UNSUPPORTED, "there are %lu frozen pages", FROZEN_PAGES);
	if (!settle()) /* whoever needs the page has reached it */
		return CONTINUE;
	note_pending(pending);
	for (int i = 0; i <= ntasks; i++) {
		if (procs[i].pid <= 0 || procs[i].uffd < 0)
			continue;
		if (ioctl(procs[i].uffd, UFFDIO_ZEROPAGE, &zero) < 0)
			ioctl(procs[i].uffd, UFFDIO_WAKE, &zero.range); /* another process' page is here already */
	}
	sh->thawed |= 1U << s->page;
	return finish_step(&r, pending);
}

static void read_fdinfo(const struct task *t, long number)
{
	char name[32];
	ssize_t n;
	int fd;

	sh->text_bytes = -1;
	snprintf(name, sizeof(name), "fdinfo/%ld", number);
	fd = open_task_file(t, name);
	if (fd < 0)
		return;
	sh->text_bytes = 0;
	while (sh->text_bytes < (ssize_t)sizeof(sh->text) &&
	       (n = read(fd, sh->text + sh->text_bytes, sizeof(sh->text) - sh->text_bytes)) > 0)
		sh->text_bytes += n;
	close(fd);
}

/*
 * The fdinfo of an epoll instance waits, uninterruptibly, for a scan that a frozen page may hold up. The coordinator
 * must never do that: then nobody could end the script, or the coordinator.
 */
static void read_fdinfo_elsewhere(const struct task *t, long number)
{
	pid_t pid = fork();

	if (pid == 0) {
		read_fdinfo(t, number);
		_exit(0);
	}
	for (unsigned round = 0; pid > 0 && !fired && waitpid(pid, NULL, WNOHANG) == 0; round++)
		relax(round);
}

static int shared_text(char *text, uint32_t length);

static enum end step_fdinfo(const struct step *s)
{
	struct task *t = &tasks[s->task < MAX_TASKS ? s->task : 0];
	struct result r = { 0 };

	if (s->task >= MAX_TASKS || t->state == ABSENT)
		return stop(END_UNSUPPORTED, "task %u does not exist", s->task);
	if (sh->frozen_armed)
		read_fdinfo_elsewhere(t, value_of(&s->args[0]));
	else
		read_fdinfo(t, value_of(&s->args[0]));
	if (sh->text_bytes >= 0) {
		r.bytes = sh->text;
		r.length = sh->text_bytes;
	}
	if (stagger.on)
		r.length = shared_text(sh->text, r.length);
	if (!fired)
		put_result(&r);
	return CONTINUE;
}

static enum end step_poll_mask(const struct step *s)
{
	struct task *t = &tasks[s->task < MAX_TASKS ? s->task : 0], *poller;
	struct result r = { 0 };
	uint8_t pending[MAX_TASKS];
	struct ctl *c;
	long ret;

	if (s->task >= MAX_TASKS || t->state == ABSENT)
		return stop(END_UNSUPPORTED, "task %u does not exist", s->task);
	note_pending(pending);
	poller = someone_idle(t->proc, t);
	if (!poller)
		return stop(END_UNSUPPORTED, "every task of the process of task %u is inside a call", s->task);
	c = ctl_of(poller);
	c->pollfd.fd = value_of(&s->args[0]);
	c->pollfd.events = 0x23df; /* IN PRI OUT ERR HUP RDNORM RDBAND WRNORM WRBAND RDHUP */
	c->pollfd.revents = 0;
	submit(poller, K_POLL);
	if (!await_done(poller))
		return fired ? CONTINUE : task_is_gone(poller);
	ret = c->ret < 0 ? c->ret : (long)(uint16_t)c->pollfd.revents;
	r.ret = &ret;
	return finish_step(&r, pending);
}

/* ---- A race ---- */

static uint32_t stagger_next(uint32_t count)
{
	stagger.state ^= stagger.state << 13;
	stagger.state ^= stagger.state >> 7;
	stagger.state ^= stagger.state << 17;
	return (stagger.state >> 20) % count;
}

static void stagger_begin(uint64_t seed)
{
	static const uint32_t scales[] = { 1, 8, 64, 256, 1024 };

	stagger.state = seed * 0x9e3779b97f4a7c15UL + 0x2545f4914f6cdd1dUL;
	for (int i = 0; i < 4; i++)
		stagger_next(2);
	stagger.scale = scales[stagger_next(sizeof(scales) / sizeof(scales[0]))];
}

/* Most calls follow each other at once, some after a while. */
static uint32_t stagger_spins(void)
{
	return stagger_next(3) == 0 ? stagger_next(2 * stagger.scale) : stagger_next(1 + stagger.scale / 8);
}

static cpu_set_t all_cpus;

/* The tasks of a race do not share one CPU, as far as there are others. */
static void spread(const struct task *t, unsigned lane)
{
	unsigned ncpus = CPU_COUNT(&all_cpus), wanted;
	cpu_set_t one;
	int cpu = 0;

	if (ncpus < 2)
		return;
	wanted = (stagger.on ? lane + stagger_next(ncpus) : lane) % ncpus;
	while (!CPU_ISSET(cpu, &all_cpus) || wanted-- > 0)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(t->tid, sizeof(one), &one);
}

/* Does the race itself put something into this slot? */
static int is_racing_slot(int32_t slot, uint32_t race)
{
	for (uint32_t i = race + 1; i <= race + setup.nracing; i++)
		if ((sh->steps[i].op == OP_CALL || sh->steps[i].op == OP_PEEK_SLOT) && sh->steps[i].slot == slot)
			return 1;
	return 0;
}

/* May a task of a race execute this call? It is checked before the race, with the slots as they are then. */
static const char *check_racing_call(const struct step *s, struct ctl *c, uint32_t race)
{
	long a[6];

	if (!s->call)
		return "not a call of the language";
	switch ((enum check)s->call->check) {
	case C_EXIT:
	case C_EXIT_GROUP:
	case C_EXEC:
	case C_SIGACTION:
	case C_OPEN:
	case C_OPENAT:
	case C_MKNOD:
	case C_MKNODAT:
	case C_MQ:
		return refuse("not in a race");
	default:
		break;
	}
	for (int k = 0; k < 6; k++) {
		if (s->args[k].slot >= 0 && (s->call->pointers & 1 << k || s->call->check != C_NONE) &&
		    is_racing_slot(s->args[k].slot, race))
			return refuse("argument %d is not known before the race", k);
		a[k] = value_of(&s->args[k]);
	}
	return check_call(s->call, a, c);
}

/* Prepares the steps of a lane. */
static enum end prepare_lane(const struct lane *lane, uint32_t first, uint32_t race)
{
	struct task *t = &tasks[lane->task];
	uint32_t spins = lane->spins;
	const char *why;

	for (uint32_t i = first; i < first + lane->nsteps; i++) {
		struct step *s = &sh->steps[i];
		if (s->op == OP_POKE)
			user_poke(s->addr, s->bytes, s->length);
		if (is_memory_step(s))
			continue;
		if (s->op != OP_CALL || s->task != lane->task)
			return stop(END_UNSUPPORTED, "step %u cannot stand in a race", i);
		why = check_racing_call(s, ctl_of(t), race);
		if (why)
			return stop(END_UNSUPPORTED, "%s: %s", s->call ? s->call->name : "?", why);
		atomic_store(&s->progress, NOT_ENTERED);
		s->ret = 0;
		if (stagger.on)
			spins = stagger_spins();
		s->spins = spins;
		spins = 0;
	}
	return CONTINUE;
}

/* A task of the race: 1 while it may go on without help from outside. */
static int is_racing(struct task *t)
{
	uint32_t at = atomic_load(&ctl_of(t)->first);

	switch (look(t)) {
	case RETURNED:
	case DEAD:
		return 0;
	case RUNNING:
		return 1;
	case ASLEEP:
		break;
	}
	/* asleep in the very call that it was in, and not in one that comes back by itself */
	return at != atomic_load(&ctl_of(t)->first) || sh->steps[at].wait;
}

/* 1 if somebody may go on by himself: a task of the race, or one that slept before it. */
static int is_anybody_racing(void)
{
	for (unsigned i = 0; i < setup.nlanes; i++)
		if (is_racing(&tasks[setup.lanes[i].task]))
			return 1;
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state == PENDING && look(&tasks[i]) == RUNNING)
			return 1;
	return 0;
}

/* Leaves the CPU to the race, until somebody is at his end or some time has passed. */
static void sleep_through_race(unsigned round)
{
	for (unsigned i = 0; i < setup.nlanes; i++) {
		const struct task *t = &tasks[setup.lanes[i].task];
		uint32_t done = atomic_load(&ctl_of(t)->done);
		if (done == t->seq)
			continue;
		futex_wait(&ctl_of(t)->done, done, round < 20 ? 20000 : 100000);
		return;
	}
	if (round > 0) /* all are; somebody who slept before has been woken */
		sched_yield();
}

/*
 * Until all tasks are at their end, or sleep. 0 if the watchdog fired.
 *
 * Short waits have to be short here: with the usual slack of timers each would take three times as long.
 */
static int await_race(void)
{
	int quiet = 0;

	prctl(PR_SET_TIMERSLACK, 1);
	for (unsigned round = 0; !fired && quiet < 3; round++) {
		if (quiet == 0)
			sleep_through_race(round);
		quiet = is_anybody_racing() ? 0 : quiet + 1;
		if (quiet == 3 && !nobody_wakes_up())
			quiet = 0;
	}
	prctl(PR_SET_TIMERSLACK, 0);
	return !fired;
}

/* Tells what the steps of a race gave. */
static void put_race_results(uint32_t first)
{
	for (unsigned l = 0; l < setup.nlanes; l++) {
		int left = 1;
		for (uint32_t end = first + setup.lanes[l].nsteps; first < end; first++) {
			const struct step *s = &sh->steps[first];
			struct result r = { 0 };
			if (s->op == OP_CALL) {
				left = atomic_load(&s->progress) == LEFT;
				r.ret = left ? &s->ret : NULL;
			}
			if (s->op == OP_PEEK && left && user_readable(s->addr, s->length)) {
				r.bytes = (void *)s->addr;
				r.length = s->length;
			}
			put_result(&r);
		}
	}
}

static enum end step_race(uint32_t index)
{
	struct result r = { 0 };
	uint8_t pending[MAX_TASKS];
	uint32_t first = index + 1;
	enum end end = CONTINUE;

	note_pending(pending);
	for (unsigned l = 0; l < setup.nlanes && end == CONTINUE; l++) {
		const struct lane *lane = &setup.lanes[l];
		struct task *t = &tasks[lane->task];
		const struct step as_step = { .task = lane->task };

		end = need_idle(&as_step, t);
		if (end == CONTINUE)
			end = prepare_lane(lane, first, index);
		if (end != CONTINUE)
			return end;
		atomic_store(&ctl_of(t)->first, first);
		ctl_of(t)->last = first + lane->nsteps - 1;
		if (pending[lane->task]++)
			return stop(END_UNSUPPORTED, "task %u has two lanes", lane->task);
		first += lane->nsteps;
	}
	atomic_store(&sh->race_over, 0);
	atomic_store(&sh->race_missing, setup.nlanes);
	for (unsigned l = 0; l < setup.nlanes; l++) {
		struct task *t = &tasks[setup.lanes[l].task];
		pending[setup.lanes[l].task] = 0;
		spread(t, l);
		t->call = find_call(SYS_sched_yield);
		t->state = PENDING;
		submit(t, K_RACE);
	}
	used.other_cpus = 1;
	if (!await_race())
		return CONTINUE; /* the main loop reports the watchdog */
	atomic_store(&sh->race_over, 1);
	all_asleep();
	tell_step(&r, pending, NULL);
	put_race_results(index + 1);
	return CONTINUE;
}

static enum end one_step(uint32_t index)
{
	const struct step *s = &sh->steps[index];
	struct result r = { 0 };
	uint8_t pending[MAX_TASKS];

	switch ((enum op)s->op) {
	case OP_POKE:
	case OP_POKE_SLOT:
	case OP_PEEK:
	case OP_PEEK_SLOT:
		memory_step(s);
		return CONTINUE;
	case OP_CALL:
		return step_call(index, s);
	case OP_AWAIT:
	case OP_BLOCKED:
		return step_look(s);
	case OP_THAW:
		return step_thaw(s);
	case OP_SPAWN:
		return step_spawn(index, s);
	case OP_FDINFO:
		return step_fdinfo(s);
	case OP_POLL_MASK:
		return step_poll_mask(s);
	case OP_SETTLE:
		note_pending(pending);
		return finish_step(&r, pending);
	case OP_RACE:
		return step_race(index);
	}
	return stop(END_UNSUPPORTED, "unknown step");
}

/* May a task execute this call without being asked back? Then nothing about it depends on memory or on slots. */
static int is_plain(const struct step *s)
{
	if (!s->call || s->call->check != C_NONE || !s->wait)
		return 0;
	for (int i = 0; i < 6; i++)
		if (s->call->pointers & 1 << i && (s->args[i].slot >= 0 || is_own_memory(s->args[i].value)))
			return 0;
	return 1;
}

static int anybody_pending(void)
{
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state == PENDING)
			return 1;
	return 0;
}

/* The last step of the run of steps that the task of step @first may execute by itself. */
static uint32_t run_of_steps(uint32_t first)
{
	uint32_t last = first;

	for (uint32_t i = first + 1; i < setup.nsteps; i++) {
		const struct step *s = &sh->steps[i];
		if (s->op == OP_CALL && s->task == sh->steps[first].task && is_plain(s))
			last = i;
		else if (!is_memory_step(s))
			break;
		else
			last = i;
	}
	return last;
}

/* Returns the first step that is still to be done in @next: a task may have died on its way. */
static enum end many_steps(uint32_t first, uint32_t last, uint32_t *next)
{
	struct task *t = &tasks[sh->steps[first].task];
	struct ctl *c = ctl_of(t);
	struct result nothing = { 0 };
	enum end end;

	c->first = first;
	c->last = last;
	submit(t, K_STEPS);
	*next = last + 1;
	if (await_done(t))
		mark_returned(t);
	if (t->state == IDLE || fired)
		return CONTINUE;
	end = check_crash(t);
	if (end != CONTINUE)
		return end;
	*next = atomic_load(&sh->results) >> 32;
	if (*next == atomic_load(&sh->step)) { /* it died inside the call */
		put_result(&nothing);
		(*next)++;
	}
	return CONTINUE;
}

/* The first step behind a race and its lanes. */
static uint32_t behind_race(uint32_t i)
{
	i++;
	for (unsigned l = 0; l < setup.nlanes; l++)
		i += setup.lanes[l].nsteps;
	return i;
}

static enum end run_steps(void)
{
	uint32_t i = 0;

	while (i < setup.nsteps) {
		const struct step *s = &sh->steps[i];
		uint32_t last = i, next = i + 1;
		enum end end;

		if (s->op == OP_CALL && s->task < ntasks && tasks[s->task].state == IDLE && is_plain(s) &&
		    !anybody_pending())
			last = run_of_steps(i);
		if (last > i) {
			end = many_steps(i, last, &next);
		} else {
			atomic_store(&sh->step, i);
			end = one_step(i);
			if (s->op == OP_RACE)
				next = behind_race(i);
		}
		if (fired)
			return stop(END_TIMEOUT, "the watchdog ended the script in step %u", atomic_load(&sh->step));
		if (end != CONTINUE)
			return end;
		if (atomic_load(&sh->overflow))
			return stop(END_UNSUPPORTED, "the results are larger than %lu MiB", MAX_MESSAGE >> 20);
		i = next;
	}
	return END_DONE;
}

/* ---- A program: before its first step and after its last ---- */

static int is_allowed_sysctl(const char *name)
{
	static const char *const exact[] = {
		"fs.epoll.max_user_watches", "fs.pipe-max-size", "fs.pipe-user-pages-soft", "net.unix.max_dgram_qlen",
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

/* Also used by the guardian, and by a signal handler. */
static void restore_sysctls(void)
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

static void remove_private_dir(void)
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

/* The program @runs times; @each is told of each end. */
static void run_program(unsigned runs, void (*each)(enum end end))
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

/* ---- Many runs of one program ---- */

static void *shared_map(size_t bytes);

#define TALLY_BYTES (16UL << 20)
#define TALLY_MAX 4096
#define TALLY_PREFIX 12 /* number of runs, seed */

/* The different results of the runs so far, and how often each came up. */
static struct {
	unsigned runs;
	unsigned n;
	size_t bytes;
	struct {
		uint64_t hash;
		uint32_t count;
		uint32_t at, length;
	} entries[TALLY_MAX];
	uint8_t *data;
} tally;

static enum end single_end;

static void note_end(enum end end)
{
	single_end = end;
}

/* What two runs may share of an epoll's fdinfo: the item lines, without inode numbers. Returns the new length. */
static int shared_text(char *text, uint32_t length)
{
	char *to = text, *end = text + length;

	for (char *line = text, *next; line < end; line = next) {
		char *stop_at = memchr(line, '\n', end - line);
		next = stop_at ? stop_at + 1 : end;
		if (!stop_at || strncmp(line, "tfd:", 4) != 0)
			continue;
		*stop_at = 0;
		if (strstr(line, " pos:"))
			stop_at = strstr(line, " pos:");
		memmove(to, line, stop_at - line);
		to += stop_at - line;
		*to++ = '\n';
	}
	return to - text;
}

/* Puts end and reason behind the results. Returns the length of the body. */
static size_t close_results(enum end end)
{
	uint64_t results = atomic_load(&sh->results);
	uint32_t count = results >> 32, bytes = (uint32_t)results;
	uint16_t length = strlen(reason);
	uint8_t *p;

	if (bytes > MAX_MESSAGE - 2048) /* a script that overwrote its agent's memory */
		count = bytes = 0;
	memcpy(out_buffer + 9, &count, 4);
	p = out_buffer + OUT_HEADER + bytes;
	*p++ = end;
	memcpy(p, &length, 2);
	memcpy(p + 2, reason, length);
	return p + 2 + length - (out_buffer + 9);
}

static void tally_end(enum end end)
{
	size_t length = close_results(end);
	const uint8_t *body = out_buffer + 9;
	uint64_t hash = 14695981039346656037UL;
	unsigned i;

	for (size_t k = 0; k < length; k++)
		hash = (hash ^ body[k]) * 1099511628211UL;
	tally.runs++;
	stagger_begin(stagger.state + tally.runs);
	for (i = 0; i < tally.n; i++) {
		if (tally.entries[i].hash == hash && tally.entries[i].length == length) {
			tally.entries[i].count++;
			return;
		}
	}
	if (i == TALLY_MAX || tally.bytes + length > TALLY_BYTES) /* the rest is not told apart */
		return;
	tally.entries[i].hash = hash;
	tally.entries[i].count = 1;
	tally.entries[i].at = tally.bytes;
	tally.entries[i].length = length;
	memcpy(tally.data + tally.bytes, body, length);
	tally.bytes += length;
	tally.n++;
}

/* ---- The protocol: see ../protocol.ts ---- */

enum message { M_GREETING = 0, M_RUN = 1, M_RESULT = 2, M_TALLY = 3, M_TALLIED = 4 };

struct reader {
	const uint8_t *at, *end;
	int bad;
};

static uint64_t take(struct reader *r, int bytes)
{
	uint64_t value = 0;

	if (r->end - r->at < bytes) {
		r->bad = 1;
		return 0;
	}
	memcpy(&value, r->at, bytes);
	r->at += bytes;
	return value;
}

static const uint8_t *take_bytes(struct reader *r, uint64_t length)
{
	const uint8_t *p = r->at;

	if ((uint64_t)(r->end - r->at) < length) {
		r->bad = 1;
		return p;
	}
	r->at += length;
	return p;
}

static void take_text(struct reader *r, char *to, size_t size)
{
	size_t length = take(r, 2);
	const uint8_t *p = take_bytes(r, length);

	if (r->bad || length >= size) {
		r->bad = 1;
		return;
	}
	memcpy(to, p, length);
	to[length] = 0;
}

static int32_t take_slot(struct reader *r)
{
	int32_t slot = take(r, 4);

	if (slot < -1 || slot >= (int32_t)setup.nslots)
		r->bad = 1;
	return slot;
}

static struct reg take_register(struct reader *r)
{
	struct reg reg = { 0, -1 };

	if (take(r, 1))
		reg.slot = take_slot(r);
	else
		reg.value = take(r, 8);
	return reg;
}

static int is_frozen(uint64_t addr)
{
	return addr >= FROZEN && addr < FROZEN + FROZEN_BYTES;
}

static void take_call(struct reader *r, struct step *s)
{
	unsigned nargs;

	s->task = take(r, 2);
	s->nr = take(r, 2);
	s->call = find_call(s->nr);
	s->wait = take(r, 1);
	s->slot = take_slot(r);
	nargs = take(r, 1);
	for (unsigned i = 0; i < 6; i++)
		s->args[i].slot = -1;
	for (unsigned i = 0; i < nargs && i < 6; i++) {
		s->args[i] = take_register(r);
		if (s->args[i].slot < 0 && s->call && s->call->pointers & 1 << i && is_frozen(s->args[i].value))
			setup.needs_frozen = 1;
	}
	setup.needs_exec |= s->call && s->call->check == C_EXEC;
	if (s->call && s->call->check == C_SOCKET && s->args[0].slot < 0 && s->args[0].value != AF_UNIX)
		setup.needs_inet = 1;
}

static void take_race(struct reader *r)
{
	unsigned nlanes = take(r, 2);

	r->bad |= setup.nlanes > 0 || nlanes > MAX_TASKS;
	for (unsigned l = 0; l < nlanes && !r->bad; l++) {
		struct lane *lane = &setup.lanes[setup.nlanes++];
		lane->task = take(r, 2);
		lane->nsteps = take(r, 4);
		lane->spins = take(r, 4);
		setup.nracing += lane->nsteps;
		r->bad |= lane->task >= MAX_TASKS || lane->nsteps == 0 || lane->nsteps > MAX_STEPS;
	}
}

/* The CLONE_ flags that a script may ask for. */
#define CLONEABLE (CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_PIDFD | CLONE_VFORK)

static void take_step(struct reader *r, struct step *s)
{
	memset(s, 0, sizeof(*s));
	s->slot = -1;
	s->op = take(r, 1);
	switch ((enum op)s->op) {
	case OP_POKE:
		s->addr = take(r, 8);
		s->length = take(r, 4);
		s->bytes = take_bytes(r, s->length);
		return;
	case OP_POKE_SLOT:
		s->addr = take(r, 8);
		s->size = take(r, 1);
		s->slot = take_slot(r);
		r->bad |= s->slot < 0 || s->size > 8;
		return;
	case OP_CALL:
		take_call(r, s);
		return;
	case OP_AWAIT:
	case OP_BLOCKED:
		s->task = take(r, 2);
		return;
	case OP_PEEK:
		s->addr = take(r, 8);
		s->length = take(r, 4);
		setup.needs_frozen |= is_frozen(s->addr);
		return;
	case OP_PEEK_SLOT:
		s->addr = take(r, 8);
		s->slot = take_slot(r);
		r->bad |= s->slot < 0;
		return;
	case OP_THAW:
		s->page = take(r, 4);
		setup.needs_frozen = 1;
		return;
	case OP_SPAWN:
		s->task = take(r, 2);
		s->parent = take(r, 2);
		s->wait = take(r, 1);
		s->clone_flags = take(r, 4);
		r->bad |= (s->clone_flags & ~CLONEABLE) != 0;
		setup.needs_processes |= s->wait;
		return;
	case OP_FDINFO:
	case OP_POLL_MASK:
		s->task = take(r, 2);
		s->args[0] = take_register(r);
		return;
	case OP_SETTLE:
		return;
	case OP_RACE:
		take_race(r);
		return;
	}
	r->bad = 1;
}

/* In which process each task will be, and until when each process needs somebody who is awake. */
static void plan_processes(void)
{
	for (uint32_t i = 0; i < setup.nsteps; i++) {
		const struct step *s = &sh->steps[i];
		if (s->op == OP_SPAWN && s->task < MAX_TASKS && s->parent < MAX_TASKS) {
			setup.last_use[setup.proc_of[s->parent]] = i;
			setup.proc_of[s->task] = s->wait ? 1 + s->task : setup.proc_of[s->parent];
		}
		if (s->op == OP_POLL_MASK && s->task < MAX_TASKS)
			setup.last_use[setup.proc_of[s->task]] = i;
	}
}

static int parse_program(const uint8_t *body, size_t length)
{
	struct reader r = { body, body + length, 0 };

	memset(&setup, 0, sizeof(setup));
	setup.uid = (int32_t)take(&r, 4);
	setup.nofile = (int32_t)take(&r, 4);
	setup.watchdog_ns = take(&r, 8);
	setup.nslots = take(&r, 4);
	setup.nsysctls = take(&r, 4);
	if (setup.nslots > MAX_SLOTS || setup.nsysctls > MAX_SYSCTLS)
		return -1;
	for (unsigned i = 0; i < setup.nsysctls; i++) {
		take_text(&r, setup.sysctls[i].name, sizeof(setup.sysctls[i].name));
		take_text(&r, setup.sysctls[i].value, sizeof(setup.sysctls[i].value));
	}
	setup.nsteps = take(&r, 4);
	if (r.bad || setup.nsteps > MAX_STEPS)
		return -1;
	for (unsigned i = 0; i < setup.nsteps && !r.bad; i++) {
		take_step(&r, &sh->steps[i]);
		r.bad |= sh->steps[i].op == OP_RACE && setup.nracing > setup.nsteps - 1 - i;
	}
	plan_processes();
	return r.bad || r.at != r.end ? -1 : 0;
}

static int read_full(void *to, size_t length)
{
	uint8_t *p = to;

	while (length > 0) {
		ssize_t n = read(0, p, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		length -= n;
	}
	return 0;
}

static void write_full(const uint8_t *p, size_t length)
{
	while (length > 0) {
		ssize_t n = write(1, p, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(1); /* the client has gone */
		p += n;
		length -= n;
	}
}

static void send_message(uint8_t *buffer, uint32_t id, uint8_t type, size_t length)
{
	uint32_t rest = length - 4;

	memcpy(buffer, &rest, 4);
	memcpy(buffer + 4, &id, 4);
	buffer[8] = type;
	write_full(buffer, length);
}

static void send_result(uint32_t id, enum end end)
{
	size_t bytes = close_results(end);

	send_message(out_buffer, id, M_RESULT, 9 + bytes);
	if (bytes > (4U << 20)) /* do not keep what one large result needed */
		madvise(out_buffer, MAX_MESSAGE, MADV_REMOVE);
}

static void send_tally(uint32_t id)
{
	uint8_t *p = out_buffer + 9;

	memcpy(p, &tally.runs, 4);
	memcpy(p + 4, &tally.n, 4);
	p += 8;
	for (unsigned i = 0; i < tally.n; i++) {
		memcpy(p, &tally.entries[i].count, 4);
		memcpy(p + 4, &tally.entries[i].length, 4);
		memcpy(p + 8, tally.data + tally.entries[i].at, tally.entries[i].length);
		p += 8 + tally.entries[i].length;
	}
	send_message(out_buffer, id, M_TALLIED, p - out_buffer);
}

/* The request began with the number of runs and a seed. */
static void run_tally(uint32_t id, int malformed)
{
	uint32_t runs;
	uint64_t seed;

	memcpy(&runs, in_buffer, 4);
	memcpy(&seed, in_buffer + 4, 8);
	tally.runs = tally.n = 0;
	tally.bytes = 0;
	if (!tally.data)
		tally.data = shared_map(TALLY_BYTES);
	stagger.on = 1;
	stagger_begin(seed);
	if (malformed)
		tally_end(END_UNSUPPORTED);
	else
		run_program(runs, tally_end);
	stagger.on = 0;
	send_tally(id);
}

static void greet(void)
{
	struct utsname u;
	char *text = (char *)out_buffer + 9;
	size_t n = 0;

	uname(&u);
#define LINE(...) (n += snprintf(text + n, 60000 - n, __VA_ARGS__))
	LINE("protocol=%d\n", PROTOCOL_VERSION);
	LINE("sysname=%s\nrelease=%s\nversion=%s\nmachine=%s\n", u.sysname, u.release, u.version, u.machine);
	LINE("uid=%d\ncpus=%d\n", (int)geteuid(), world.ncpus);
	LINE("namespaces=%s%s%s%s%s\n", world.private_pid ? "pid " : "", world.private_mount ? "mount " : "",
	     world.private_ipc ? "ipc " : "", world.private_net ? "net " : "", world.private_user ? "user " : "");
	LINE("jail=%d\nuserfaultfd=%d\nsysctl=%d\nset_uid=%d\n", world.jail, world.uffd, world.sysctl, world.set_uid);
	LINE("proc_syscall=%d\n", world.proc_syscall);
	LINE("layout=%lu %lu %lu %lu %lu %lu %lu %lu\n", PAGE, ARENA, ARENA_BYTES, EDGE, EDGE + EDGE_BYTES, READ_ONLY,
	     FROZEN, FROZEN_PAGES);
	LINE("calls=");
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		LINE("%s:%d ", calls[i].name, calls[i].nr);
	LINE("\n");
#undef LINE
	send_message(out_buffer, 0, M_GREETING, 9 + n);
}

static void serve(void)
{
	uint32_t head[2];
	uint8_t type;

	greet();
	while (read_full(head, sizeof(head)) == 0 && read_full(&type, 1) == 0) {
		uint32_t length = head[0] - 5;
		size_t prefix = type == M_TALLY ? TALLY_PREFIX : 0;
		int malformed;

		if (head[0] < 5 || length > MAX_MESSAGE || length < prefix || (type != M_RUN && type != M_TALLY)) {
			fprintf(stderr, "epollsim-agent: not a request: length %u, type %u\n", head[0], type);
			return;
		}
		if (read_full(in_buffer, length) < 0)
			return;
		reason[0] = 0;
		atomic_store(&sh->results, 0);
		malformed = parse_program(in_buffer + prefix, length - prefix) < 0;
		if (malformed)
			stop(END_UNSUPPORTED, "the program is malformed, or too large");
		if (type == M_TALLY) {
			run_tally(head[1], malformed);
		} else {
			if (malformed)
				note_end(END_UNSUPPORTED);
			else
				run_program(1, note_end);
			send_result(head[1], single_end);
		}
		if (length > (4U << 20))
			madvise(in_buffer, MAX_MESSAGE, MADV_REMOVE);
	}
}

/* ---- The private world of the coordinator ---- */

#define NO_WORLD 77 /* exit status: these namespaces cannot be had */

#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET)

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

static void set_handler(int sig, void (*handler)(int))
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

__attribute__((noreturn)) static void coordinate(unsigned long flags, int uid, int gid)
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

/* ---- The guardian ---- */

static void *shared_map(size_t bytes)
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
