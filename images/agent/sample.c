// SPDX-License-Identifier: MIT
/* The agent's side of samplers: starting one, fetching what it has, ending it. */
#define _GNU_SOURCE
#include "sample.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_SAMPLERS 8
#define MOST_SOURCES 256
#define LEAST_ROOM 4096u
/* What it holds must fit one frame. */
#define MOST_ROOM (FRAME_LIMIT / 2)
#define MOST_INTERVAL 10000000u /* µs */
#define PATIENCE_MS 5000

static struct sampling {
	pid_t pid;
	int ended; /* and waited for */
	struct shared *shared; /* NULL: nothing is wanted of it but its end */
	size_t size;
} samplings[MOST_SAMPLERS];
static size_t samplings_count;

void end_samplers(void)
{
	for (size_t i = 0; i < samplings_count; i++)
		if (!samplings[i].ended)
			kill(samplings[i].pid, SIGKILL);
}

static int has_ended(struct sampling *s)
{
	if (!s->ended)
		s->ended = waitpid(s->pid, NULL, WNOHANG) != 0;
	return s->ended;
}

/* Waits for those that could not die when they were to. */
static void reap(void)
{
	for (size_t i = 0; i < samplings_count;)
		if (!samplings[i].shared && has_ended(&samplings[i]))
			samplings[i] = samplings[--samplings_count];
		else
			i++;
}

/* Asks it to end after what it is doing, again and again since it may be just about to sleep; then makes it. */
static void end(struct sampling *s)
{
	__atomic_store_n(&s->shared->stop, 1, __ATOMIC_RELAXED);
	for (int ms = 0; ms < PATIENCE_MS && !has_ended(s); ms++) {
		kill(s->pid, ms < PATIENCE_MS / 2 ? SIGTERM : SIGKILL);
		poll(NULL, 0, 1);
	}
}

static void release(struct sampling *s)
{
	munmap(s->shared, s->size);
	s->shared = NULL;
	reap();
}

void forget_samplers(void)
{
	end_samplers();
	for (size_t i = 0; i < samplings_count; i++) {
		if (samplings[i].shared)
			munmap(samplings[i].shared, samplings[i].size);
		samplings[i].shared = NULL;
	}
	reap();
}

static void free_plan(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free(plan->sources[i].path);
	free(plan->sources);
}

/* Adds one source; nonzero when there are too many. */
static int add_source(struct plan *plan, const char *path, int is_thread)
{
	struct source *s = &plan->sources[plan->count];

	if (plan->count == MOST_SOURCES)
		return -1;
	*s = (struct source){ .path = strdup(path), .is_thread = is_thread, .fd = -1 };
	if (!s->path)
		return -1;
	plan->count++;
	return 0;
}

/* Reads the lists of paths and threads; 0 when they are well formed. */
static int get_sources(struct reader *args, struct plan *plan)
{
	char path[PATH_MAX];
	uint32_t left;

	for (left = get_u32(args); left && !args->bad; left--) {
		get_text(args, path, sizeof(path));
		if (args->bad || add_source(plan, path, 0))
			return -1;
	}
	for (left = get_u32(args); left && !args->bad; left--) {
		snprintf(path, sizeof(path), "/proc/%u/patch_state", get_u32(args));
		if (args->bad || add_source(plan, path, 1))
			return -1;
	}
	return reader_done(args) ? 0 : -1;
}

/* Whether the first byte comes in time. */
static int is_ready(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char byte;
	int n;

	while ((n = poll(&in, 1, PATIENCE_MS)) < 0 && errno == EINTR)
		;
	return n > 0 && read(fd, &byte, 1) == 1;
}

