// SPDX-License-Identifier: MIT
/* Listings: a folder's tree, and every thread of the system. */
#include "agent.h"
#include "threads.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What a sweep looks at beside patch_state. */
enum sweep_flags { SWEEP_FRESH = 1, SWEEP_STACK = 2, SWEEP_WCHAN = 4 };

static struct threads threads;

void sweep_close(void)
{
	threads_close(&threads);
}

/* Adds {u8 1, i32 errno, text content, u64 begin, u64 end}, or {u8 0} when it isn't wanted. */
static void put_text_of(struct buffer *out, const struct thread *e, const char *name, int wanted)
{
	char path[96], text[16384];
	uint64_t begin;
	long n;

	put_u8(out, !!wanted);
	if (!wanted)
		return;
	snprintf(path, sizeof(path), "/proc/%u/task/%u/%s", e->pid, e->tid, name);
	begin = now_ns();
	n = slurp(path, text, sizeof(text));
	if (n >= 0 && !thread_lives(e))
		n = -ESRCH;
	put_u32(out, n < 0 ? (uint32_t)-n : 0);
	put_bytes(out, text, n < 0 ? 0 : (size_t)n);
	put_u64(out, begin);
	put_u64(out, now_ns());
}

/*
 * u8 sweep_flags → u32 count, threads of {u32 pid, u32 tid, text comm, u8 state, u8 kernel thread, i32 errno, i32 patch_state,
 * u64 begin, u64 end, stack, wchan}: the two times are around the reading of patch_state. A thread that is gone is left out.
 */
int op_sweep(struct reader *args, struct buffer *out, struct span *span)
{
	uint8_t what = get_u8(args);
	int code;

	(void)span;
	if (!reader_done(args) || what > 7)
		return AGENT_MALFORMED;
	code = threads_list(&threads, what & SWEEP_FRESH, NULL, NULL);
	if (!code)
		code = threads_read(&threads, NULL, NULL);
	if (code)
		return code;
	put_u32(out, (uint32_t)threads.count);
	for (size_t i = 0; i < threads.count; i++) {
		const struct thread *e = &threads.list[i];

		put_u32(out, e->pid);
		put_u32(out, e->tid);
		put_text(out, e->comm);
		put_u8(out, (uint8_t)e->state);
		put_u8(out, e->kernel);
		put_u32(out, (uint32_t)e->error);
		put_u32(out, e->error ? 0 : (uint32_t)e->value);
		put_u64(out, e->span.begin);
		put_u64(out, e->span.end);
		put_text_of(out, e, "stack", what & SWEEP_STACK);
		put_text_of(out, e, "wchan", what & SWEEP_WCHAN);
	}
	return 0;
}
