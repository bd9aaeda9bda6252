// SPDX-License-Identifier: MIT
/*
 * The sampler's process: reads its sources again and again, and records what has changed. It is a process of its own, since
 * the agent carries out one operation at a time, and what is to be seen happens during one.
 */
#include "sample.h"
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum tag { TAG_CHANGE = 0, TAG_SWEEP = 1 };

/* One thread as the last recorded sweep had it. */
struct seen {
	uint32_t pid, tid;
	int error, value;
	uint64_t started;
};

struct sampler {
	struct shared *shared;
	const struct plan *plan;
	uint64_t next, next_sweep;
	struct threads threads;
	struct seen *seen;
	size_t seen_count;
	struct buffer record;
};

static void change_begins(struct shared *s)
{
	__atomic_fetch_add(&s->sequence, 1, __ATOMIC_SEQ_CST);
}

static void change_ends(struct shared *s)
{
	__atomic_fetch_add(&s->sequence, 1, __ATOMIC_SEQ_CST);
}

/* Records what `record` holds, if there is room. */
static int append(struct shared *s, const struct buffer *record)
{
	uint64_t tail = __atomic_load_n(&s->tail, __ATOMIC_ACQUIRE);
	size_t at = s->head % s->room, first = s->room - at;

	if (record->failed || record->size > s->room - (s->head - tail))
		return 0;
	if (first > record->size)
		first = record->size;
	memcpy(ring_of(s) + at, record->data, first);
	memcpy(ring_of(s), record->data + first, record->size - first);
	__atomic_store_n(&s->head, s->head + record->size, __ATOMIC_RELEASE);
	return 1;
}

static void put_span(struct buffer *b, struct span span)
{
	put_u64(b, span.begin);
	put_u64(b, span.end);
}

static void count_reading(struct track *t, struct span reading)
{
	if (t->readings++ && reading.end - t->last.begin > t->gap)
		t->gap = reading.end - t->last.begin;
	t->last = reading;
}

/* What was to be recorded has been, or there was no room for it. */
static void settle(struct track *t, int recorded, int is_new)
{
	if (recorded) {
		t->held = t->last;
		t->lost = 0;
	} else if (is_new) {
		t->lost++;
		t->dropped++;
	}
}

/* Whether a descriptor shows what its path shows, for as long as there is such a file; and an error when there is none. */
static int may_stay_open(int fd)
{
	struct statfs s;

	return !fstatfs(fd, &s) && (s.f_type == SYSFS_MAGIC || s.f_type == PROC_SUPER_MAGIC);
}

/* The content's size, or a negative errno. A file that has gone is opened anew next time. */
static long look(struct source *s, char *content)
{
	int code, stays = s->fd >= 0;
	ssize_t n;

	if (s->gone)
		return -ESRCH;
	if (!stays) {
		s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (s->fd < 0)
			return -errno;
		stays = may_stay_open(s->fd);
	}
	n = pread(s->fd, content, VALUE_ROOM, 0);
	code = errno;
	if (n < 0 || !stays) {
		close(s->fd);
		s->fd = -1;
	}
	s->gone = s->is_thread && n < 0 && code == ESRCH;
	return n < 0 ? -code : n;
}

static void read_source(struct sampler *m, size_t i, uint64_t begin, uint64_t *end)
{
	struct source *s = &m->plan->sources[i];
	struct track *t = &m->shared->tracks[i];
	char content[VALUE_ROOM];
	long n = look(s, content);
	int error = n < 0 ? (int)-n : 0;
	size_t size = n < 0 ? 0 : (size_t)n;
	int is_new = !s->known || error != s->error || size != s->size || memcmp(content, s->content, size);
	struct span reading = { begin, *end = now_ns() };

	if (error == EINTR)
		return; /* told to stop: that's no reading */
	change_begins(m->shared);
	count_reading(t, reading);
	if (is_new || t->lost) {
		buffer_reset(&m->record, 0);
		put_u8(&m->record, TAG_CHANGE);
		put_u32(&m->record, (uint32_t)i);
		put_u32(&m->record, t->lost);
		put_u32(&m->record, (uint32_t)error);
		put_bytes(&m->record, content, size);
		put_u8(&m->record, !!t->held.end);
		if (t->held.end)
			put_span(&m->record, t->held);
		put_span(&m->record, reading);
		settle(t, append(m->shared, &m->record), is_new);
	} else {
		t->held = reading;
	}
	change_ends(m->shared);
	s->known = 1;
	s->error = error;
	s->size = size;
	memcpy(s->content, content, size);
}