static int start(const struct plan *plan, uint32_t room, struct buffer *out)
{
	size_t size = sizeof(struct shared) + plan->count * sizeof(struct track) + room;
	struct sampling *s = &samplings[samplings_count];
	pid_t agent = getpid();
	int ends[2], code;

	s->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->shared == MAP_FAILED)
		return failure(out, AGENT_CANNOT, "no memory for samples: %s", strerror(errno));
	s->size = size;
	s->ended = 0;
	s->shared->room = room;
	s->shared->count = (uint32_t)plan->count;
	if (pipe2(ends, O_CLOEXEC)) {
		code = failure(out, AGENT_CANNOT, "no pipe: %s", strerror(errno));
		munmap(s->shared, size);
		return code;
	}
	s->pid = fork();
	code = errno;
	if (s->pid == 0) {
		close(ends[0]);
		become_child("klp-sampler", agent);
		run_sampler(s->shared, plan, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (s->pid < 0) {
		close(ends[0]);
		munmap(s->shared, size);
		return code;
	}
	samplings_count++;
	/* Tasks that are started later have no part in it. */
	madvise(s->shared, size, MADV_DONTFORK);
	code = is_ready(ends[0]) ? 0 : failure(out, AGENT_CANNOT, "the sampler does not come to its first reading");
	close(ends[0]);
	if (code) {
		end(s);
		release(s);
	} else {
		put_u32(out, (uint32_t)s->pid);
	}
	return code;
}

/*
 * u32 µs between two readings of the sources (0: without a pause), u32 ms between two sweeps (0: no sweeps), u32 bytes for records,
 * list of text paths, list of u32 threads whose patch_state is read → u32 pid of the sampler.
 * Everything has been read once when the reply comes.
 */
int op_sample(struct reader *args, struct buffer *out, struct span *span)
{
	struct plan plan = { 0 };
	uint32_t every = get_u32(args), sweep_every = get_u32(args), room = get_u32(args);
	int code;

	(void)span;
	reap();
	plan.every = (uint64_t)every * 1000u;
	plan.sweep_every = (uint64_t)sweep_every * 1000000u;
	plan.sources = calloc(MOST_SOURCES, sizeof(*plan.sources));
	if (!plan.sources)
		code = failure(out, AGENT_CANNOT, "out of memory");
	else if (get_sources(args, &plan) || every > MOST_INTERVAL || room < LEAST_ROOM || room > MOST_ROOM)
		code = AGENT_MALFORMED;
	else if (!plan.count && !plan.sweep_every)
		code = failure(out, AGENT_MALFORMED, "nothing to sample");
	else if (in_child())
		code = failure(out, AGENT_MALFORMED, "a task can't start samplers");
	else if (samplings_count == MOST_SAMPLERS)
		code = failure(out, AGENT_CANNOT, "%d samplers were started and not ended", MOST_SAMPLERS);
	else
		code = start(&plan, room, out);
	free_plan(&plan);
	return code;
}

/* Statistics and the end of the records, as of one moment; from a dead sampler as it left them. */
static uint64_t snapshot(struct sampling *s, struct shared *copy, size_t size)
{
	for (int tries = 0;; tries++) {
		uint32_t sequence = __atomic_load_n(&s->shared->sequence, __ATOMIC_SEQ_CST);
		uint64_t head = __atomic_load_n(&s->shared->head, __ATOMIC_SEQ_CST);
		int is_over = s->ended || tries == PATIENCE_MS;

		memcpy(copy, s->shared, size);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (is_over || (!(sequence & 1) && sequence == __atomic_load_n(&s->shared->sequence, __ATOMIC_SEQ_CST)))
			return head;
		poll(NULL, 0, tries > 10);
	}
}

static void put_track(struct buffer *out, const struct track *t)
{
	put_u64(out, t->readings);
	put_u64(out, t->gap);
	put_u64(out, t->last.begin);
	put_u64(out, t->last.end);
	put_u64(out, t->held.begin);
	put_u64(out, t->held.end);
	put_u32(out, t->lost);
	put_u32(out, t->dropped);
}

/*
 * u32 pid, u64 first byte wanted, u8 whether to end it → u8 whether it ran, u64 next byte, the sweeps' track, list of tracks
 * {u64 readings, u64 longest gap, u64 begin and end of the last reading, the same of the last that gave what was recorded last,
 * u32 changes not recorded since, u32 changes not recorded at all}, records to the end.
 * What lies before the first byte wanted is let go of. ECHILD: no such sampler, or it was ended.
 */
int op_samples(struct reader *args, struct buffer *out, struct span *span)
{
	uint32_t pid = get_u32(args);
	uint64_t from = get_u64(args), next;
	uint8_t ends = get_u8(args);
	struct sampling *s = samplings, *behind = samplings + samplings_count;
	struct shared *copy;
	size_t size;

	(void)span;
	if (!reader_done(args) || ends > 1)
		return AGENT_MALFORMED;
	while (s < behind && (!s->shared || s->pid != (pid_t)pid))
		s++;
	if (s == behind || in_child())
		return ECHILD;
	if (from < s->shared->tail || from > __atomic_load_n(&s->shared->head, __ATOMIC_ACQUIRE))
		return failure(out, AGENT_MALFORMED, "records from byte %llu are not there", (unsigned long long)from);
	size = sizeof(*copy) + s->shared->count * sizeof(struct track);
	copy = malloc(size);
	if (!copy)
		return failure(out, AGENT_CANNOT, "out of memory");
	put_u8(out, !has_ended(s));
	if (ends)
		end(s);
	next = snapshot(s, copy, size);
	put_u64(out, next);
	put_track(out, &copy->sweeps);
	put_u32(out, copy->count);
	for (uint32_t i = 0; i < copy->count; i++)
		put_track(out, &copy->tracks[i]);
	for (uint64_t at = from; at < next;) {
		size_t part = copy->room - at % copy->room;

		if (part > next - at)
			part = next - at;
		put_raw(out, ring_of(s->shared) + at % copy->room, part);
		at += part;
	}
	free(copy);
	__atomic_store_n(&s->shared->tail, from, __ATOMIC_RELEASE);
	if (ends && !out->failed)
		release(s);
	return 0;
}
