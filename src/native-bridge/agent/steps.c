/* One step of a program each. */
#include "agent.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

char reason[512];

__attribute__((format(printf, 2, 3))) enum end stop(enum end end, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	return end;
}

void note_pending(uint8_t *pending)
{
	for (int i = 0; i < MAX_TASKS; i++) /* a task that the step spawns too */
		pending[i] = tasks[i].state == PENDING;
}

enum end tell_step(struct result *r, const uint8_t *pending, const struct task *self)
{
	uint16_t woke[MAX_TASKS];

	r->woke = woke;
	for (int i = 0; i < ntasks; i++)
		if (pending[i] && tasks[i].state == IDLE && &tasks[i] != self)
			woke[r->nwoke++] = i;
	put_result(r);
	return CONTINUE;
}

enum end finish_step(struct result *r, const uint8_t *pending)
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

enum end need_idle(const struct step *s, struct task *t)
{
	if (s->task >= MAX_TASKS || t->state == ABSENT)
		return stop(END_UNSUPPORTED, "task %u does not exist", s->task);
	if (t->state == GONE)
		return task_is_gone(t);
	if (t->state == PENDING)
		return stop(END_UNSUPPORTED, "task %u is still inside %s", s->task, t->call->name);
	return CONTINUE;
}

enum end check_crash(const struct task *t)
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

struct task *helper_of(int proc)
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

void new_task(struct task *t, int proc, pid_t pid, pid_t tid)
{
	memset(t, 0, sizeof(*t));
	t->state = IDLE;
	t->proc = proc;
	t->pid = pid;
	t->tid = tid;
	t->fd_syscall = t->fd_stat = -1;
}

int take_userfaultfd(struct process *p)
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

enum end step_call(uint32_t index, const struct step *s)
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

enum end step_look(const struct step *s)
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

enum end step_spawn(uint32_t index, const struct step *s)
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

enum end step_thaw(const struct step *s)
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

enum end step_fdinfo(const struct step *s)
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

enum end step_poll_mask(const struct step *s)
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
