/* Reads programs and sends results: see ../protocol.ts. */
#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>

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
	for (size_t i = 0; i < ncalls; i++)
		LINE("%s:%d ", calls[i].name, calls[i].nr);
	LINE("\n");
#undef LINE
	send_message(out_buffer, 0, M_GREETING, 9 + n);
}

void serve(void)
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
