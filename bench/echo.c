/*
 * The echo workload on the real kernel: N AF_UNIX stream pairs, their server ends edge-triggered in one epoll.
 * A round: CLIENTS random clients send 64 bytes, the loop waits, reads and echoes until all are served, the clients
 * read. Prints round trips and nanoseconds. The same steps in the same order stand in echo.mjs for the model.
 *
 * usage: echo PAIRS ROUNDS
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 64
#define MESSAGE 64
#define BUFFER 4096

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The generator of echo.mjs: both worlds serve the same clients. */
static uint32_t seed = 1;

static uint32_t next_random(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static void serve(int ep, int wanted)
{
	struct epoll_event events[CLIENTS];
	char buffer[BUFFER];

	while (wanted > 0) {
		int count = epoll_wait(ep, events, CLIENTS, -1);

		if (count < 0)
			die("epoll_wait");
		for (int i = 0; i < count; i++) {
			/* A short read has drained the socket, so the edge is spent. */
			ssize_t got = read(events[i].data.fd, buffer, BUFFER);

			if (got <= 0 || write(events[i].data.fd, buffer, got) != got)
				die("echo");
			wanted -= got / MESSAGE;
		}
	}
}

int main(int argc, char **argv)
{
	int pairs = argc > 1 ? atoi(argv[1]) : 1000;
	int rounds = argc > 2 ? atoi(argv[2]) : 1000;
	struct rlimit limit = { 2 * pairs + 64, 2 * pairs + 64 };
	int *client = calloc(pairs, sizeof(int));
	int chosen[CLIENTS];
	char buffer[BUFFER] = { 0 };
	struct timespec start, end;
	int ep = epoll_create1(0);

	if (pairs < 1 || rounds < 1 || ep < 0 || client == NULL || setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setup");
	for (int i = 0; i < pairs; i++) {
		int fd[2];
		struct epoll_event event = { .events = EPOLLIN | EPOLLET };

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
			die("socketpair");
		client[i] = fd[0];
		event.data.fd = fd[1];
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd[1], &event) < 0)
			die("epoll_ctl");
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			chosen[i] = client[next_random() % pairs];
			if (write(chosen[i], buffer, MESSAGE) != MESSAGE)
				die("write");
		}
		serve(ep, CLIENTS);
		for (int i = 0; i < CLIENTS; i++) {
			/* A client chosen twice finds both answers in its first read. */
			if (read(chosen[i], buffer, BUFFER) < 0 && errno != EAGAIN)
				die("read");
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%ld %ld\n", (long)rounds * CLIENTS,
	       (end.tv_sec - start.tv_sec) * 1000000000L + (end.tv_nsec - start.tv_nsec));
	return 0;
}
