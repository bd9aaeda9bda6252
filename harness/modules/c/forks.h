// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task that stays in a function of the target is made to fork from where it is, so that its child is born in the
 * middle of its system call, or of its thread. What parent and child have then is read by a probe in wake_up_new_task():
 * the child has its state, and has not run yet. The child is gone soon: one in user space by SIGKILL, before its first
 * instruction; a kernel thread by itself.
 */
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/sched/task.h>

static int patch_state_of(struct task_struct *task)
{
#ifdef CONFIG_LIVEPATCH
	return READ_ONCE(task->patch_state);
#else
	return -1;
#endif
}

#if defined(CONFIG_KPROBES) && (defined(CONFIG_X86_64) || defined(CONFIG_ARM64))
static bool is_pending(struct task_struct *task)
{
#ifdef TIF_PATCH_PENDING
	return test_tsk_thread_flag(task, TIF_PATCH_PENDING);
#else
	return false;
#endif
}

static DEFINE_MUTEX(fork_lock);
/* Who is forking, and what its child was born with; of the holder of fork_lock. */
static struct task_struct *forking;
static char birth[80];

static int before_waking(struct kprobe *p, struct pt_regs *regs)
{
#ifdef CONFIG_X86_64
	struct task_struct *child = (struct task_struct *)regs->di;
#else
	struct task_struct *child = (struct task_struct *)regs->regs[0];
#endif

	if (current != READ_ONCE(forking))
		return 0;
	snprintf(birth, sizeof(birth), "%d %d %d %d %d", task_pid_nr(child), patch_state_of(current), is_pending(current),
		 patch_state_of(child), is_pending(child));
	if (!(child->flags & PF_KTHREAD))
		send_sig(SIGKILL, child, 1);
	return 0;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 10, 0)
#define CLONE_NAME "kernel_clone"
typedef pid_t (*clone_fn)(struct kernel_clone_args *args);
#else
#define CLONE_NAME "_do_fork"
typedef long (*clone_fn)(unsigned long, unsigned long, unsigned long, int __user *, int __user *, unsigned long);
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
typedef pid_t (*thread_fn)(int (*)(void *), void *, const char *, unsigned long);
#define THREAD_NAME "klp-child",
#else
typedef pid_t (*thread_fn)(int (*)(void *), void *, unsigned long);
#define THREAD_NAME
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 17, 0)
#define kthread_complete_and_exit complete_and_exit
#endif

static clone_fn clone_user;
static thread_fn clone_kernel;

/* Nothing of this module is on its way once its parent has heard of its end. */
static int newborn(void *done)
{
	kthread_complete_and_exit(done, 0);
	return 0;
}

static long fork_user(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 10, 0)
	struct kernel_clone_args args = { .exit_signal = SIGCHLD };

	return clone_user(&args);
#else
	return clone_user(SIGCHLD, 0, 0, NULL, NULL, 0);
#endif
}

static long fork_kernel(void)
{
	DECLARE_COMPLETION_ONSTACK(done);
	long ret = clone_kernel(newborn, &done, THREAD_NAME CLONE_FS | CLONE_FILES | SIGCHLD);

	if (ret > 0)
		wait_for_completion(&done);
	return ret;
}

/* What a task in the target is asked to do; it answers with what its child was born with, or with an errno. */
static const char *fork_here(void)
{
	long ret;

	WRITE_ONCE(forking, current);
	ret = current->flags & PF_KTHREAD ? fork_kernel() : fork_user();
	WRITE_ONCE(forking, NULL);
	if (ret < 0)
		snprintf(birth, sizeof(birth), "%ld", ret);
	return birth;
}

/* The address of a function that is not exported. */
static void *address_of(const char *name)
{
	struct kprobe finder = { .symbol_name = name };
	void *address;

	if (register_kprobe(&finder))
		return NULL;
	address = finder.addr;
	unregister_kprobe(&finder);
	return address;
}

/* Makes a task fork; *said is to be freed. */
static int fork_from(pid_t tid, char **said)
{
	struct kprobe waking = { .symbol_name = "wake_up_new_task", .pre_handler = before_waking };
	int ret;

	mutex_lock(&fork_lock);
	if (!clone_user)
		clone_user = address_of(CLONE_NAME);
	if (!clone_kernel)
		clone_kernel = address_of("kernel_thread");
	ret = clone_user && clone_kernel ? register_kprobe(&waking) : -ENOENT;
	if (!ret) {
		birth[0] = '\0';
		ret = ask_sleeper(tid, fork_here, said);
		unregister_kprobe(&waking);
	}
	mutex_unlock(&fork_lock);
	return ret;
}
#else
static int fork_from(pid_t tid, char **said)
{
	return -EOPNOTSUPP;
}
#endif
