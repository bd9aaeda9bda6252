// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts over a certain task: another CPU interrupts the one on which it runs. The handler calls a function, and
 * notes what the task that it interrupts has for a state. Thread id 0 is the idle task of a CPU: nothing else shows its
 * state.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/pid.h>
#include <linux/preempt.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

struct interruption {
	pid_t tid;
	int cpu;
	const char *(*call)(void);
	bool met;
	int patch_state;
	char said[60];
};

static void interrupted(void *data)
{
	struct interruption *i = data;

	if (task_pid_nr(current) != i->tid)
		return;
	/* An idle CPU may answer without an interrupt, from its loop. */
	if (i->tid && !in_interrupt())
		return;
	i->patch_state = patch_state_of(current);
	snprintf(i->said, sizeof(i->said), "%s", i->call ? i->call() : "");
	i->met = true;
}

static long interrupt_from_here(void *data)
{
	struct interruption *i = data;

	return smp_call_function_single(i->cpu, interrupted, i, 1);
}

/* Where a task runs, or did last; an errno when there is none. */
static int cpu_of(pid_t tid)
{
	struct pid *pid = find_get_pid(tid);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_PID);
	int cpu = -ESRCH;

	put_pid(pid);
	if (task) {
		cpu = task_cpu(task);
		put_task_struct(task);
	}
	return cpu;
}

/* Tries until the CPU is interrupted while the task runs. ETIME: it never did. */
static int interrupt_over(struct interruption *i)
{
	unsigned long deadline = jiffies + 10 * HZ;
	unsigned int other;
	int ret;

	for (;;) {
		if (i->tid)
			i->cpu = cpu_of(i->tid);
		if (i->cpu < 0)
			return i->cpu;
		other = cpumask_any_but(cpu_online_mask, i->cpu);
		if (other >= nr_cpu_ids)
			return -ENXIO;
		ret = work_on_cpu(other, interrupt_from_here, i);
		if (ret || i->met)
			return ret;
		if (time_after(jiffies, deadline))
			return -ETIME;
		msleep(1);
	}
}
