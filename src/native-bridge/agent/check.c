/* Which calls are refused, and why. */
#include "agent.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>

struct used used;

static char refusal[256];

__attribute__((format(printf, 1, 2))) const char *refuse(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(refusal, sizeof(refusal), format, ap);
	va_end(ap);
	return refusal;
}

int is_own_memory(uint64_t addr)
{
	return (addr >= 0x400000 && addr < low_end) || inside(addr, 0, AGENT, AGENT_BYTES) ||
	       (addr >= 0x700000000000 && addr < 0x800000000000);
}

/* Length of the string, -1 if the kernel cannot read it either, -2 if it has no end. */
static int user_string(uint64_t addr, char *buf, int size)
{
	for (int i = 0; i < size; i++) {
		if (user_read(addr + i, &buf[i], 1) < 0)
			return -1;
		if (buf[i] == 0)
			return i;
	}
	return -2;
}

static int has_dotdot(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == 0 || p[2] == '/'))
			return 1;
	}
	return 0;
}

/* Files outside of the private directory that may be opened. A '*' stands for digits; at the end, for anything. */
static const struct {
	const char *pattern;
	int writable;
} public_files[] = {
	{ "/", 0 },
	{ "/tmp", 0 },
	{ "/dev/null", 1 },
	{ "/dev/zero", 1 },
	{ "/dev/full", 1 },
	{ "/dev/random", 1 },
	{ "/dev/urandom", 1 },
	{ "/dev/ptmx", 1 },
	{ "/dev/pts/*", 1 },
	{ "/dev/kmsg", 0 },
	{ "/dev/fuse", 1 },
	{ "/dev/net/tun", 1 },
	{ "/proc/self/status", 0 },
	{ "/proc/self/stat", 0 },
	{ "/proc/self/maps", 0 },
	{ "/proc/self/mounts", 0 },
	{ "/proc/self/mountinfo", 0 },
	{ "/proc/self/fd/*", 0 }, /* reopening could turn a read-only file writable */
	{ "/proc/self/fdinfo/*", 0 },
	{ "/proc/meminfo", 0 },
	{ "/proc/swaps", 0 },
	{ "/proc/version", 0 },
	{ "/proc/mounts", 0 },
	{ "/proc/kmsg", 0 },
	{ "/proc/sys/kernel/hostname", 0 },
	{ "/proc/net/tcp", 0 },
	{ "/proc/pressure/cpu", 0 },
	{ "/sys/kernel/mm/*", 0 },
	{ "/sys/devices/system/cpu/*", 0 },
	{ "/sys/class/net/lo/*", 0 },
};

static int matches(const char *pattern, const char *path)
{
	size_t fixed = strcspn(pattern, "*");

	if (strncmp(pattern, path, fixed) != 0)
		return 0;
	if (pattern[fixed] == 0)
		return path[fixed] == 0;
	path += fixed;
	return strncmp(pattern, "/sys/", 5) == 0 || (*path && path[strspn(path, "0123456789")] == 0);
}

static const char *check_public(const char *path, int flags)
{
	int writing = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)));

	for (size_t i = 0; i < sizeof(public_files) / sizeof(public_files[0]); i++) {
		if (!matches(public_files[i].pattern, path))
			continue;
		if (writing && (!public_files[i].writable || (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))))
			return refuse("%s may only be opened for reading", path);
		if (strncmp(path, "/dev/pt", 7) == 0)
			used.slow = 1;
		return NULL;
	}
	return refuse("the path %s is outside of the private directory", path);
}

