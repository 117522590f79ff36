/* Which steps a task may execute without being asked back, and the way through a program. */
#include "agent.h"

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

enum end run_steps(void)
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
