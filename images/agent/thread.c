// SPDX-License-Identifier: MIT
/*
 * Opening a file of procfs costs some twenty times what reading it does (80 µs and 3 µs in an emulated guest), so both
 * files of each thread stay open. Such a descriptor belongs to the thread and not to its number: once the thread is gone
 * reading it gives ESRCH, whoever has the number now.
 */
#define _GNU_SOURCE
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PF_KTHREAD 0x00200000u
/* Descriptors left for everything else: a pipe for each task, mostly. */
#define RESERVED 320
/* A helper the kernel starts is a kernel thread until it execs: believed to stay one after this long. */
#define SETTLED_NS 1000000000u

static long kept;

/* How many descriptors may be kept; beyond that, files are opened and closed for each reading. */
static long most_kept(void)
{
	static long most = -1;
	struct rlimit limit;

	if (most >= 0)
		return most;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return most = 0;
	limit.rlim_cur = limit.rlim_max > 65536 ? 65536 : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit))
		return most = 0;
	return most = limit.rlim_cur > 2 * RESERVED ? (long)limit.rlim_cur - RESERVED : (long)limit.rlim_cur / 2;
}

/* Whether this kernel has the file at all: then ENOENT says that the thread has gone. */
static int has_patch_state(void)
{
	static int has = -1;

	if (has < 0)
		has = !access("/proc/self/patch_state", F_OK) || errno != ENOENT;
	return has;
}

static void keep(int *kept_fd, int fd)
{
	if (kept < most_kept()) {
		*kept_fd = fd;
		kept++;
	} else {
		close(fd);
	}
}

static void drop(int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	kept--;
}

void thread_forget(struct thread *e)
{
	drop(&e->patch_fd);
	drop(&e->stat_fd);
}

static const char *field(const char *at, int further)
{
	while (at && further--)
		at = strchr(at + 1, ' ');
	return at;
}

/* "pid (comm) state ppid pgrp session tty tpgid flags … threads itrealvalue started …"; a comm may hold anything. 0, or -1 when it is no such line. */
static int parse_stat(struct thread *e, const char *text)
{
	const char *name = strchr(text, '('), *end = strrchr(text, ')');
	const char *flags = field(end ? end + 1 : NULL, 6), *threads = field(flags, 11), *started = field(threads, 2);
	size_t size;

	if (!name || end < name || !started || end[1] != ' ')
		return -1;
	size = (size_t)(end - name - 1);
	if (size >= sizeof(e->comm))
		size = sizeof(e->comm) - 1;
	memcpy(e->comm, name + 1, size);
	e->comm[size] = 0;
	e->state = end[2];
	e->kernel = !!(strtoul(flags, NULL, 10) & PF_KTHREAD);
	e->threads = (uint32_t)strtoul(threads, NULL, 10);
	e->started = strtoull(started, NULL, 10);
	e->settled = e->kernel && now_ns() - e->known > SETTLED_NS;
	return e->threads ? 0 : -1; /* none: it is being released */
}

/* 0, or an errno: ESRCH when the thread is gone. */
static int read_stat(struct thread *e, int fd)
{
	char text[1024];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return errno;
	text[n] = 0;
	return parse_stat(e, text) ? ESRCH : 0;
}

/* 0, or ESRCH when the thread is gone; any other errno is kept as what the reading gave. */
static int read_patch_state(struct thread *e, int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	e->error = n < 0 ? errno : 0;
	text[n < 0 ? 0 : n] = 0;
	e->value = (int)strtol(text, NULL, 10);
	return e->error == ESRCH ? ESRCH : 0;
}

/* Opens stat and patch_state in the folder of the thread, and reads them. */
static int attach_files(struct thread *e, int folder)
{
	int fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC), code;

	if (fd < 0)
		return errno;
	code = read_stat(e, fd);
	keep(&e->stat_fd, fd);
	if (code || !has_patch_state())
		return code;
	fd = openat(folder, "patch_state", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		e->error = errno;
		return errno == EACCES || errno == EPERM ? 0 : errno;
	}
	code = read_patch_state(e, fd);
	keep(&e->patch_fd, fd);
	return code;
}

/*
 * Opens and reads both files anew: of the thread that has the number now, and both of the same one, since they are found
 * in one folder's descriptor. What may be kept open is. 0, ESRCH when there is no such thread, or what is in the way.
 */
static int attach(struct thread *e)
{
	char path[64];
	int folder, code;

	thread_forget(e);
	e->known = now_ns();
	e->error = ENOENT;
	e->value = 0;
	snprintf(path, sizeof(path), "/proc/%u/task/%u", e->pid, e->tid);
	folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		code = errno;
	} else {
		code = attach_files(e, folder);
		close(folder);
	}
	if (code)
		thread_forget(e);
	return code == ENOENT ? ESRCH : code;
}

int thread_refresh(struct thread *e)
{
	return e->stat_fd >= 0 && !read_stat(e, e->stat_fd) ? 0 : attach(e);
}

int thread_read(struct thread *e)
{
	if (e->patch_fd >= 0 && !read_patch_state(e, e->patch_fd))
		return 0;
	if (e->patch_fd < 0 && !has_patch_state()) {
		e->error = ENOENT;
		return 0;
	}
	return attach(e);
}

int thread_lives(const struct thread *e)
{
	char byte;

	return e->stat_fd < 0 || pread(e->stat_fd, &byte, 1, 0) > 0;
}
