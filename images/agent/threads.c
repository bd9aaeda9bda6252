// SPDX-License-Identifier: MIT
/* The table of all threads: listed anew for each sweep, what was known of them taken over from the one before. */
#define _GNU_SOURCE
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRENTS 32768

struct dirent64 {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

/* Room for one thread more. 0 or ENOMEM. */
static int grow(struct threads *t)
{
	size_t room = t->room ? 2 * t->room : 256;
	struct thread *list;

	if (t->count < t->room)
		return 0;
	list = realloc(t->list, room * sizeof(*list));
	if (!list)
		return ENOMEM;
	t->list = list;
	t->room = room;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

/* The entry of the sweep before: mostly the one behind that of the last call. */
static struct thread *find_previous(struct threads *t, const struct thread *key)
{
	struct thread *found = t->previous + t->cursor;

	if (t->cursor >= t->previous_count || by_number(found, key))
		found = t->previous_count ?
				bsearch(key, t->previous, t->previous_count, sizeof(*key), by_number) : NULL;
	if (found)
		t->cursor = (size_t)(found - t->previous) + 1;
	return found;
}

/* Adds a thread. 0, or an errno: ESRCH when it has gone. */
static int add(struct threads *t, uint32_t pid, uint32_t tid, int fresh)
{
	struct thread *e, *old;
	int code = grow(t);

	if (code)
		return code;
	e = &t->list[t->count];
	memset(e, 0, sizeof(*e));
	e->pid = pid;
	e->tid = tid;
	e->patch_fd = e->stat_fd = -1;
	old = find_previous(t, e);
	if (old) {
		*e = *old;
		old->patch_fd = old->stat_fd = -1;
	}
	if (e->stat_fd < 0 || fresh || !e->settled)
		code = thread_refresh(e);
	if (code)
		return code;
	if (t->count && by_number(&t->list[t->count - 1], e) > 0)
		t->sorted = 0;
	t->count++;
	return 0;
}

static uint32_t number_of(const char *name)
{
	uint32_t number = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		number = number * 10 + (uint32_t)(*name - '0');
	return *name ? 0 : number;
}

/*
 * The threads of a process beside its first one. Where one ends just then, the kernel ends the listing, and those behind
 * it are missing: it is read again until it has as many as the kernel counts.
 */
static int list_process(struct threads *t, uint32_t pid, int fresh)
{
	char path[64], entries[DIRENTS];
	size_t first = t->count;
	int folder, code = 0;
	long n;

	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	for (int tries = 0; !code && tries < 5; tries++) {
		uint32_t counted = t->list[first - 1].threads;

		while (t->count > first)
			thread_forget(&t->list[--t->count]);
		folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder < 0)
			return errno == ENOENT ? 0 : errno;
		while ((n = syscall(SYS_getdents64, folder, entries, sizeof(entries))) > 0)
			for (long at = 0; at < n; at += ((struct dirent64 *)(entries + at))->reclen) {
				uint32_t tid = number_of(((struct dirent64 *)(entries + at))->name);
				int failed = tid && tid != pid ? add(t, pid, tid, fresh) : 0;

				if (failed && failed != ESRCH)
					code = failed;
			}
		close(folder);
		if (t->count - first + 1 >= counted)
			break;
		if (thread_refresh(&t->list[first - 1]))
			break; /* the process has gone, and what is in the list goes with the reading */
	}
	return code;
}

int threads_list(struct threads *t, int fresh, between *interrupt, void *context)
{
	struct thread *list = t->previous;
	size_t room = t->previous_room;
	char entries[DIRENTS];
	int code = 0;
	long n = 0;

	t->previous = t->list;
	t->previous_room = t->room;
	t->previous_count = t->count;
	t->list = list;
	t->room = room;
	t->count = t->cursor = 0;
	t->sorted = 1;
	if (t->proc <= 0)
		t->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->proc < 0 || lseek(t->proc, 0, SEEK_SET) < 0)
		code = errno;
	while (!code && (n = syscall(SYS_getdents64, t->proc, entries, sizeof(entries))) > 0) {
		for (long at = 0; !code && at < n; at += ((struct dirent64 *)(entries + at))->reclen) {
			uint32_t pid = number_of(((struct dirent64 *)(entries + at))->name);

			if (!pid)
				continue;
			code = add(t, pid, pid, fresh);
			if (!code && t->list[t->count - 1].threads > 1)
				code = list_process(t, pid, fresh);
			if (code == ESRCH)
				code = 0;
			if (interrupt)
				interrupt(context, now_ns());
		}
	}
	if (n < 0)
		code = errno;
	if (!t->sorted)
		qsort(t->list, t->count, sizeof(*t->list), by_number);
	for (size_t i = 0; i < t->previous_count; i++)
		thread_forget(&t->previous[i]);
	t->previous_count = 0;
	return code;
}

int threads_read(struct threads *t, between *interrupt, void *context)
{
	uint64_t at = now_ns();
	size_t left = 0;
	int code = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct thread *e = &t->list[i];
		int failed;

		e->span.begin = at;
		failed = thread_read(e);
		at = e->span.end = now_ns();
		if (!failed)
			t->list[left++] = *e;
		else if (failed != ESRCH)
			code = failed;
		if (interrupt)
			at = interrupt(context, at);
	}
	t->count = left;
	return code;
}

void threads_close(struct threads *t)
{
	for (size_t i = 0; i < t->count; i++)
		thread_forget(&t->list[i]);
	if (t->proc > 0)
		close(t->proc);
	free(t->list);
	free(t->previous);
	memset(t, 0, sizeof(*t));
}
