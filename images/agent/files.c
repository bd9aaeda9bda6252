// SPDX-License-Identifier: MIT
/* Files of sysfs, procfs and the like: read, write, both by one descriptor, and waiting for a content. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_AT_ONCE 16384u

enum write_flags { WRITE_TRUNCATE = 1, WRITE_APPEND = 2, WRITE_CREATE = 4 };

long slurp(const char *path, char *data, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (got < room) {
		/* Not all at once: for a file of /proc/sys the kernel clears a buffer of the size that is asked for. */
		size_t part = room - got < MOST_AT_ONCE ? room - got : MOST_AT_ONCE;

		n = read(fd, data + got, part);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int code = errno;

			close(fd);
			return -code;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	return (long)got;
}

/* text path, u32 most bytes → bytes, u8 whether the most was reached */
int op_read(struct reader *args, struct buffer *out, struct span *span)
{
	char path[PATH_MAX];
	uint32_t most;
	char *data;
	long got;

	get_text(args, path, sizeof(path));
	most = get_u32(args);
	if (!reader_done(args))
		return AGENT_MALFORMED;
	if (most > FRAME_LIMIT)
		return failure(out, AGENT_TOO_LARGE, "more than a frame holds was asked for");
	data = malloc(most ? most : 1);
	if (!data)
		return failure(out, AGENT_CANNOT, "out of memory");
	span->begin = now_ns();
	got = slurp(path, data, most);
	span->end = now_ns();
	if (got >= 0) {
		put_bytes(out, data, (size_t)got);
		put_u8(out, (size_t)got == most);
	}
	free(data);
	return got < 0 ? (int)-got : 0;
}

/* text path, u8 write_flags, bytes → u32 written. One write(2) call. */
int op_write(struct reader *args, struct buffer *out, struct span *span)
{
	char path[PATH_MAX];
	const unsigned char *data;
	size_t size;
	uint8_t flags;
	int fd, code;
	ssize_t n;

	get_text(args, path, sizeof(path));
	flags = get_u8(args);
	data = get_bytes(args, &size);
	if (!reader_done(args) || flags > 7)
		return AGENT_MALFORMED;
	fd = open(path,
		  O_WRONLY | O_CLOEXEC | (flags & WRITE_TRUNCATE ? O_TRUNC : 0) | (flags & WRITE_APPEND ? O_APPEND : 0) |
			  (flags & WRITE_CREATE ? O_CREAT : 0),
		  0644);
	if (fd < 0)
		return errno;
	span->begin = now_ns();
	n = write(fd, data, size);
	code = n < 0 ? errno : 0;
	span->end = now_ns();
	/* Some files report at close. */
	if (close(fd) && !code && errno != EINTR)
		code = errno;
	if (!code)
		put_u32(out, (uint32_t)n);
	return code;
}

/*
 * text path, u8 whether to write, bytes, u8 whether to read, u32 most bytes → u32 written, bytes read.
 * One open, at most one write(2), at most one read(2) from the start. What a task of ours is parked in.
 */
int op_io(struct reader *args, struct buffer *out, struct span *span)
{
	char path[PATH_MAX];
	const unsigned char *data;
	char *answer = NULL;
	size_t size;
	uint8_t writes, reads;
	uint32_t most;
	ssize_t written = 0, got = 0;
	int fd, code = 0;

	get_text(args, path, sizeof(path));
	writes = get_u8(args);
	data = get_bytes(args, &size);
	reads = get_u8(args);
	most = get_u32(args);
	if (!reader_done(args) || writes > 1 || reads > 1)
		return AGENT_MALFORMED;
	if (most > FRAME_LIMIT)
		return failure(out, AGENT_TOO_LARGE, "more than a frame holds was asked for");
	answer = malloc(most ? most : 1);
	if (!answer)
		return failure(out, AGENT_CANNOT, "out of memory");
	fd = open(path, (writes && reads ? O_RDWR : writes ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0) {
		code = errno;
		goto out;
	}
	span->begin = now_ns();
	if (writes)
		written = write(fd, data, size);
	if (written < 0)
		code = errno;
	if (!code && reads) {
		/* A file without positions says ESPIPE, and has none to go back to. */
		if (writes)
			(void)lseek(fd, 0, SEEK_SET);
		got = read(fd, answer, most);
		if (got < 0)
			code = errno;
	}
	span->end = now_ns();
	close(fd);
	if (!code) {
		put_u32(out, (uint32_t)written);
		put_bytes(out, answer, (size_t)got);
	}
out:
	free(answer);
	return code;
}

/*
 * text path, u8 (0: until it equals, 1: until it is gone), bytes, u32 milliseconds
 * → u8 whether it came, u32 readings, u64 begin and end of the last reading, bytes it gave.
 * Waiting for a content ends at once with the errno of a reading that fails.
 */
int op_await(struct reader *args, struct buffer *out, struct span *span)
{
	char path[PATH_MAX], content[4096];
	const unsigned char *wanted;
	size_t size;
	uint8_t gone;
	uint32_t milliseconds, readings = 0;
	uint64_t deadline, begin, end;
	long got;
	int came;

	get_text(args, path, sizeof(path));
	gone = get_u8(args);
	wanted = get_bytes(args, &size);
	milliseconds = get_u32(args);
	if (!reader_done(args) || gone > 1 || size >= sizeof(content))
		return AGENT_MALFORMED;
	deadline = span->begin + (uint64_t)milliseconds * 1000000u;
	for (;;) {
		begin = now_ns();
		got = slurp(path, content, sizeof(content));
		end = now_ns();
		readings++;
		if (gone)
			came = got == -ENOENT || got == -ENODEV;
		else if (got < 0)
			return (int)-got;
		else
			came = (size_t)got == size && !memcmp(content, wanted, size);
		if (came || end >= deadline || pause_or_hangup())
			break;
	}
	put_u8(out, (uint8_t)came);
	put_u32(out, readings);
	put_u64(out, begin);
	put_u64(out, end);
	put_bytes(out, content, got < 0 ? 0 : (size_t)got);
	return 0;
}
