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
 * What a program may do is decided here, not by the client: the table of calls (calls.c) and the checks of arguments (check.c).
 * Behind them stand the private namespaces, a file system that holds nothing, and reduced capabilities.
 */

#ifndef EPOLLSIM_AGENT_H
#define EPOLLSIM_AGENT_H

#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
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

/* ---- calls.c: the calls of the language ---- */

enum check {
	C_NONE,
	C_OPEN, C_OPENAT, C_PATH0, C_PATH1, C_MKNOD, C_MKNODAT, C_WATCH, C_MQ,
	C_BIND, C_CONNECT, C_SENDTO, C_SENDMSG, C_RECVMSG, C_SENDMMSG, C_RECVMMSG, C_IOV,
	C_SOCKET, C_SETSOCKOPT, C_IOCTL, C_FCNTL, C_PRCTL, C_PRLIMIT, C_KILL, C_TGKILL, C_PID, C_KCMP,
	C_SIGACTION, C_EXEC, C_FALLOCATE, C_MEMFD, C_PSELECT, C_EXIT, C_EXIT_GROUP, C_USERS,
};

struct call {
	const char *name;
	int nr;
	uint8_t pointers;
	uint8_t sleeps; /* sleeping is normal for it; others are given time to finish a sleep in D state */
	uint8_t check;
};

extern const struct call calls[];
extern const size_t ncalls;

const struct call *find_call(unsigned nr);

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

/* ---- memory.c: memory that every process of the agent sees ---- */

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

#define ROUND(bytes) (((bytes) + PAGE - 1) / PAGE * PAGE)
#define IN_AT (AGENT + ROUND(sizeof(struct shared)))
#define OUT_AT (IN_AT + MAX_MESSAGE)
#define AGENT_BYTES (ROUND(sizeof(struct shared)) + 2 * MAX_MESSAGE)

#define OUT_HEADER 13 /* length, id, type, number of results */

enum { R_RET = 1, R_BYTES = 2, R_WOKE = 4 };

struct result {
	const long *ret;
	const void *bytes;
	uint32_t length;
	const uint16_t *woke;
	uint16_t nwoke;
};

extern struct shared *sh;
extern uint8_t *in_buffer;
extern uint8_t *out_buffer;
extern int memory_fd;
extern uint8_t *read_only_alias;

int inside(uint64_t addr, uint64_t len, uint64_t base, uint64_t bytes);
int user_readable(uint64_t addr, uint64_t len);
/* Bytes that fall behind the end of a range are dropped: there is no memory that could take them. */
void user_poke(uint64_t addr, const void *from, uint64_t len);
/* 0, or -1 where the kernel would find no memory either. */
int user_read(uint64_t addr, void *to, uint64_t len);
void put_result(const struct result *r);
/* Steps that only touch memory: both the coordinator and a task execute them. */
int is_memory_step(const struct step *s);
void memory_step(const struct step *s);
long value_of(const struct reg *r);

/* ---- task.c ---- */

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

void futex_wait(_Atomic uint32_t *word, uint32_t value, long timeout_ns);
void futex_wake(_Atomic uint32_t *word);
/* @seen: the number of the last command that is done. */
void task_loop(unsigned self, uint32_t seen);
void task_main(unsigned self);
/* The handler that a program installs as address 1000. */
void script_handler(int sig);

void script_restorer(void);

/* ---- machine.c: what lies around a script ---- */

extern int work_dir; /* the private directory */
extern int original_net; /* the net namespace that the agent was started in */
extern int private_net; /* the one that scripts share which use no internet socket */
extern int lock_turn, lock_machine;
extern uint64_t low_end; /* end of the agent's own low mappings (text, data, heap) */

void write_string(const char *path, const char *text);
void sysctl_path(char *path, size_t size, const char *name);
int write_sysctl(const char *path, const char *value);
int read_text(const char *path, char *buf, size_t size);
void loopback_up(void);

/* ---- check.c: which calls are refused ---- */

/* Run-time facts of the running program that the checks need. */
struct used {
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
};

extern struct used used;

__attribute__((format(printf, 1, 2))) const char *refuse(const char *format, ...);
/* Would the kernel find the agent's own memory there? For the script that memory does not exist. */
int is_own_memory(uint64_t addr);
/* NULL if the call may be executed with these registers; else a sentence. It may replace registers. */
const char *check_call(const struct call *call, long *a, struct ctl *c);

/* ---- script.c ---- */

int make_userfaultfd(void);
/* The coordinator takes the descriptor out of this process; then its number is free again. */
void offer_userfaultfd(void);
__attribute__((noreturn)) void script_main(void);

/* ---- observe.c: tasks, as the coordinator sees them ---- */

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

enum look { RUNNING, ASLEEP, RETURNED, DEAD };

extern struct task *tasks;
extern struct process *procs;
extern int ntasks; /* tasks and processes beyond these are not in use */
extern struct setup setup;
extern volatile sig_atomic_t fired; /* the watchdog */