/* @flags: those of an open, or -1 for a call that is only allowed in the private directory. */
static const char *check_path(uint64_t addr, int dirfd, int flags)
{
	char path[PATH_MAX + 1];
	int n = user_string(addr, path, sizeof(path));

	if (n == -1 || n == -2) /* EFAULT, ENAMETOOLONG */
		return NULL;
	if (has_dotdot(path))
		return refuse("the path %s leads upwards", path);
	if (path[0] == '/')
		return flags < 0 ? refuse("the path %s is outside of the private directory", path)
				 : check_public(path, flags);
	if (dirfd != AT_FDCWD && !world.jail)
		return refuse("a path relative to a descriptor needs a private mount namespace");
	used.touched_dir = 1;
	return NULL;
}

static const char *check_mknod(uint64_t addr, int dirfd, unsigned mode)
{
	unsigned type = mode & S_IFMT;

	if (type != 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return refuse("mknod makes only FIFOs, sockets and regular files here");
	return check_path(addr, dirfd, -1);
}

/* The system call takes the name without its slash; libc adds and removes that. */
static const char *check_mq(uint64_t addr)
{
	char *queue = used.queues[used.nqueues];
	int n;

	if (!world.private_ipc)
		return refuse("mq_open needs a private ipc namespace");
	if (used.nqueues == MAX_QUEUES)
		return refuse("no more than %d message queues", MAX_QUEUES);
	queue[0] = '/';
	n = user_string(addr, queue + 1, sizeof(used.queues[0]) - 1);
	if (n == -2)
		return refuse("the name of a message queue has no more than 62 bytes");
	if (n > 0)
		used.nqueues++;
	return NULL;
}

static int is_loopback(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (ss->ss_family == AF_INET)
		return in->sin_addr.s_addr == INADDR_ANY || ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

/*
 * Abstract names are those of the whole net namespace: where that is not private, a script connects only to names that
 * it has bound itself.
 */
static const char *check_abstract_name(const char *name, unsigned len, int binding)
{
	struct abstract_name *own;

	if (world.private_net || len == 0) /* unnamed, or autobind */
		return NULL;
	for (unsigned i = 0; i < used.nabstract; i++)
		if (used.abstract[i].len == len && memcmp(used.abstract[i].name, name, len) == 0)
			return NULL;
	if (!binding)
		return refuse("an abstract address of somebody else needs a private net namespace");
	if (used.nabstract == MAX_ABSTRACT)
		return refuse("no more than %d abstract addresses", MAX_ABSTRACT);
	own = &used.abstract[used.nabstract++];
	own->len = len;
	memcpy(own->name, name, len);
	return NULL;
}

/* @len: without the family. */
static const char *check_unix_address(const char *path, unsigned len, int binding)
{
	if (path[0] == 0)
		return check_abstract_name(path, len, binding);
	if (path[0] == '/' || has_dotdot(path))
		return refuse("the socket %s is outside of the private directory", path);
	used.touched_dir = 1;
	return NULL;
}

static const char *check_address(uint64_t addr, unsigned len, int binding)
{
	struct sockaddr_storage ss;
	char path[sizeof(struct sockaddr_un)];

	memset(&ss, 0, sizeof(ss));
	if (addr == 0 || (int)len < 2)
		return NULL;
	if (len > sizeof(ss)) /* EINVAL */
		return NULL;
	if (user_read(addr, &ss, len) < 0)
		return NULL;
	if ((ss.ss_family == AF_INET || ss.ss_family == AF_INET6) && !world.private_net && !is_loopback(&ss))
		return refuse("an address that is not loopback needs a private net namespace");
	if (ss.ss_family != AF_UNIX)
		return NULL;
	if (len > sizeof(struct sockaddr_un))
		return NULL; /* EINVAL */
	memset(path, 0, sizeof(path));
	memcpy(path, (char *)&ss + 2, len - 2);
	return check_unix_address(path, len - 2, binding);
}

static const char *check_iov(uint64_t addr, uint64_t count)
{
	uint64_t iov[2];

	for (uint64_t i = 0; i < count && i < 1024; i++) {
		if (user_read(addr + 16 * i, iov, 16) < 0)
			return NULL;
		if (is_own_memory(iov[0]))
			return refuse("an iovec points into the agent");
	}
	return NULL;
}

static const char *check_msg(uint64_t addr, int sending)
{
	struct {
		uint64_t name;
		uint32_t namelen, pad;
		uint64_t iov, iovlen, control, controllen;
		uint32_t flags, pad2;
	} m;
	const char *why;

	if (user_read(addr, &m, sizeof(m)) < 0)
		return NULL;
	if (is_own_memory(m.name) || is_own_memory(m.iov) || is_own_memory(m.control))
		return refuse("a msghdr points into the agent");
	why = check_iov(m.iov, m.iovlen);
	return why || !sending ? why : check_address(m.name, m.namelen, 0);
}

static const char *check_mmsg(uint64_t addr, unsigned count, int sending)
{
	const char *why = NULL;

	for (unsigned i = 0; i < count && i < 1024 && !why; i++)
		why = check_msg(addr + 64UL * i, sending);
	return why;
}

static const char *check_socket(int domain, int type, int protocol)
{
	type &= 0xf;
	if (domain == AF_UNIX && type != 0 && type <= SOCK_SEQPACKET)
		return NULL;
	if ((domain == AF_INET || domain == AF_INET6) && (type == SOCK_STREAM || type == SOCK_DGRAM) &&
	    (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE))
		return NULL;
	if ((domain == AF_INET || domain == AF_INET6) && type == SOCK_STREAM && protocol == 262) /* IPPROTO_MPTCP */
		return NULL;
	if (domain == AF_NETLINK && (type == SOCK_RAW || type == SOCK_DGRAM) && protocol == 0)
		return NULL;
	if (domain < 0 || domain >= 256) /* EAFNOSUPPORT */
		return NULL;
	if ((domain == AF_INET || domain == AF_UNIX) && (type == 0 || type > SOCK_PACKET)) /* an unknown type */
		return NULL;
	return refuse("no sockets of domain %d, type %d, protocol %d", domain, type, protocol);
}

static const char *check_setsockopt(int level, int option)
{
	if (level == SOL_SOCKET && option != 50 && option != 52) /* SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF */
		return NULL;
	if (level == IPPROTO_TCP && option != 19 && option != 31) /* TCP_REPAIR, TCP_ULP */
		return NULL;
	if ((level == IPPROTO_IP || level == IPPROTO_IPV6) && option < 64) /* 64 and more: netfilter, of IPv6 until 65 */
		return NULL;
	if (level == IPPROTO_IPV6 && option >= 66 && option < 80)
		return NULL;
	if (level == IPPROTO_UDP || level >= 255 || level < 0) /* no socket here has a level from SOL_RAW on */
		return NULL;
	return refuse("no setsockopt of level %d, option %d", level, option);
}

static const char *check_ioctl(unsigned request)
{
	static const unsigned allowed[] = {
		0x5401, 0x5402, 0x5403, 0x5411, 0x5413, 0x5414, /* TCGETS TCSETS TCSETSW TIOCOUTQ TIOC[GS]WINSZ */
		0x5420, 0x5421, 0x541b, 0x5450, 0x5451, 0x5452, /* TIOCPKT FIONBIO FIONREAD FIONCLEX FIOCLEX FIOASYNC */
		0x80045430, 0x40045431, 0x8905, 0x894b,		/* TIOCGPTN TIOCSPTLCK SIOCATMARK SIOCOUTQNSD */
		0x40088a01, 0x80088a02, 0x40085400,		/* EPIOCSPARAMS EPIOCGPARAMS TFD_IOC_SET_TICKS */
	};

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (request == allowed[i])
			return NULL;
	return refuse("no ioctl %#x", request);
}

static int is_script_pid(int pid)
{
	for (int i = 0; i < ntasks; i++)
		if (tasks[i].state != ABSENT && (tasks[i].pid == pid || tasks[i].tid == pid))
			return 1;
	return pid > 4194304; /* beyond the largest pid_max: nobody */
}

static const char *check_fcntl(unsigned cmd, int arg)
{
	if (cmd <= F_SETLKW || cmd == F_GETOWN || cmd == F_SETSIG || cmd == F_GETSIG || cmd == F_GETOWN_EX ||
	    (cmd >= F_OFD_GETLK && cmd <= F_OFD_SETLKW) || (cmd >= F_SETLEASE && cmd <= F_GETLEASE) ||
	    cmd == F_DUPFD_CLOEXEC || cmd == F_SETPIPE_SZ || cmd == F_GETPIPE_SZ ||
	    cmd == F_ADD_SEALS || cmd == F_GET_SEALS || cmd >= 2048) /* the last: EINVAL */
		return NULL;
	if (cmd == F_SETOWN && (arg == 0 || arg == INT_MIN || is_script_pid(arg)))
		return NULL;
	return refuse("no fcntl %u of %d", cmd, arg);
}

/* @group: 0 and negative numbers, which name process groups, are known to the call. */
static const char *check_pid(int pid, int group)
{
	if (pid > 0 ? is_script_pid(pid) : !group || pid == 0 || -pid == procs[0].pid || pid < -4194304)
		return NULL;
	return refuse("the process %d is none of the script's", pid);
}

static const char *check_prlimit(int pid, unsigned resource, uint64_t new_limit)
{
	if (pid != 0 && !is_script_pid(pid))
		return refuse("the process %d is none of the script's", pid);
	if (new_limit && resource < RLIM_NLIMITS && resource != RLIMIT_NOFILE && resource != RLIMIT_MSGQUEUE &&
	    resource != RLIMIT_SIGPENDING && resource != RLIMIT_MEMLOCK)
		return refuse("resource limit %u stays as it is", resource);
	return NULL;
}

/* Only a name is behind a pointer: a timer slack may look like an address of the agent. */
static const char *check_prctl(int option, uint64_t value)
{
	if (option == PR_SET_NAME && is_own_memory(value))
		return refuse("the name of a prctl points into the agent");
	if (option == PR_SET_NAME || option == PR_SET_TIMERSLACK || option == PR_GET_TIMERSLACK)
		return NULL;
	return refuse("no prctl %d", option);
}

#define SELF_EXE "/proc/self/exe"

/* The one program that may be executed is this one: it goes on as the same task. */
static const char *prepare_exec(long *a, const struct ctl *c)
{
	char path[sizeof(SELF_EXE)];
	int n = user_string(a[0], path, sizeof(path));

	if (n == -1) /* EFAULT */
		return NULL;
	if (n < 0 || strcmp(path, SELF_EXE) != 0)
		return refuse("only %s may be executed", SELF_EXE);
	snprintf(sh->exec_words[0], sizeof(sh->exec_words[0]), "--go-on");
	snprintf(sh->exec_words[1], sizeof(sh->exec_words[1]), "%d", (int)(c - sh->ctl));
	snprintf(sh->exec_words[2], sizeof(sh->exec_words[2]), "%d", getpid());
	snprintf(sh->exec_words[3], sizeof(sh->exec_words[3]), "%d", memory_fd);
	sh->exec_argv[0] = SELF_EXE;
	for (int i = 0; i < 4; i++)
		sh->exec_argv[i + 1] = sh->exec_words[i];
	a[1] = (long)sh->exec_argv;
	a[2] = 0;
	return NULL;
}

/* The kernel gets a copy: it needs a restorer, and a handler that exists. */
static const char *prepare_sigaction(long *a, struct ctl *c)
{
	if (a[1] == 0 || user_read(a[1], &c->action, sizeof(c->action)) < 0)
		return NULL;
	if (c->action.handler > 1 && c->action.handler != HANDLER)
		return refuse("signal handlers are SIG_DFL, SIG_IGN or the address %d", HANDLER);
	if (c->action.handler == HANDLER) {
		c->action.handler = (uint64_t)script_handler;
		c->action.flags = (c->action.flags & ~(uint64_t)SA_ONSTACK) | 0x04000000; /* SA_RESTORER */
		c->action.restorer = (uint64_t)script_restorer;
	}
	a[1] = (long)&c->action;
	return NULL;
}

static const char *check_pselect(uint64_t addr)
{
	uint64_t sigset[2];

	if (addr && user_read(addr, sigset, sizeof(sigset)) == 0 && is_own_memory(sigset[0]))
		return refuse("a signal set points into the agent");
	return NULL;
}

static const char *check_pointers(const struct call *call, const long *a)
{
	for (int i = 0; i < 6; i++)
		if (call->pointers & 1 << i && is_own_memory(a[i]))
			return refuse("argument %d of %s points into the agent", i, call->name);
	return NULL;
}

const char *check_call(const struct call *call, long *a, struct ctl *c)
{
	const char *why = check_pointers(call, a);

	if (why)
		return why;
	switch ((enum check)call->check) {
	case C_NONE:
	case C_EXIT:
	case C_EXIT_GROUP:
		return NULL;
	case C_OPEN:
		return check_path(a[0], AT_FDCWD, (int)a[1] & INT_MAX);
	case C_OPENAT:
		return check_path(a[1], a[0], (int)a[2] & INT_MAX);
	case C_PATH0:
		return check_path(a[0], AT_FDCWD, -1);
	case C_PATH1:
		return check_path(a[1], a[0], -1);
	case C_MKNOD:
		return check_mknod(a[0], AT_FDCWD, a[1]);
	case C_MKNODAT:
		return check_mknod(a[1], a[0], a[2]);
	case C_WATCH:
		return check_path(a[1], AT_FDCWD, world.jail ? O_RDONLY : -1);
	case C_MQ:
		return check_mq(a[0]);
	case C_BIND:
		return check_address(a[1], a[2], 1);
	case C_CONNECT:
		return check_address(a[1], a[2], 0);
	case C_SENDTO:
		return check_address(a[4], a[5], 0);
	case C_SENDMSG:
		return check_msg(a[1], 1);
	case C_RECVMSG:
		return check_msg(a[1], 0);
	case C_SENDMMSG:
		return check_mmsg(a[1], a[2], 1);
	case C_RECVMMSG:
		return check_mmsg(a[1], a[2], 0);
	case C_IOV:
		return check_iov(a[1], a[2]);
	case C_SOCKET:
		return check_socket(a[0], a[1], a[2]);
	case C_SETSOCKOPT:
		return check_setsockopt(a[1], a[2]);
	case C_IOCTL:
		return check_ioctl(a[1]);
	case C_FCNTL:
		return check_fcntl(a[1], a[2]);
	case C_PRCTL:
		return check_prctl(a[0], a[1]);
	case C_PRLIMIT:
		return check_prlimit(a[0], a[1], a[2]);
	case C_KILL:
		return check_pid(a[0], 1);
	case C_TGKILL:
		why = check_pid(a[0], 0);
		return why ? why : check_pid(a[1], 0);
	case C_PID:
		return check_pid(a[0], 0);
	case C_KCMP:
		why = check_pid(a[0], 0);
		return why ? why : check_pid(a[1], 0);
	case C_SIGACTION:
		return prepare_sigaction(a, c);
	case C_EXEC:
		return prepare_exec(a, c);
	case C_FALLOCATE:
		return a[3] > MAX_FALLOCATE ? refuse("fallocate of more than 64 MiB") : NULL;
	case C_MEMFD:
		return a[1] & 4 ? refuse("no huge pages") : NULL; /* MFD_HUGETLB */
	case C_PSELECT:
		return check_pselect(a[5]);
	case C_USERS:
		return refuse("the users of a process stay as the program began with them");
	}
	return refuse("unknown check");
}
