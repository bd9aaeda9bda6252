// SPDX-License-Identifier: GPL-2.0-only
/* Kernel threads, and work items, that stay in a function of the target until they are let go. */
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

struct kernel_sleeper {
	struct list_head list;
	struct sleeper s;
	const char *(*call)(void);
	/* Of a work item only, which is done by a thread of the workqueue's. */
	struct workqueue_struct *queue;
	struct work_struct work;
	struct completion begun;
};

static LIST_HEAD(kernel_sleepers);
static DEFINE_MUTEX(kernel_sleepers_lock);

/*
 * The loop of a kernel thread whose sleep the kernel interrupted: it is outside for as long as some tries of a
 * transition, which are a second apart, and then enters the function again.
 */
static bool comes_back(struct sleeper *s)
{
	if (!s->interrupted || READ_ONCE(s->released))
		return false;
	schedule_timeout_uninterruptible(3 * HZ);
	spin_lock(&sleepers_lock);
	s->number = ++sleepers_number;
	spin_unlock(&sleepers_lock);
	return true;
}

/* Once it has left the function it waits for its end: who stops it needs a thread that is there. */
static int kernel_sleeper(void *data)
{
	struct kernel_sleeper *k = data;

	do
		k->call();
	while (comes_back(&k->s));
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static void work_sleeper(struct work_struct *work)
{
	struct kernel_sleeper *k = container_of(work, struct kernel_sleeper, work);

	k->s.task = current;
	sleeper_begins(&k->s);
	complete(&k->begun);
	do
		k->call();
	while (comes_back(&k->s));
}

/* Not bound to a CPU: a transition waits for the work of each. */
static int begin_work(struct kernel_sleeper *k)
{
	k->queue = alloc_workqueue("klp-work", WQ_UNBOUND, 1);
	if (!k->queue)
		return -ENOMEM;
	init_completion(&k->begun);
	INIT_WORK(&k->work, work_sleeper);
	queue_work(k->queue, &k->work);
	wait_for_completion(&k->begun);
	return 0;
}

static int begin_thread(struct kernel_sleeper *k)
{
	struct task_struct *task = kthread_create(kernel_sleeper, k, "klp-kernel");

	if (IS_ERR(task))
		return PTR_ERR(task);
	k->s.task = task;
	sleeper_begins(&k->s);
	wake_up_process(task);
	return 0;
}

/* Gives its thread id, or a negative errno. */
static int start_kernel_sleeper(const char *(*call)(void), const struct sleeper *like, bool work)
{
	struct kernel_sleeper *k = kzalloc(sizeof(*k), GFP_KERNEL);
	int ret;

	if (!k)
		return -ENOMEM;
	k->call = call;
	k->s = *like;
	ret = work ? begin_work(k) : begin_thread(k);
	if (ret) {
		kfree(k);
		return ret;
	}
	mutex_lock(&kernel_sleepers_lock);
	list_add(&k->list, &kernel_sleepers);
	mutex_unlock(&kernel_sleepers_lock);
	return task_pid_nr(k->s.task);
}

/* Ends the one of this thread id, or all; it has to have been released. */
static void end_kernel_sleepers(pid_t tid)
{
	struct kernel_sleeper *k, *next;

	mutex_lock(&kernel_sleepers_lock);
	list_for_each_entry_safe(k, next, &kernel_sleepers, list) {
		if (tid && task_pid_nr(k->s.task) != tid)
			continue;
		release_sleeper(task_pid_nr(k->s.task));
		if (k->queue)
			destroy_workqueue(k->queue);
		else
			kthread_stop(k->s.task);
		sleeper_ends(&k->s);
		list_del(&k->list);
		kfree(k);
	}
	mutex_unlock(&kernel_sleepers_lock);
}
