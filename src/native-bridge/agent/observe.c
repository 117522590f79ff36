/* The coordinator looks at tasks: who is asleep, who has returned, who is no more. */
#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

/*
 * In shared memory, though only the coordinator looks at them: what lies in private memory is copied, page by page,
 * when it is written behind a fork. Tasks have the indices of the program, then comes one helper for each process.
 * Process 0 is the first one, process 1 + t began as task t.
 */
struct task *tasks;
struct process *procs;
int ntasks; /* tasks and processes beyond these are not in use */
struct setup setup;

volatile sig_atomic_t fired; /* the watchdog */

uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void kill_script(void)
{
	if (world.private_pid) {
		raw(SYS_kill, -1, SIGKILL, 0, 0, 0, 0);
		return;
	}
	for (int i = 0; i <= ntasks; i++)
		if (procs[i].pid > 0)
			raw(SYS_kill, procs[i].pid, SIGKILL, 0, 0, 0, 0);
}

void on_alarm(int sig)
{
	(void)sig;
	fired = 1;
	kill_script();
}

struct ctl *ctl_of(const struct task *t)
{
	return &sh->ctl[t - tasks];
}

void submit(struct task *t, enum kind kind)
{
	struct ctl *c = ctl_of(t);

	c->kind = kind;
	t->seq++;
	t->transient_ns = 0;
	atomic_store(&c->command, t->seq);
	futex_wake(&c->command);
}

int is_done(const struct task *t)
{
	return atomic_load(&ctl_of(t)->done) == t->seq;
}

int open_task_file(const struct task *t, const char *name)
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

char task_state(struct task *t)
{
	char buf[512];
	char *p;

	if (read_task_file(t, &t->fd_stat, "stat", buf, sizeof(buf)) <= 0)
		return 'X';
	p = strrchr(buf, ')');
	return p && p[1] ? p[2] : 'X';
}

void close_task_files(struct task *t)
{
	if (t->fd_syscall >= 0)
		close(t->fd_syscall);
	if (t->fd_stat >= 0)
		close(t->fd_stat);
	t->fd_syscall = t->fd_stat = -1;
}

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

enum look look(struct task *t)
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

void mark_gone(struct task *t)
{
	t->state = GONE;
	t->ret = 0;
	close_task_files(t);
}

void mark_returned(struct task *t)
{
	t->state = IDLE;
	t->ret = ctl_of(t)->ret;
}

void relax(unsigned round)
{
	static const struct timespec pause = { 0, 30000 };

	if (round < 200)
		sched_yield();
	else
		nanosleep(&pause, NULL);
}

int all_asleep(void)
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

int nobody_wakes_up(void)
{
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state == PENDING && !is_done(&tasks[i]) && task_state(&tasks[i]) == 'R')
			return 0;
	return 1;
}

int settle(void)
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

int await_done(struct task *t)
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
