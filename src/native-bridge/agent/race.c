/* A race: several tasks execute calls of their own accord. */
#include "agent.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

struct stagger stagger;

static uint32_t stagger_next(uint32_t count)
{
	stagger.state ^= stagger.state << 13;
	stagger.state ^= stagger.state >> 7;
	stagger.state ^= stagger.state << 17;
	return (stagger.state >> 20) % count;
}

void stagger_begin(uint64_t seed)
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

cpu_set_t all_cpus;

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

enum end step_race(uint32_t index)
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
