// SPDX-License-Identifier: MIT
/* Every thread of the system, with its files kept open from one sweep to the next. */
#ifndef KLP_THREADS_H
#define KLP_THREADS_H

#include "agent.h"

struct thread {
	uint32_t pid, tid;
	int patch_fd, stat_fd; /* -1: not kept open */
	/* As of the last reading of stat. */
	char comm[64], state;
	uint8_t kernel;
	uint32_t threads; /* of its process */
	uint64_t started; /* in ticks since the boot: two threads that had one number differ in it */
	uint64_t known;	  /* when it was met first */
	int settled;	  /* a kernel thread that will stay one */
	/* As of the last reading of patch_state: errno and, without one, the value. */
	int error, value;
	struct span span;
};

/* A zeroed one knows no thread yet. */
struct threads {
	struct thread *list, *previous; /* by pid, then tid */
	size_t count, previous_count, room, previous_room, cursor;
	int sorted, proc; /* `proc`: descriptor of /proc; 0: none yet */
};

/*
 * Whether a sweep is interrupted: called between two readings with the time, and gives the time when it is done.
 * Something else that must be looked at often goes here.
 */
typedef uint64_t between(void *context, uint64_t now);

/*
 * Who there is: new threads are added, gone ones forgotten. Unless `fresh`, comm and scheduler state of a kernel thread may
 * be those of an earlier sweep. 0 or errno.
 */
int threads_list(struct threads *t, int fresh, between *interrupt, void *context);
/* Reads every patch_state, back to back; threads that have gone since are forgotten. 0 or errno. */
int threads_read(struct threads *t, between *interrupt, void *context);
void threads_close(struct threads *t);

/* One thread's files (thread.c): stat, then patch_state, read. 0 or errno: ESRCH once it is gone. */
int thread_refresh(struct thread *e);
int thread_read(struct thread *e);
/* Whether the thread that was listed still is the one of that number. */
int thread_lives(const struct thread *e);
/* Closes its files. */
void thread_forget(struct thread *e);

#endif
