// SPDX-License-Identifier: MIT
/*
 * The guest agent: one process behind a virtio port (its argument) or an SSH channel (stdin and stdout).
 * The protocol is described, and implemented for the other side, in harness/guest/protocol.ts and operations.ts:
 * change both, and AGENT_VERSION, together.
 */
#ifndef KLP_AGENT_H
#define KLP_AGENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AGENT_MAGIC 0x41504c4bu /* the bytes "KLPA" */
#define AGENT_VERSION 2u
#define FRAME_LIMIT (8u << 20)

enum opcode {
	OP_PING = 1,
	OP_INSMOD = 2,
	OP_RMMOD = 3,
	OP_READ = 4,
	OP_WRITE = 5,
	OP_IO = 6,
	OP_TREE = 7,
	OP_SWEEP = 8,
	OP_LOG = 9,
	OP_SPAWN = 10,
	OP_WAIT = 11,
	OP_KILL = 12,
	OP_AWAIT = 13,
	OP_BATCH = 14,
	OP_SAMPLE = 16,
	OP_SAMPLES = 17,
	OP_RENEW = 18,
};

/*
 * Failures of the agent itself. They are negative, so that they can't be taken for the kernel's answer;
 * the reply's body is a message.
 */
enum agent_failure {
	AGENT_MALFORMED = -1,
	AGENT_UNKNOWN = -2,
	AGENT_TOO_LARGE = -3,
	AGENT_CANNOT = -4,
};

/* Growing output. `failed` once it would pass FRAME_LIMIT or memory is out; later additions are dropped. */
struct buffer {
	unsigned char *data;
	size_t size, room;
	int failed;
};

void buffer_reset(struct buffer *b, size_t size);
void put_raw(struct buffer *b, const void *data, size_t size);
void put_u8(struct buffer *b, uint8_t value);
void put_u32(struct buffer *b, uint32_t value);
void put_u64(struct buffer *b, uint64_t value);
void put_bytes(struct buffer *b, const void *data, size_t size);
void put_text(struct buffer *b, const char *text);
void patch_u32(struct buffer *b, size_t at, uint32_t value);

/* Arguments of a request. `bad` once something was missing. */
struct reader {
	const unsigned char *at, *end;
	int bad;
};

uint8_t get_u8(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);
/* A length-prefixed byte string, in place. */
const unsigned char *get_bytes(struct reader *r, size_t *size);
/* A byte string without NUL that fits `room` with its terminator. */
void get_text(struct reader *r, char *text, size_t room);
/* Whether every argument was there and nothing is left over. */
int reader_done(const struct reader *r);

/*
 * CLOCK_MONOTONIC in nanoseconds around what an operation does in the kernel. The dispatcher sets both ends; an
 * operation with preparations of its own narrows them.
 */
struct span {
	uint64_t begin, end;
};

uint64_t now_ns(void);

/* An operation: 0, a positive errno, or an agent_failure. Its body is added to `out`. */
typedef int operation(struct reader *args, struct buffer *out, struct span *span);

operation op_insmod, op_rmmod, op_log, op_renew;
operation op_read, op_write, op_io, op_await;
operation op_tree, op_sweep;
operation op_spawn, op_wait, op_kill;
operation op_sample, op_samples;

/* Runs opcode and arguments; adds errno, span and body to `out`. */
void execute(struct reader *request, struct buffer *out, int depth);
/* A message as the body of an agent_failure, which it returns. */
int failure(struct buffer *out, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A message, without its session. */
struct frame {
	uint32_t session;
	struct reader message;
};

/* Makes stdin and stdout of a virtio port; -1 with errno. */
int link_open(const char *port);
/* The next frame, valid until the next call: 1, 0 at the end of the stream, -1 when it broke. */
int link_receive(struct frame *frame);
/* Sends what stands behind the four bytes that are kept for the session. */
int link_send(uint32_t session, struct buffer *b);
/* Sleeps one poll interval; nonzero when the other side of stdin has gone. */
int pause_or_hangup(void);
/* The first `room` bytes of a small file; its size, or a negative errno. */
long slurp(const char *path, char *data, size_t room);
/* In a child: everything of the agent's that it must not keep open. */
void log_close(void);
void sweep_close(void);
/* Kills every child, without waiting for those that can't die now. */
void end_children(void);
/* The same, and none is known any more. */
void forget_children(void);
int in_child(void);
/*
 * In a new child: another name, own process group, nothing of the agent's kept open, and an end when the agent ends. Ends it
 * when the agent has gone already.
 */
void become_child(const char *name, pid_t agent);
/* Ends every sampler. */
void end_samplers(void);
/* The same, and none is known any more. */
void forget_samplers(void);

#endif
