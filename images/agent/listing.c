// SPDX-License-Identifier: MIT
/* Listings: a folder's tree, and every thread of the system. */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PF_KTHREAD 0x00200000u

static uint8_t type_of(mode_t mode)
{
	return S_ISDIR(mode) ? 0 : S_ISREG(mode) ? 1 : S_ISLNK(mode) ? 2 : 3;
}

/* Adds the file at `path`, whose last bytes from `base` on are its name in the listing; 0 or errno. */
static int put_entry(struct buffer *out, const char *path, size_t base, mode_t *mode)
{
	char target[PATH_MAX];
	struct stat s;
	ssize_t n = 0;

	if (lstat(path, &s))
		return errno;
	if (S_ISLNK(s.st_mode))
		n = readlink(path, target, sizeof(target));
	put_text(out, path + base);
	put_u8(out, type_of(s.st_mode));
	put_u32(out, s.st_mode & 07777);
	put_u64(out, (uint64_t)s.st_size);
	put_bytes(out, target, n < 0 ? 0 : (size_t)n);
	*mode = s.st_mode;
	return 0;
}

/* What vanishes meanwhile is left out. Links are not followed. */
static int walk(struct buffer *out, char *path, size_t base, uint32_t depth, uint32_t *count)
{
	DIR *directory = opendir(path);
	size_t length = strlen(path);
	struct dirent *entry;

	if (!directory)
		return errno;
	while (!out->failed && (entry = readdir(directory))) {
		size_t size = strlen(entry->d_name);
		mode_t mode;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || length + 1 + size >= PATH_MAX)
			continue;
		path[length] = '/';
		memcpy(path + length + 1, entry->d_name, size + 1);
		if (!put_entry(out, path, base + 1, &mode)) {
			++*count;
			if (S_ISDIR(mode) && depth > 1)
				walk(out, path, base, depth - 1, count);
		}
		path[length] = 0;
	}
	closedir(directory);
	return 0;
}

/*
 * text path, u32 depth → u32 count, entries of {text name, u8 type (folder, file, link, other), u32 mode, u64 size, text link target}.
 * The first entry is the path itself, with an empty name; depth 0 gives nothing else.
 */
int op_tree(struct reader *args, struct buffer *out, struct span *span)
{
	char path[PATH_MAX];
	uint32_t depth, count = 1;
	size_t head = out->size, length;
	mode_t mode;
	int code;

	(void)span;
	get_text(args, path, sizeof(path));
	depth = get_u32(args);
	if (!reader_done(args) || depth > 64)
		return AGENT_MALFORMED;
	length = strlen(path);
	while (length > 1 && path[length - 1] == '/')
		path[--length] = 0;
	put_u32(out, 0);
	code = put_entry(out, path, length, &mode);
	if (!code && S_ISDIR(mode) && depth > 0)
		code = walk(out, path, length, depth, &count);
	if (code) {
		buffer_reset(out, head);
		return code;
	}
	patch_u32(out, head, count);
	return 0;
}

/* A procfs file that one read(2) gives whole: every system call saved counts in an emulated guest. */
static long glance(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), code;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, room - 1);
	code = errno;
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	return n < 0 ? -code : n;
}

/*
 * Adds one thread as {u32 pid, u32 tid, text comm, u8 state, u8 kernel thread, i32 errno, i32 patch_state, u64 begin,
 * u64 end}: the two times are around the reading of patch_state. A thread that is gone is left out.
 * Returns how many threads its process has, 0 when it is gone.
 */
static long put_thread(struct buffer *out, unsigned long pid, unsigned long tid)
{
	char path[96], stat[1024], value[32], *name, *rest, state;
	uint64_t begin, end;
	unsigned flags;
	long n, threads;

	snprintf(path, sizeof(path), "/proc/%lu/task/%lu/stat", pid, tid);
	if (glance(path, stat, sizeof(stat)) < 0)
		return 0;
	name = strchr(stat, '(');
	rest = strrchr(stat, ')');
	if (!name || !rest || rest < name ||
	    sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld", &state, &flags,
		   &threads) != 3)
		return 0;
	snprintf(path, sizeof(path), "/proc/%lu/task/%lu/patch_state", pid, tid);
	begin = now_ns();
	n = glance(path, value, sizeof(value));
	end = now_ns();
	put_u32(out, (uint32_t)pid);
	put_u32(out, (uint32_t)tid);
	put_bytes(out, name + 1, (size_t)(rest - name - 1));
	put_u8(out, (uint8_t)state);
	put_u8(out, !!(flags & PF_KTHREAD));
	put_u32(out, n < 0 ? (uint32_t)-n : 0);
	put_u32(out, n < 0 ? 0 : (uint32_t)strtol(value, NULL, 10));
	put_u64(out, begin);
	put_u64(out, end);
	return threads;
}

static unsigned long number_of(const char *name)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);

	return *end || name[0] < '0' || name[0] > '9' ? 0 : number;
}

/* Adds every thread of a process; how many. */
static uint32_t put_process(struct buffer *out, unsigned long pid)
{
	struct dirent *thread;
	uint32_t count = 0;
	size_t before = out->size;
	char path[64];
	DIR *tasks;

	/* Most processes, and every kernel thread, have one thread: the folder needn't be read. */
	if (put_thread(out, pid, pid) == 1 || out->failed)
		return 1;
	buffer_reset(out, before);
	snprintf(path, sizeof(path), "/proc/%lu/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return 0;
	while (!out->failed && (thread = readdir(tasks))) {
		unsigned long tid = number_of(thread->d_name);

		if (tid && put_thread(out, pid, tid))
			count++;
	}
	closedir(tasks);
	return count;
}

/* (nothing) → u32 count, threads */
int op_sweep(struct reader *args, struct buffer *out, struct span *span)
{
	size_t head = out->size;
	struct dirent *process;
	uint32_t count = 0;
	DIR *proc;

	(void)span;
	if (!reader_done(args))
		return AGENT_MALFORMED;
	proc = opendir("/proc");
	if (!proc)
		return errno;
	put_u32(out, 0);
	while (!out->failed && (process = readdir(proc))) {
		unsigned long pid = number_of(process->d_name);

		if (pid)
			count += put_process(out, pid);
	}
	closedir(proc);
	patch_u32(out, head, count);
	return 0;
}
