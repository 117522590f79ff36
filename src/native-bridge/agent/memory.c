/* Memory that every process of the agent sees: user memory of a script, results. */
#include "agent.h"

#include <string.h>

struct shared *sh;
uint8_t *in_buffer;
uint8_t *out_buffer;

/* All of that is one file, so that the program of an execve can have it again. */
int memory_fd = -1;

int inside(uint64_t addr, uint64_t len, uint64_t base, uint64_t bytes)
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

int user_readable(uint64_t addr, uint64_t len)
{
	return user_writable(addr, len) || inside(addr, len, READ_ONLY, PAGE);
}

/* The page that scripts cannot write is mapped a second time, writable, for pokes. */
uint8_t *read_only_alias;

void user_poke(uint64_t addr, const void *from, uint64_t len)
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

int user_read(uint64_t addr, void *to, uint64_t len)
{
	if (!user_readable(addr, len))
		return -1;
	memcpy(to, (void *)addr, len);
	return 0;
}

void put_result(const struct result *r)
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

int is_memory_step(const struct step *s)
{
	return s->op == OP_POKE || s->op == OP_POKE_SLOT || s->op == OP_PEEK || s->op == OP_PEEK_SLOT;
}

void memory_step(const struct step *s)
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

long value_of(const struct reg *r)
{
	return r->slot >= 0 ? sh->slots[r->slot] : r->value;
}