/* Reads all sources if it is time to; the time when that is done. */
static uint64_t when_due(void *context, uint64_t now)
{
	struct sampler *m = context;

	if (now < m->next)
		return now;
	/* Who is behind doesn't hurry to catch up: the statistics tell. */
	m->next = m->next + m->plan->every > now ? m->next + m->plan->every : now + 1;
	for (size_t i = 0; i < m->plan->count; i++)
		read_source(m, i, now, &now);
	return now;
}

static void put_seen(struct buffer *b, uint32_t pid, uint32_t tid, int error, int value, struct span span)
{
	put_u32(b, pid);
	put_u32(b, tid);
	put_u32(b, (uint32_t)error);
	put_u32(b, (uint32_t)value);
	put_span(b, span);
}

static int comes_before(const struct seen *s, const struct thread *e)
{
	if (s->pid != e->pid)
		return s->pid < e->pid;
	/* Another thread of the same number: the old one goes first. */
	return s->tid < e->tid || (s->tid == e->tid && s->started != e->started);
}

/* Adds the threads that the last recorded sweep had otherwise; their number, and in `now` this sweep. */
static uint32_t put_differences(struct sampler *m, struct seen *now, struct span sweep)
{
	const struct seen *old = m->seen, *end = m->seen + m->seen_count;
	uint32_t count = 0;

	/* Both lists are in the order of pid and tid. */
	for (size_t i = 0; i <= m->threads.count; i++) {
		const struct thread *e = i < m->threads.count ? &m->threads.list[i] : NULL;

		for (; old < end && (!e || comes_before(old, e)); old++, count++)
			put_seen(&m->record, old->pid, old->tid, ESRCH, 0, sweep);
		if (!e)
			break;
		now[i] = (struct seen){ e->pid, e->tid, e->error, e->error ? 0 : e->value, e->started };
		if (old < end && !memcmp(old, &now[i], sizeof(*old))) {
			old++;
			continue;
		}
		if (old < end && old->pid == e->pid && old->tid == e->tid)
			old++;
		put_seen(&m->record, e->pid, e->tid, now[i].error, now[i].value, e->span);
		count++;
	}
	return count;
}

static void sweep(struct sampler *m)
{
	struct track *t = &m->shared->sweeps;
	struct span span = { now_ns(), 0 };
	int code = threads_list(&m->threads, 0, when_due, m), recorded = 0;
	struct seen *now;
	size_t at;

	if (!code)
		code = threads_read(&m->threads, when_due, m);
	span.end = now_ns();
	now = code ? NULL : malloc((m->threads.count + 1) * sizeof(*now));
	change_begins(m->shared);
	count_reading(t, span);
	if (now) {
		buffer_reset(&m->record, 0);
		put_u8(&m->record, TAG_SWEEP);
		put_u32(&m->record, t->lost);
		put_span(&m->record, span);
		put_u32(&m->record, (uint32_t)m->threads.count);
		at = m->record.size;
		put_u32(&m->record, 0);
		patch_u32(&m->record, at, put_differences(m, now, span));
		recorded = append(m->shared, &m->record);
	}
	settle(t, recorded, 1);
	change_ends(m->shared);
	if (recorded) {
		free(m->seen);
		m->seen = now;
		m->seen_count = m->threads.count;
	} else {
		free(now);
	}
}

static void wake(int number)
{
	(void)number;
}

static void sleep_until(uint64_t when)
{
	struct timespec t = { (time_t)(when / 1000000000u), (long)(when % 1000000000u) };

	/* A sleep of no time takes a tick where timers are coarse. */
	if (when > now_ns())
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

void run_sampler(struct shared *shared, const struct plan *plan, int ready)
{
	/* No SA_RESTART, and a sleep is never taken up again: told to stop, it stops. */
	struct sigaction action = { .sa_handler = wake };
	struct sampler m = { .shared = shared, .plan = plan };

	sigaction(SIGTERM, &action, NULL);
	prctl(PR_SET_TIMERSLACK, 1);
	m.next = m.next_sweep = now_ns();
	if (!plan->count)
		m.next = UINT64_MAX;
	if (!plan->sweep_every)
		m.next_sweep = UINT64_MAX;
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		uint64_t now = when_due(&m, now_ns());

		if (now >= m.next_sweep) {
			m.next_sweep = m.next_sweep + plan->sweep_every > now ? m.next_sweep + plan->sweep_every : now + 1;
			sweep(&m);
		}
		if (ready >= 0) {
			if (write(ready, "", 1) != 1)
				return;
			close(ready);
			ready = -1;
		}
		sleep_until(m.next < m.next_sweep ? m.next : m.next_sweep);
	}
}
