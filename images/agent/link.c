// SPDX-License-Identifier: MIT
/* Frames on a byte stream: see harness/guest/frames.ts. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A message with its session, stuffed: a code byte for every 254. */
#define MOST_STUFFED (FRAME_LIMIT + 4 + (FRAME_LIMIT + 4) / 254 + 1)

static unsigned char chunk[65536];
static size_t chunk_at, chunk_end;
/* Not a stream that ends, but a virtio port: with nobody at the other side it reads as empty. */
static int is_port;

int link_open(const char *port)
{
	int fd = open(port, O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return -1;
	close(fd);
	is_port = 1;
	return 0;
}

/* 1 when there is a byte, 0 at the end of the stream, -1 otherwise. */
static int fill(void)
{
	for (;;) {
		ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

		if (n > 0) {
			chunk_at = 0;
			chunk_end = (size_t)n;
			return 1;
		}
		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0 && !is_port)
			return 0;
		if (n == 0)
			poll(NULL, 0, 50);
	}
}

/* Takes the stuffing out, in place; -1 for what was never stuffed. */
static long unstuff(unsigned char *data, size_t size)
{
	size_t at = 0, end = 0;

	while (at < size) {
		size_t code = data[at], next = at + code;

		if (!code || next > size)
			return -1;
		memmove(data + end, data + at + 1, code - 1);
		end += code - 1;
		if (code < 255 && next < size)
			data[end++] = 0;
		at = next;
	}
	return (long)end;
}

int link_receive(struct frame *frame)
{
	static unsigned char *data;
	size_t size = 0;
	int too_long = 0;

	if (!data && !(data = malloc(MOST_STUFFED)))
		return -1;
	for (;;) {
		unsigned char *zero;
		size_t part;
		long length;

		if (chunk_at == chunk_end) {
			int got = fill();

			/* A stream that ends inside a frame was cut off. */
			if (got <= 0)
				return got == 0 && size ? -1 : got;
		}
		zero = memchr(chunk + chunk_at, 0, chunk_end - chunk_at);
		part = (zero ? (size_t)(zero - chunk) : chunk_end) - chunk_at;
		if (size + part > MOST_STUFFED)
			too_long = 1;
		else
			memcpy(data + size, chunk + chunk_at, part);
		size = too_long ? MOST_STUFFED : size + part;
		chunk_at += part + !!zero;
		if (!zero || !size)
			continue;
		length = too_long ? -1 : unstuff(data, size);
		size = 0;
		too_long = 0;
		if (length < 4)
			continue; /* the rest of something whose beginning nobody saw */
		frame->message = (struct reader){ data, data + length, 0 };
		frame->session = get_u32(&frame->message);
		return 1;
	}
}

static int write_all(const unsigned char *data, size_t size)
{
	while (size) {
		ssize_t n = write(STDOUT_FILENO, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

int link_send(uint32_t session, struct buffer *b)
{
	static unsigned char *stuffed;
	size_t at = 0, end = 1;

	/* Room for the largest buffer, and a zero at either end. */
	if (!stuffed && !(stuffed = malloc(MOST_STUFFED + 2)))
		return -1;
	patch_u32(b, 0, session);
	stuffed[0] = 0;
	for (;;) {
		size_t left = b->size - at, most = left < 254 ? left : 254;
		unsigned char *zero = memchr(b->data + at, 0, most);
		size_t length = zero ? (size_t)(zero - b->data) - at : most;

		stuffed[end] = (unsigned char)(length + 1);
		memcpy(stuffed + end + 1, b->data + at, length);
		end += length + 1;
		at += length;
		if (zero)
			at++; /* stands for itself: the next run may be empty, and then is the last */
		else if (at == b->size)
			break;
	}
	stuffed[end++] = 0;
	return write_all(stuffed, end);
}

int pause_or_hangup(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = 0 };
	int ready = in_child() ? poll(NULL, 0, 1) : poll(&in, 1, 1);

	return ready > 0 && (in.revents & (POLLHUP | POLLERR | POLLNVAL));
}
