// SPDX-License-Identifier: MIT
/* Workload tasks: children of the agent. One that has ended stays a zombie until it is waited for. */
#define _GNU_SOURCE
#include "tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { KIND_OP = 0, KIND_SPIN = 1, KIND_SLEEP = 2, KIND_FORKS = 3, KIND_EXEC = 4, KIND_GETPID = 5 };

#define MOST_CHILDREN 256
#define MOST_THREADS 64
#define STACK_SIZE 16384
/* A result must fit the pipe, so that a child never waits for its reader. */
#define MOST_RESULT 32768

static struct child {
	pid_t pid;
	int result; /* reading end, or -1 */
} children[MOST_CHILDREN];
static size_t children_count;
static int is_child;

int in_child(void)
{
	return is_child;
}

static struct child *find_child(pid_t pid)
{
	for (size_t i = 0; i < children_count; i++)
		if (children[i].pid == pid)
			return &children[i];
	return NULL;
}

void end_children(void)
{
	for (size_t i = 0; i < children_count; i++) {
		kill(-children[i].pid, SIGKILL);
		kill(children[i].pid, SIGKILL);
	}
	end_samplers();
}

void forget_children(void)
{
	end_children();
	for (size_t i = 0; i < children_count; i++)
		if (children[i].result >= 0)
			close(children[i].result);
	children_count = 0;
	forget_samplers();
	/* Those that die later are reaped by whoever comes next, or by init. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Neither the channel nor the other children's results may be kept open by a child. */
static void leave_agent(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; fd <= 2; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			close(fd);
	if (null > 2)
		close(null);
	log_close();
	sweep_close();
	for (size_t i = 0; i < children_count; i++)
		if (children[i].result >= 0)
			close(children[i].result);
	signal(SIGPIPE, SIG_DFL);
}

void become_child(const char *name, pid_t agent)
{
	is_child = 1;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != agent)
		_exit(124);
	prctl(PR_SET_NAME, name);
	leave_agent();
}

static int idle_thread(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return 0;
}

void start_thread(int (*body)(void *), void *argument, size_t stack_size)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	char *stack = malloc(stack_size);

	if (!stack || clone(body, stack + stack_size, flags, argument) < 0)
		_exit(126);
}

static void restrict_cpus(uint64_t mask)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < 64; cpu++)
		if (mask >> cpu & 1)
			CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		_exit(125);
}

static void fork_storm(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0)
			while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
				;
	}
}

void run_operation(struct reader *request, int result)
{
	struct buffer out = { 0 };
	size_t sent = 0;
	ssize_t n;

	execute(request, &out, 0);
	if (out.size > MOST_RESULT) {
		buffer_reset(&out, 20);
		patch_u32(&out, 0, (uint32_t)failure(&out, AGENT_TOO_LARGE, "the result of a task is too large"));
	}
	while (sent < out.size && (n = write(result, out.data + sent, out.size - sent)) > 0)
		sent += (size_t)n;
}

static void __attribute__((noreturn)) be_child(uint8_t kind, const char *name, uint64_t cpus, uint32_t threads,
					       struct reader *request, int result, int set_up, pid_t agent)
{
	struct group group = { .result = result };
	char path[64];

	become_child(name, agent);
	if (cpus)
		restrict_cpus(cpus);
	for (uint32_t i = 0; i < threads; i++)
		start_thread(idle_thread, NULL, STACK_SIZE);
	if (kind == KIND_EXEC) {
		if (!get_group(request, &group))
			_exit(122);
		start_group(&group);
	}
	close(set_up);
	switch (kind) {
	case KIND_OP:
		run_operation(request, result);
		break;
	case KIND_SPIN:
		for (volatile uint64_t turns = 0;; turns++)
			;
	case KIND_SLEEP:
		for (;;)
			pause();
	case KIND_FORKS:
		fork_storm();
		break;
	case KIND_EXEC:
		lead_group(&group);
	case KIND_GETPID:
		get_text(request, path, sizeof(path));
		if (!reader_done(request))
			_exit(122);
		call_getpid(path);
	}
	_exit(0);
}

/*
 * u8 kind, text name, u64 mask of CPUs (0: any), u32 further threads (all asleep), bytes request: of KIND_OP an operation, of
 * KIND_EXEC see struct group, of KIND_GETPID text path; one of the last two that is malformed ends with status 122
 * → u32 pid
 */
