// SPDX-License-Identifier: MIT
/* Requests in, operations, replies out. */
#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int failure(struct buffer *out, int code, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	put_raw(out, message, strlen(message));
	return code;
}

static int op_ping(struct reader *args, struct buffer *out, struct span *span)
{
	(void)span;
	put_raw(out, args->at, (size_t)(args->end - args->at));
	args->at = args->end;
	return 0;
}

/* Whether a batch is well formed, known before any of it is executed. */
static int is_batch(struct reader args)
{
	size_t size;

	for (uint32_t left = get_u32(&args); left && !args.bad; left--)
		get_bytes(&args, &size);
	return reader_done(&args);
}

/* u32 count, bytes of opcode and arguments → u32 count, bytes of errno, span and body */
static int op_batch(struct reader *args, struct buffer *out, int depth)
{
	uint32_t count;

	if (depth > 0)
		return failure(out, AGENT_MALFORMED, "a batch inside a batch");
	if (!is_batch(*args))
		return AGENT_MALFORMED;
	count = get_u32(args);
	put_u32(out, count);
	for (uint32_t i = 0; i < count && !out->failed; i++) {
		struct reader request = { 0 };
		size_t size, at = out->size;

		request.at = get_bytes(args, &size);
		request.end = request.at + size;
		put_u32(out, 0);
		execute(&request, out, depth + 1);
		patch_u32(out, at, (uint32_t)(out->size - at - 4));
	}
	return 0;
}

static int dispatch(uint8_t opcode, struct reader *args, struct buffer *out, struct span *span, int depth)
{
	switch (opcode) {
	case OP_PING: return op_ping(args, out, span);
	case OP_INSMOD: return op_insmod(args, out, span);
	case OP_RMMOD: return op_rmmod(args, out, span);
	case OP_READ: return op_read(args, out, span);
	case OP_WRITE: return op_write(args, out, span);
	case OP_IO: return op_io(args, out, span);
	case OP_TREE: return op_tree(args, out, span);
	case OP_SWEEP: return op_sweep(args, out, span);
	case OP_LOG: return op_log(args, out, span);
	case OP_SPAWN: return op_spawn(args, out, span);
	case OP_WAIT: return op_wait(args, out, span);
	case OP_KILL: return op_kill(args, out, span);
	case OP_AWAIT: return op_await(args, out, span);
	case OP_BATCH: return op_batch(args, out, depth);
	case OP_SAMPLE: return op_sample(args, out, span);
	case OP_SAMPLES: return op_samples(args, out, span);
	case OP_RENEW: return op_renew(args, out, span);
	default: return failure(out, AGENT_UNKNOWN, "unknown opcode %u", opcode);
	}
}

static void patch_u64(struct buffer *b, size_t at, uint64_t value)
{
	patch_u32(b, at, (uint32_t)value);
	patch_u32(b, at + 4, (uint32_t)(value >> 32));
}

void execute(struct reader *request, struct buffer *out, int depth)
{
	struct span span;
	size_t head = out->size, body;
	uint8_t opcode = get_u8(request);
	int code;

	put_u32(out, 0);
	put_u64(out, 0);
	put_u64(out, 0);
	body = out->size;
	span.begin = now_ns();
	span.end = 0;
	code = request->bad ? failure(out, AGENT_MALFORMED, "no opcode") :
			      dispatch(opcode, request, out, &span, depth);
	if (!span.end)
		span.end = now_ns();
	/* Every operation looks at its arguments before it acts; a refusal may come without a message. */
	if (code == AGENT_MALFORMED && out->size == body)
		failure(out, code, "malformed arguments of opcode %u", opcode);
	if (out->failed) {
		if (body < head + 20)
			return; /* not even room for the head: the batch around it is too large */
		buffer_reset(out, body);
		code = failure(out, AGENT_TOO_LARGE, "the answer of opcode %u is too large", opcode);
	}
	patch_u32(out, head, (uint32_t)code);
	patch_u64(out, head + 4, span.begin);
	patch_u64(out, head + 12, span.end);
}

/* Who we are: the answer to whoever opens a session; in session 0, to say that we have just started. */
static int say_hello(struct buffer *out, uint32_t session)
{
	buffer_reset(out, 0);
	put_u32(out, 0);
	put_u32(out, AGENT_MAGIC);
	put_u32(out, AGENT_VERSION);
	put_u32(out, FRAME_LIMIT);
	put_u32(out, (uint32_t)sysconf(_SC_PAGESIZE));
	put_u32(out, (uint32_t)getpid());
	put_u64(out, now_ns());
	return link_send(session, out);
}

/* A reply to a frame that holds no request. */
static int refuse(struct buffer *out, uint32_t session, const char *message)
{
	uint64_t now = now_ns();

	buffer_reset(out, 0);
	put_u32(out, 0);
	put_u32(out, 0);
	put_u32(out, (uint32_t)AGENT_MALFORMED);
	put_u64(out, now);
	put_u64(out, now);
	put_raw(out, message, strlen(message));
	return link_send(session, out);
}

static int serve(void)
{
	struct buffer out = { 0 };
	uint32_t session = 0;
	struct frame frame;
	int got;

	if (say_hello(&out, 0))
		return 1;
	while ((got = link_receive(&frame)) > 0) {
		uint32_t id;

		if (frame.session != session) {
			/* What is left of a session that was never ended, a restored guest's, has no meaning in this one. */
			if (!frame.session || !reader_done(&frame.message))
				continue;
			session = frame.session;
			forget_children();
			log_close();
			if (say_hello(&out, session))
				return 1;
			continue;
		}
		if (!session)
			continue;
		id = get_u32(&frame.message);
		if (frame.message.bad) {
			if (refuse(&out, session, "a frame without a request id"))
				return 1;
			continue;
		}
		buffer_reset(&out, 0);
		put_u32(&out, 0);
		put_u32(&out, id);
		execute(&frame.message, &out, 0);
		if (link_send(session, &out))
			return 1;
	}
	return got == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	int status;

	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && link_open(argv[1])) {
		fprintf(stderr, "klp-agent: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	status = serve();
	end_children();
	return status;
}
