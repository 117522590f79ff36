/* What lies around a script on this machine: /proc and sysctl files, the loopback device. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

int work_dir = -1;      /* the private directory */
int original_net = -1;  /* the net namespace that the agent was started in */
int private_net = -1;   /* the one that scripts share which use no internet socket */
int lock_turn = -1, lock_machine = -1;
uint64_t low_end;       /* end of the agent's own low mappings (text, data, heap) */

void write_string(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0) {
		/* an optional setting: the caller looks at the outcome where it matters */
	}
	close(fd);
}

void sysctl_path(char *path, size_t size, const char *name)
{
	size_t at = snprintf(path, size, "/proc/sys/");
	for (; *name && at + 1 < size; name++)
		path[at++] = *name == '.' ? '/' : *name;
	path[at] = 0;
}

int write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, value, strlen(value));
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return n < 0 ? -1 : 0;
}

int read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return n < 0 ? -1 : 0;
}

void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	write_string("/proc/sys/net/ipv4/tcp_congestion_control", "cubic");
}
