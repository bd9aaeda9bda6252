// SPDX-License-Identifier: MIT
/* A sampler and the agent share one mapping: statistics, and a ring of records that the agent fetches. */
#ifndef KLP_SAMPLE_H
#define KLP_SAMPLE_H

#include "agent.h"

/* As much of a file's content is compared and recorded. */
#define VALUE_ROOM 32

/* Of one source, or of the sweeps. */
struct track {
	uint64_t readings;
	uint64_t gap; /* longest time from the begin of a reading to the end of the next one */
	struct span last; /* the last reading */
	struct span held; /* the last one that gave what was recorded last */
	uint32_t lost;	  /* changes that were not recorded since */
	uint32_t dropped; /* and since the start */
};

struct shared {
	uint32_t sequence; /* odd while `head` and the tracks change, so that both are read as of one moment */
	uint32_t stop;
	uint64_t head, tail; /* bytes ever recorded, and ever let go of */
	uint32_t room, count;
	struct track sweeps;
	struct track tracks[]; /* `count`; behind them `room` bytes of ring */
};

struct source {
	char *path;
	int is_thread; /* never found again under its number */
	int fd, gone;
	/* The last reading. */
	int known, error;
	size_t size;
	char content[VALUE_ROOM];
};

/* What to sample. */
struct plan {
	struct source *sources;
	size_t count;
	uint64_t every, sweep_every; /* ns; `sweep_every` 0: no sweeps */
};

static inline unsigned char *ring_of(struct shared *s)
{
	return (unsigned char *)&s->tracks[s->count];
}

/* The sampler's life, in its own process. Closes `ready` once everything has been read once. */
void run_sampler(struct shared *shared, const struct plan *plan, int ready);

#endif
