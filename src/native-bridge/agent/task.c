/* The task: waits for commands and executes them. It has no errno of its own: tasks share one thread-local area. */
#include "agent.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

void futex_wait(_Atomic uint32_t *word, uint32_t value, long timeout_ns)
{
	struct timespec ts = { 0, timeout_ns };
	raw(SYS_futex, (long)word, FUTEX_WAIT, value, timeout_ns ? (long)&ts : 0, 0, 0);
}

void futex_wake(_Atomic uint32_t *word)
{
	raw(SYS_futex, (long)word, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

static char stacks[2 * MAX_TASKS + 1][STACK_BYTES] __attribute__((aligned(4096)));

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

void task_loop(unsigned self, uint32_t seen)
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

void task_main(unsigned self)
{
	task_begin(self);
	task_loop(self, 0);
}

void script_handler(int sig)
{
	(void)sig;
}

__asm__(".text\n.globl script_restorer\nscript_restorer:\n\tmov $15, %eax\n\tsyscall\n");