uint64_t now_ns(void);
/* Raw: it runs in signal handlers, which have to leave errno as it is. */
void kill_script(void);
void on_alarm(int sig);
struct ctl *ctl_of(const struct task *t);
void submit(struct task *t, enum kind kind);
int is_done(const struct task *t);
int open_task_file(const struct task *t, const char *name);
/* The state letter of the task, or 'X' if it is no more. */
char task_state(struct task *t);
void close_task_files(struct task *t);
enum look look(struct task *t);
void mark_gone(struct task *t);
void mark_returned(struct task *t);
void relax(unsigned round);
/* One look at everybody: 1 if all who are inside a call sleep there. */
int all_asleep(void);
/*
 * A task that another CPU is about to wake is no longer asleep, and not running yet: its system call can be seen as that of
 * a sleeper. Its state letter is R.
 */
int nobody_wakes_up(void);
/*
 * Wait until every task has returned from its call or sleeps in it. Returns 0 if the watchdog fired.
 *
 * Looking at one after the other proves nothing if they run meanwhile: the second may wake the first before it goes to
 * sleep itself. They did not run if the coordinator never left the CPU; where tasks cannot be pinned to that, two looks
 * without a difference must do.
 */
int settle(void);
/* Wait until the task has finished its command. 0 if the watchdog fired or the task is no more. */
int await_done(struct task *t);

/* ---- steps.c ---- */

enum end { END_DONE, END_UNSUPPORTED, END_TIMEOUT, END_CRASHED, CONTINUE };

extern char reason[512];

__attribute__((format(printf, 2, 3))) enum end stop(enum end end, const char *format, ...);
void note_pending(uint8_t *pending);
/* Everybody has come to rest: who returned meanwhile is told, except @self, whose step it is. */
enum end tell_step(struct result *r, const uint8_t *pending, const struct task *self);
/* The end of a step. */
enum end finish_step(struct result *r, const uint8_t *pending);
/* The task of a step, if it can take a command. */
enum end need_idle(const struct step *s, struct task *t);
/* A program whose task died of a fault, not of a signal that it sent, has crashed. */
enum end check_crash(const struct task *t);
struct task *helper_of(int proc);
void new_task(struct task *t, int proc, pid_t pid, pid_t tid);
int take_userfaultfd(struct process *p);
enum end step_call(uint32_t index, const struct step *s);
/* `await` and `blocked`. */
enum end step_look(const struct step *s);
enum end step_spawn(uint32_t index, const struct step *s);
enum end step_thaw(const struct step *s);
enum end step_fdinfo(const struct step *s);
enum end step_poll_mask(const struct step *s);

/* ---- race.c ---- */

/* How the runs of one program differ: a generator of numbers, and how long the busy loops of this run may be. */
struct stagger {
	int on;
	uint64_t state;
	uint32_t scale;
};

extern struct stagger stagger;
extern cpu_set_t all_cpus;

void stagger_begin(uint64_t seed);
enum end step_race(uint32_t index);

/* ---- run.c ---- */

enum end run_steps(void);

/* ---- program.c ---- */

/* Also used by the guardian, and by a signal handler. */
void restore_sysctls(void);
void remove_private_dir(void);
/* The program @runs times; @each is told of each end. */
void run_program(unsigned runs, void (*each)(enum end end));

/* ---- tally.c: many runs of one program ---- */

#define TALLY_BYTES (16UL << 20)
#define TALLY_MAX 4096
#define TALLY_PREFIX 12 /* number of runs, seed */

/* The different results of the runs so far, and how often each came up. */
struct tally {
	unsigned runs;
	unsigned n;
	size_t bytes;
	struct {
		uint64_t hash;
		uint32_t count;
		uint32_t at, length;
	} entries[TALLY_MAX];
	uint8_t *data;
};

extern struct tally tally;
extern enum end single_end;

void note_end(enum end end);
/* What two runs may share of an epoll's fdinfo: the item lines, without inode numbers. Returns the new length. */
int shared_text(char *text, uint32_t length);
/* Puts end and reason behind the results. Returns the length of the body. */
size_t close_results(enum end end);
void tally_end(enum end end);

/* ---- protocol.c ---- */

void serve(void);

/* ---- world.c: what this agent can do here ---- */

/* Found out once, and told to the client in the greeting. */
struct world {
	int private_pid, private_mount, private_ipc, private_net, private_user;
	int jail;	   /* the file system holds nothing but a private directory, /proc, /dev nodes and /sys */
	int uffd;	   /* userfaultfd stops accesses by the kernel */
	int sysctl;	   /* fs.* can be written */
	int set_uid;
	int proc_syscall;  /* /proc/PID/syscall exists: the exact way to see a sleeper */
	int pinned;	   /* coordinator and script share one CPU */
	int ncpus;
};

#define NO_WORLD 77 /* exit status: these namespaces cannot be had */

#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET)

extern struct world world;

void set_handler(int sig, void (*handler)(int));
__attribute__((noreturn)) void coordinate(unsigned long flags, int uid, int gid);

/* ---- guardian.c ---- */

void *shared_map(size_t bytes);

#endif
