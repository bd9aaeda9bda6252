// SPDX-License-Identifier: MIT
/* Modules and the kernel log. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* text path, text parameters, u32 flags. The errno is always finit_module's own. */
int op_insmod(struct reader *args, struct buffer *out, struct span *span)
{
	char path[PATH_MAX], params[4096];
	uint32_t flags;
	int fd, code;

	get_text(args, path, sizeof(path));
	get_text(args, params, sizeof(params));
	flags = get_u32(args);
	if (!reader_done(args))
		return AGENT_MALFORMED;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failure(out, AGENT_CANNOT, "cannot open %s: %s", path, strerror(errno));
	span->begin = now_ns();
	code = syscall(SYS_finit_module, fd, params, (int)flags) ? errno : 0;
	span->end = now_ns();
	close(fd);
	return code;
}

/* text name, u32 flags */
int op_rmmod(struct reader *args, struct buffer *out, struct span *span)
{
	char name[256];
	uint32_t flags;
	int code;

	(void)out;
	get_text(args, name, sizeof(name));
	flags = get_u32(args);
	if (!reader_done(args))
		return AGENT_MALFORMED;
	span->begin = now_ns();
	code = syscall(SYS_delete_module, name, flags) ? errno : 0;
	span->end = now_ns();
	return code;
}

/* One descriptor for the agent's life: going on from where the last reading ended spares reading it all again. */
static int log_fd = -1;
static uint64_t log_next;

void log_close(void)
{
	if (log_fd >= 0)
		close(log_fd);
	log_fd = -1;
}

/*
 * u64 first wanted sequence number → u8 more, u64 next sequence number, u32 count, raw records.
 * With a first number beyond the end no record is given, but `next` is.
 */
int op_log(struct reader *args, struct buffer *out, struct span *span)
{
	char record[16384];
	uint64_t from = get_u64(args);
	uint32_t count = 0;
	size_t head = out->size;
	int more = 0, code = 0;

	(void)span;
	if (!reader_done(args))
		return AGENT_MALFORMED;
	if (log_fd < 0) {
		log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (log_fd < 0)
			return errno;
		log_next = 0;
	}
	if (from < log_next) {
		if (lseek(log_fd, 0, SEEK_SET) < 0)
			return errno;
		log_next = 0;
	}
	put_u8(out, 0);
	put_u64(out, 0);
	put_u32(out, 0);
	for (;;) {
		ssize_t n = read(log_fd, record, sizeof(record) - 1);
		char *field;
		uint64_t sequence;

		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue; /* EPIPE: overwritten meanwhile, the numbers show the gap */
		if (n < 0) {
			code = errno == EAGAIN ? 0 : errno;
			break;
		}
		if (n == 0)
			break;
		record[n] = 0;
		/* "priority,sequence,µs,flags;text" */
		field = strchr(record, ',');
		sequence = field ? strtoull(field + 1, NULL, 10) : 0;
		log_next = sequence + 1;
		if (sequence < from)
			continue;
		put_bytes(out, record, (size_t)n);
		count++;
		if (out->size - head > FRAME_LIMIT / 4) {
			more = 1;
			break;
		}
	}
	if (code) {
		buffer_reset(out, head);
		return code;
	}
	if (out->size < head + 13)
		return 0;
	out->data[head] = (unsigned char)more;
	patch_u32(out, head + 1, (uint32_t)log_next);
	patch_u32(out, head + 5, (uint32_t)(log_next >> 32));
	patch_u32(out, head + 9, count);
	return 0;
}

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07)
#endif
#define MOST_ENTROPY 512

/* Credits entropy in full, and has the kernel's generator make use of it at once. 0 or errno. */
static int add_entropy(const unsigned char *entropy, size_t size)
{
	struct {
		struct rand_pool_info info;
		unsigned char bytes[MOST_ENTROPY];
	} pool = { .info = { .entropy_count = (int)size * 8, .buf_size = (int)size } };
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC), code = 0;

	if (fd < 0)
		return errno;
	memcpy(pool.bytes, entropy, size);
	if (ioctl(fd, RNDADDENTROPY, &pool))
		code = errno;
	/* Kernels before 4.17 don't know this one: they use what was added when they reseed next. */
	else if (ioctl(fd, RNDRESEEDCRNG) && errno != ENOTTY && errno != EINVAL)
		code = errno;
	close(fd);
	return code;
}

/*
 * bytes entropy, u64 ns since 1970. For a guest that was restored: without it, its random numbers and its clock are those
 * that every other guest restored from this snapshot has.
 */
int op_renew(struct reader *args, struct buffer *out, struct span *span)
{
	size_t size;
	const unsigned char *entropy = get_bytes(args, &size);
	uint64_t realtime = get_u64(args);
	struct timespec t = { (time_t)(realtime / 1000000000u), (long)(realtime % 1000000000u) };
	int code;

	(void)out;
	if (!reader_done(args) || !size || size > MOST_ENTROPY)
		return AGENT_MALFORMED;
	span->begin = now_ns();
	code = add_entropy(entropy, size);
	if (clock_settime(CLOCK_REALTIME, &t) && !code)
		code = errno;
	span->end = now_ns();
	return code;
}
