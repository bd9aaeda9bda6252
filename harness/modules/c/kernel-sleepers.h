// SPDX-License-Identifier: GPL-2.0-only
/* Kernel threads that stay in a function of the target until they are let go. */
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mutex.h>

struct kernel_sleeper {
	struct list_head list;
	struct sleeper s;
	const char *(*call)(void);
};

static LIST_HEAD(kernel_sleepers);
static DEFINE_MUTEX(kernel_sleepers_lock);

/* Once it has left the function it waits for its end: who stops it needs a thread that is there. */
static int kernel_sleeper(void *data)
{
	struct kernel_sleeper *k = data;

	k->call();
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* Gives its thread id, or a negative errno. */
static int start_kernel_sleeper(const char *(*call)(void), const struct sleeper *like)
{
	struct kernel_sleeper *k = kzalloc(sizeof(*k), GFP_KERNEL);
	struct task_struct *task;

	if (!k)
		return -ENOMEM;
	task = kthread_create(kernel_sleeper, k, "klp-kernel");
	if (IS_ERR(task)) {
		kfree(k);
		return PTR_ERR(task);
	}
	k->call = call;
	k->s = *like;
	k->s.task = task;
	sleeper_begins(&k->s);
	mutex_lock(&kernel_sleepers_lock);
	list_add(&k->list, &kernel_sleepers);
	mutex_unlock(&kernel_sleepers_lock);
	wake_up_process(task);
	return task_pid_nr(task);
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
		kthread_stop(k->s.task);
		sleeper_ends(&k->s);
		list_del(&k->list);
		kfree(k);
	}
	mutex_unlock(&kernel_sleepers_lock);
}