int op_spawn(struct reader *args, struct buffer *out, struct span *span)
{
	struct reader request = { 0 };
	uint8_t kind = get_u8(args);
	char name[16];
	uint64_t cpus;
	uint32_t threads;
	size_t size;
	int ends[2] = { -1, -1 }, set_up[2], fork_errno;
	pid_t agent = getpid(), pid;

	(void)span;
	get_text(args, name, sizeof(name));
	cpus = get_u64(args);
	threads = get_u32(args);
	request.at = get_bytes(args, &size);
	request.end = request.at + size;
	if (!reader_done(args) || kind > KIND_GETPID || threads > MOST_THREADS)
		return AGENT_MALFORMED;
	if ((kind == KIND_OP || kind >= KIND_EXEC) != (size > 0))
		return failure(out, AGENT_MALFORMED, "a task of kind %u with a request of %zu bytes", kind, size);
	if (is_child)
		return failure(out, AGENT_MALFORMED, "a task can't start tasks");
	if (children_count == MOST_CHILDREN)
		return failure(out, AGENT_CANNOT, "%d tasks were started and not waited for", MOST_CHILDREN);
	if ((kind == KIND_OP || kind == KIND_EXEC) && pipe2(ends, O_CLOEXEC))
		return failure(out, AGENT_CANNOT, "no pipe: %s", strerror(errno));
	if (pipe2(set_up, O_CLOEXEC)) {
		int code = errno;

		close(ends[0]);
		close(ends[1]);
		return failure(out, AGENT_CANNOT, "no pipe: %s", strerror(code));
	}
	pid = fork();
	fork_errno = errno;
	if (pid == 0) {
		if (ends[0] >= 0)
			close(ends[0]);
		close(set_up[0]);
		be_child(kind, name, cpus, threads, &request, ends[1], set_up[1], agent);
	}
	if (ends[1] >= 0)
		close(ends[1]);
	close(set_up[1]);
	/* Until the child has its name, CPUs and threads, or is gone: who looks at it after the reply sees them. */
	while (read(set_up[0], &(char){ 0 }, 1) < 0 && errno == EINTR)
		;
	close(set_up[0]);
	if (pid < 0) {
		if (ends[0] >= 0)
			close(ends[0]);
		return fork_errno;
	}
	setpgid(pid, pid);
	children[children_count++] = (struct child){ pid, ends[0] };
	put_u32(out, (uint32_t)pid);
	return 0;
}

/*
 * u32 pid, u32 milliseconds → u8 (0 running, 1 exited, 2 ended by a signal), u32 status or signal, bytes result:
 * errno, span and body of the operation of a KIND_OP task that came to its end, else empty.
 */
int op_wait(struct reader *args, struct buffer *out, struct span *span)
{
	uint32_t pid = get_u32(args), milliseconds = get_u32(args);
	uint64_t deadline = span->begin + (uint64_t)milliseconds * 1000000u;
	char result[MOST_RESULT];
	struct child *child;
	size_t got = 0;
	pid_t ended;
	int status;
	ssize_t n;

	if (!reader_done(args))
		return AGENT_MALFORMED;
	child = is_child ? NULL : find_child((pid_t)pid);
	if (!child)
		return ECHILD;
	while (!(ended = waitpid(child->pid, &status, WNOHANG)) && now_ns() < deadline)
		if (pause_or_hangup())
			break;
	if (ended < 0)
		return errno;
	if (!ended) {
		put_u8(out, 0);
		put_u32(out, 0);
		put_bytes(out, NULL, 0);
		return 0;
	}
	if (child->result >= 0) {
		while (got < sizeof(result) && (n = read(child->result, result + got, sizeof(result) - got)) != 0) {
			if (n < 0 && errno != EINTR)
				break;
			got += n > 0 ? (size_t)n : 0;
		}
		close(child->result);
	}
	*child = children[--children_count];
	put_u8(out, WIFEXITED(status) ? 1 : 2);
	put_u32(out, (uint32_t)(WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)));
	put_bytes(out, result, got);
	return 0;
}

/* u32 pid, u32 signal. Any process but never a group: pid 0 is refused. */
int op_kill(struct reader *args, struct buffer *out, struct span *span)
{
	uint32_t pid = get_u32(args), number = get_u32(args);

	(void)out;
	(void)span;
	if (!reader_done(args) || pid == 0 || pid > INT_MAX || number > INT_MAX)
		return AGENT_MALFORMED;
	return kill((pid_t)pid, (int)number) ? errno : 0;
}
