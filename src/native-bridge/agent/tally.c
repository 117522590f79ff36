/* Many runs of one program: the different results, and how often each came up. */
#include "agent.h"

#include <string.h>

struct tally tally;

enum end single_end;

void note_end(enum end end)
{
	single_end = end;
}

int shared_text(char *text, uint32_t length)
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

size_t close_results(enum end end)
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

void tally_end(enum end end)
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
