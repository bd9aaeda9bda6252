// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks that stay in a function of the target until they are let go: they sleep
 * there, or run. Meanwhile one can be asked to call another function: so it is
 * seen which body a task reaches that is held in its old state.
 */
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

/* A call that a sleeper is to make; it lies on the stack of the task that waits for it. */
struct question {
	const char *(*call)(void);
	char *said;
	bool left;
	struct completion done;
};

struct sleeper {
	struct list_head list;
	struct task_struct *task;
	enum { UNINTERRUPTIBLE, INTERRUPTIBLE, RUNNING, PREEMPTED, FAULTING } activity;
	/* That a faulting one maps. */
	struct file *file;
	bool released;
	/* By a signal; a kernel thread by a wake-up that is nobody's here. */
	bool interrupted;
	bool answering;
	struct question *question;
	unsigned int depth;
	/* Of sleep_below() that it has on its stack now. */
	unsigned int frames;
	/* How many had come when it did. */
	unsigned int number;
	/* Of its loop, if it runs. */
	unsigned long turns;
};

static unsigned int sleepers_number;

static LIST_HEAD(sleepers);
static DEFINE_SPINLOCK(sleepers_lock);
static DECLARE_WAIT_QUEUE_HEAD(sleepers_wait);

/* To be called with sleepers_lock: without, only the task itself keeps its entry from going away. */
static struct sleeper *sleeper_of(pid_t tid)
{
	struct sleeper *s;

	list_for_each_entry(s, &sleepers, list)
		if (task_pid_nr(s->task) == tid)
			return s;
	return NULL;
}

static struct sleeper *this_sleeper(void)
{
	struct sleeper *s;

	spin_lock(&sleepers_lock);
	s = sleeper_of(task_pid_nr(current));
	spin_unlock(&sleepers_lock);
	return s;
}

static void answer(struct sleeper *s, struct question *q)
{
	__set_current_state(TASK_RUNNING);
	s->answering = true;
	/* A copy: what is said may lie in a patch module that goes away. */
	q->said = kstrdup(q->call(), GFP_KERNEL);
	s->answering = false;
}

/*
 * On its CPU, which it gives up to any other task that wants it; or which such a
 * task has to take from it, and nearly always has: no kernel but one that
 * preempts survives that.
 */
static void run_here(struct sleeper *s)
{
	struct question *q;

	if (s->activity == PREEMPTED)
		set_user_nice(current, MAX_NICE);
	while (!READ_ONCE(s->released)) {
		q = xchg(&s->question, NULL);
		if (q) {
			answer(s, q);
			complete(&q->done);
		}
		WRITE_ONCE(s->turns, s->turns + 1);
		cpu_relax();
		/* Not cond_resched(): 6.12 would look at the task there. */
		if (s->activity == RUNNING)
			schedule();
	}
}

static void sleep_here(struct sleeper *s)
{
	struct question *answered = NULL;
	bool woken = false;
	DEFINE_WAIT(wait);

	for (;;) {
		prepare_to_wait(&sleepers_wait, &wait,
				s->activity == INTERRUPTIBLE ? TASK_INTERRUPTIBLE : TASK_UNINTERRUPTIBLE);
		/* Who asked goes on only now, when this task is asleep again. */
		if (answered)
			complete(&answered->done);
		answered = NULL;
		s->interrupted = s->activity == INTERRUPTIBLE && (woken || signal_pending(current));
		if (READ_ONCE(s->released) || s->interrupted)
			break;
		answered = xchg(&s->question, NULL);
		if (answered) {
			answer(s, answered);
			continue;
		}
		schedule();
		/* Who wakes the queue takes the entry out of it. */
		woken = (current->flags & PF_KTHREAD) && !list_empty_careful(&wait.entry);
	}
	finish_wait(&sleepers_wait, &wait);
}

#include "faults.h"

/* Every frame does something after its call, so that none is a tail call: it is counted as long as it is there. */
static WHOLE unsigned int sleep_below(struct sleeper *s, unsigned int depth)
{
	unsigned int frames = 0;

	WRITE_ONCE(s->frames, s->frames + 1);
	if (depth)
		frames = sleep_below(s, depth - 1);
	else if (s->activity == RUNNING || s->activity == PREEMPTED)
		run_here(s);
	else if (s->activity == FAULTING)
		fault_here(s);
	else
		sleep_here(s);
	WRITE_ONCE(s->frames, s->frames - 1);
	return frames + 1;
}

static void sleeper_begins(struct sleeper *s)
{
	spin_lock(&sleepers_lock);
	s->number = ++sleepers_number;
	list_add(&s->list, &sleepers);
	spin_unlock(&sleepers_lock);
}

static void sleeper_ends(struct sleeper *s)
{
	struct question *q;

	spin_lock(&sleepers_lock);
	list_del(&s->list);
	q = xchg(&s->question, NULL);
	spin_unlock(&sleepers_lock);
	if (!q)
		return;
	q->left = true;
	complete(&q->done);
}

static int release_sleeper(pid_t tid)
{
	struct sleeper *s;

	spin_lock(&sleepers_lock);
	s = sleeper_of(tid);
	if (s)
		WRITE_ONCE(s->released, true);
	spin_unlock(&sleepers_lock);
	wake_up_all(&sleepers_wait);
	return s ? 0 : -ESRCH;
}

/* Lets a sleeper call a function and waits until it sleeps again; *said is to be freed. */
static int ask_sleeper(pid_t tid, const char *(*call)(void), char **said)
{
	struct question q = { .call = call };
	struct sleeper *s;
	int ret = 0;

	init_completion(&q.done);
	spin_lock(&sleepers_lock);
	s = sleeper_of(tid);
	if (!s)
		ret = -ESRCH;
	else if (cmpxchg(&s->question, NULL, &q))
		ret = -EBUSY;
	spin_unlock(&sleepers_lock);
	if (ret)
		return ret;
	wake_up_all(&sleepers_wait);
	wait_for_completion(&q.done);
	*said = q.said;
	if (q.left)
		return -ESRCH;
	return q.said ? 0 : -ENOMEM;
}

/* One line each: thread id, number, turns, frames. */
static size_t list_sleepers(char *text, size_t room)
{
	struct sleeper *s;
	size_t n = 0;

	spin_lock(&sleepers_lock);
	list_for_each_entry(s, &sleepers, list)
		n += scnprintf(text + n, room - n, "%d %u %lu %u\n", task_pid_nr(s->task), s->number, READ_ONCE(s->turns),
			       READ_ONCE(s->frames));
	spin_unlock(&sleepers_lock);
	return n;
}
