// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions for livepatches to replace, and a /proc directory that calls them
 * and parks tasks inside them. TARGET, the module's name, is defined by a line
 * that the harness puts in front of this file.
 *
 * /proc/<TARGET>/alpha, beta   read: calls the function, gives what it says
 *                              write "<state> <depth>": the calling task enters
 *                              the function and sleeps there, <depth> frames
 *                              below it, until released; a later read of the
 *                              same open file gives what the function said.
 *                              <state> is uninterruptible or interruptible.
 * /proc/<TARGET>/release       write a thread id: that task is let go
 */
#include <linux/module.h>
#include <linux/list.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/wait.h>

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define FN(name) PASTE(TARGET, name)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#if __has_attribute(__noipa__)
#define WHOLE __attribute__((__noinline__, __noclone__, __noipa__))
#else
#define WHOLE __attribute__((__noinline__))
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 17, 0)
#define pde_data(inode) PDE_DATA(inode)
#endif

struct sleeper {
	struct list_head list;
	struct task_struct *task;
	bool interruptible;
	bool released;
	unsigned int depth;
};

static LIST_HEAD(sleepers);
static DEFINE_SPINLOCK(sleepers_lock);
static DECLARE_WAIT_QUEUE_HEAD(released_wait);

static struct sleeper *sleeper_of(pid_t tid)
{
	struct sleeper *s, *found = NULL;

	spin_lock(&sleepers_lock);
	list_for_each_entry(s, &sleepers, list)
		if (task_pid_nr(s->task) == tid)
			found = s;
	spin_unlock(&sleepers_lock);
	return found;
}

/* Every frame does something after its call, so that none is a tail call. */
static WHOLE unsigned int sleep_below(struct sleeper *s, unsigned int depth)
{
	unsigned int frames = 0;

	if (depth)
		frames = sleep_below(s, depth - 1);
	else if (s->interruptible)
		frames = wait_event_interruptible(released_wait, READ_ONCE(s->released)) ? 1 : 0;
	else
		wait_event(released_wait, READ_ONCE(s->released));
	barrier();
	return frames + 1;
}

/*
 * A task that asked for it sleeps here; every other passes. Replacements reach
 * it through a livepatch relocation: it is not exported.
 */
WHOLE void FN(gate)(void);
WHOLE void FN(gate)(void)
{
	struct sleeper *s = sleeper_of(task_pid_nr(current));

	if (s)
		sleep_below(s, s->depth);
	barrier();
}

WHOLE const char *FN(alpha)(void);
WHOLE const char *FN(beta)(void);

WHOLE const char *FN(alpha)(void)
{
	FN(gate)();
	return "original";
}

WHOLE const char *FN(beta)(void)
{
	FN(gate)();
	return "original";
}

struct function {
	const char *name;
	const char *(*call)(void);
};

static const struct function functions[] = {
	{ "alpha", FN(alpha) },
	{ "beta", FN(beta) },
};

static ssize_t function_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	const struct function *f = pde_data(file_inode(file));
	const char *says = file->private_data;
	char text[80];
	int n;

	if (*pos)
		return 0;
	n = scnprintf(text, sizeof(text), "%s\n", says ? says : f->call());
	return simple_read_from_buffer(buf, len, pos, text, n);
}

static ssize_t function_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	const struct function *f = pde_data(file_inode(file));
	struct sleeper s = { .task = current };
	char words[40] = "", state[20] = "";

	if (file->private_data || len >= sizeof(words))
		return -EINVAL;
	if (copy_from_user(words, buf, len))
		return -EFAULT;
	if (sscanf(words, "%19s %u", state, &s.depth) != 2 || s.depth > 100)
		return -EINVAL;
	s.interruptible = !strcmp(state, "interruptible");
	if (!s.interruptible && strcmp(state, "uninterruptible"))
		return -EINVAL;

	spin_lock(&sleepers_lock);
	list_add(&s.list, &sleepers);
	spin_unlock(&sleepers_lock);
	/* A copy: what it said may lie in a patch module that goes away. */
	file->private_data = kstrdup(f->call(), GFP_KERNEL);
	spin_lock(&sleepers_lock);
	list_del(&s.list);
	spin_unlock(&sleepers_lock);
	return file->private_data ? len : -ENOMEM;
}

static int function_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t release_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct sleeper *s;
	int tid;

	if (kstrtoint_from_user(buf, len, 10, &tid))
		return -EINVAL;
	/* The sleeper lies on the stack of a task that sleeps until this is set. */
	s = sleeper_of(tid);
	if (!s)
		return -ESRCH;
	WRITE_ONCE(s->released, true);
	wake_up_all(&released_wait);
	return len;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
static const struct proc_ops function_ops = {
	.proc_read = function_read,
	.proc_write = function_write,
	.proc_release = function_release,
};
static const struct proc_ops release_ops = { .proc_write = release_write };
#else
static const struct file_operations function_ops = {
	.read = function_read,
	.write = function_write,
	.release = function_release,
};
static const struct file_operations release_ops = { .write = release_write };
#endif

static struct proc_dir_entry *directory;

static int __init target_init(void)
{
	unsigned int i;

	directory = proc_mkdir(TEXT(TARGET), NULL);
	if (!directory)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(functions); i++)
		if (!proc_create_data(functions[i].name, 0600, directory, &function_ops, (void *)&functions[i]))
			goto undo;
	if (!proc_create("release", 0200, directory, &release_ops))
		goto undo;
	return 0;
undo:
	proc_remove(directory);
	return -ENOMEM;
}

static void __exit target_exit(void)
{
	proc_remove(directory);
}

module_init(target_init);
module_exit(target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Functions for the livepatch conformance harness to patch");
