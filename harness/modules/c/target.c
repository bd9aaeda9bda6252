// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions for livepatches to replace, and a /proc directory that calls them
 * and parks tasks inside them. The harness puts in front of this file lines
 * that define TARGET, the module's name, and FAILING for a module whose init
 * does all its work and then fails; it puts in the files named by #include "".
 *
 * /proc/<TARGET>/alpha, beta, quiet, twin1, twin2, common
 *                 read: calls the function, gives what it says
 * alpha, beta     write "<activity> <depth> <who>": the calling task (user), or
 *                 a kernel thread (kernel) or a work item (work), enters the function and stays
 *                 there, <depth> frames below it, until released: asleep
 *                 (uninterruptible or interruptible), running, or (a user task
 *                 only) preempted, as long as another one wants its CPU, or
 *                 faulting: uninterruptible in a page fault that it took in the
 *                 kernel. A later read of the same open file gives what the function said, or the
 *                 thread id of the kernel's thread. A signal to an interruptible
 *                 one has the system call restarted; a kernel's thread that is
 *                 woken is outside for some seconds, and enters again.
 * dying           write alpha or beta: the calling task stays until it is killed,
 *                 and then sleeps in that function on its way out, as the file is
 *                 closed, until it is released
 * release         write a thread id: that task is let go, and is gone if it is
 *                 a kernel thread
 * sleepers        read: a line for each of these: thread id, how many had come
 *                 when it did, how many turns of its loop it has done if it
 *                 runs, and how many frames of sleep_below() it has on its
 *                 stack: one more than <depth>
 * ask             write "<tid> <symbol>": that task wakes, calls the function
 *                 of that name and type that some target module exports, and
 *                 sleeps again; then the write returns. A later read of the
 *                 same open file gives what the function said. ESRCH: no such
 *                 sleeper; ENOENT: no such symbol.
 * fork            write a thread id: that task wakes, forks from where it is,
 *                 and sleeps again; then the write returns. A later read of the
 *                 same open file gives the thread id of the child, then state
 *                 and pending flag of the parent, then of the child, as they
 *                 were when the child was about to run for the first time; or
 *                 an errno alone. ESRCH: no such sleeper.
 * interrupt       write "<tid> <symbol>": that task's CPU is interrupted while
 *                 it runs, and the handler calls the function. A later read of
 *                 the same open file gives the state of the task, then what the
 *                 function said. Write "idle <cpu>": the same over the idle task
 *                 of that CPU, without a function. ESRCH: no such task; ETIME:
 *                 it does not run; ENXIO: no such CPU, or no other to interrupt
 *                 it from; ENOENT: no such symbol.
 * probe           write "<place> <function> <post>": a probe in alpha, beta or gate;
 *                 the write fails with what register_kprobe() returned. <place>
 *                 is entry, inside (behind the ftrace site) or return (a
 *                 kretprobe; the only one for gate), <post> is post or nopost:
 *                 whether it has a post_handler. EBUSY: there is one already.
 *                 Write "remove": there is none any more. Read: how often it
 *                 was hit, and how many calls a kretprobe waits for.
 * pass            write "function beta", "symbol <symbol>" of another target, or
 *                 "file <path>": what alpha calls in a pass; "nothing": there
 *                 are no more passes. Each read(2) is one pass and gives a byte.
 *                 EBUSY: a task is in the middle of one.
 * passes          read: what was said in passes since the last read
 */
#include <linux/module.h>
#include "proc.h"

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

/* Namesakes are told apart by the order of their symbols. */
#if __has_attribute(__no_reorder__)
#define IN_ORDER __attribute__((__no_reorder__))
#else
#define IN_ORDER
#endif

#include "sleepers.h"
#include "passes.h"

/*
 * A task that asked for it sleeps here; every other passes. Replacements reach
 * it through a livepatch relocation: it is not exported.
 */
WHOLE void FN(gate)(void);
WHOLE void FN(gate)(void)
{
	struct sleeper *s;

	/* What a handler calls does not sleep; and the task below it may be one that holds the lock. */
	if (in_interrupt())
		return;
	s = this_sleeper();
	if (s && !s->answering)
		sleep_below(s, s->depth);
	else
		pass_on();
	barrier();
}

/*
 * An instruction to probe, and how far it is from the beginning of its function:
 * a difference, for a symbol or a pointer there would be one into the middle of
 * a function, which no compiler makes.
 */
#define INSIDE(f) \
	asm volatile("771:\tnop\n" \
		     "\t.pushsection .rodata\n" \
		     "\t.balign 4\n" \
		     TEXT(FN(f##_inside)) ":\t.long 771b - " TEXT(FN(f)) "\n" \
		     "\t.popsection")
extern const u32 FN(alpha_inside), FN(beta_inside);

/* Neighbours in memory: a stack check that looks too far finds the one in the place of the other. */
WHOLE IN_ORDER const char *FN(alpha)(void);
WHOLE IN_ORDER const char *FN(beta)(void);
WHOLE notrace const char *FN(quiet)(void);

WHOLE IN_ORDER const char *FN(alpha)(void)
{
	INSIDE(alpha);
	FN(gate)();
	return "original";
}
EXPORT_SYMBOL_GPL(FN(alpha));

WHOLE IN_ORDER const char *FN(beta)(void)
{
	INSIDE(beta);
	FN(gate)();
	return "original";
}
EXPORT_SYMBOL_GPL(FN(beta));

WHOLE notrace const char *FN(quiet)(void)
{
	return "original";
}
EXPORT_SYMBOL_GPL(FN(quiet));

/* A thousand passes, by a task that is held where it is: exported to be asked for. */
WHOLE const char *FN(passes)(void);
WHOLE const char *FN(passes)(void)
{
	int i;

	for (i = 0; i < 1000; i++)
		if (one_pass(FN(alpha), task_pid_nr(current)))
			return "nothing";
	return "passed";
}
EXPORT_SYMBOL_GPL(FN(passes));

/* The harness takes "_second" away from the symbol: C has no two of one name in a file. */
static WHOLE IN_ORDER const char *FN(twin)(void)
{
	return "original";
}

static WHOLE IN_ORDER const char *FN(twin_second)(void)
{
	return "original";
}

static WHOLE const char *klp_common(void)
{
	return "original";
}

static int FN(datum) __used = 1;

struct function {
	const char *name;
	const char *(*call)(void);
	/* Only of those that tasks can sleep in. */
	const u32 *inside;
};

static const struct function functions[] = {
	{ "alpha", FN(alpha), &FN(alpha_inside) },
	{ "beta", FN(beta), &FN(beta_inside) },
	{ "quiet", FN(quiet) },
	{ "twin1", FN(twin) },
	{ "twin2", FN(twin_second) },
	{ "common", klp_common },
};

/* What every task calls that stays in one of them. */
static const struct function gate = { "gate", (void *)FN(gate) };

#include "kernel-sleepers.h"
#include "probe.h"
#include "forks.h"
#include "interrupt.h"

static ssize_t give(const char *says, char __user *buf, size_t len, loff_t *pos)
{
	char text[80];
	int n = scnprintf(text, sizeof(text), "%s\n", says);

	return simple_read_from_buffer(buf, len, pos, text, n);
}

static ssize_t function_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	const struct function *f = pde_data(file_inode(file));

	if (*pos)
		return 0;
	return give(file->private_data ? file->private_data : f->call(), buf, len, pos);
}

static ssize_t function_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	const struct function *f = pde_data(file_inode(file));
	static const char *const activities[] = {
		[UNINTERRUPTIBLE] = "uninterruptible",
		[INTERRUPTIBLE] = "interruptible",
		[RUNNING] = "running",
		[PREEMPTED] = "preempted",
		[FAULTING] = "faulting",
	};
	struct sleeper s = { .task = current, .file = file };
	char words[60], activity[20] = "", who[10] = "";
	int i, ret = words_from_user(words, sizeof(words), buf, len);

	if (ret)
		return ret;
	if (file->private_data || !f->inside)
		return -EINVAL;
	if (sscanf(words, "%19s %u %9s", activity, &s.depth, who) != 3 || s.depth > 150)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(activities) && strcmp(activity, activities[i]);)
		i++;
	if (i == ARRAY_SIZE(activities) || (strcmp(who, "user") && strcmp(who, "kernel") && strcmp(who, "work")))
		return -EINVAL;
	s.activity = i;
	if ((s.activity == FAULTING || s.activity == PREEMPTED) && strcmp(who, "user"))
		return -EINVAL;

	if (strcmp(who, "user")) {
		ret = start_kernel_sleeper(f->call, &s, !strcmp(who, "work"));
		if (ret < 0)
			return ret;
		file->private_data = kasprintf(GFP_KERNEL, "%d", ret);
	} else {
		sleeper_begins(&s);
		/* A copy: what it said may lie in a patch module that goes away. */
		file->private_data = kstrdup(f->call(), GFP_KERNEL);
		sleeper_ends(&s);
		if (s.interrupted && !s.released) {
			kfree(file->private_data);
			file->private_data = NULL;
			return -ERESTARTSYS;
		}
	}
	return file->private_data ? len : -ENOMEM;
}

/* What was said, of function, ask, fork and interrupt files. */
static int said_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t dying_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char name[10];
	int i, ret = words_from_user(name, sizeof(name), buf, len);

	if (ret)
		return ret;
	if (file->private_data)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		if (!functions[i].inside || strcmp(name, functions[i].name))
			continue;
		file->private_data = (void *)&functions[i];
		return wait_event_killable(sleepers_wait, false);
	}
	return -EINVAL;
}

static int dying_release(struct inode *inode, struct file *file)
{
	const struct function *f = file->private_data;
	struct sleeper s = { .task = current, .activity = UNINTERRUPTIBLE };

	if (!f || !(current->flags & PF_EXITING))
		return 0;
	sleeper_begins(&s);
	f->call();
	sleeper_ends(&s);
	return 0;
}

static ssize_t release_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	int tid, ret;

	if (kstrtoint_from_user(buf, len, 10, &tid))
		return -EINVAL;
	ret = release_sleeper(tid);
	end_kernel_sleepers(tid);
	return ret ? ret : len;
}

static ssize_t sleepers_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	char *text = kmalloc(PAGE_SIZE, GFP_KERNEL);
	ssize_t ret = -ENOMEM;

	if (text)
		ret = simple_read_from_buffer(buf, len, pos, text, list_sleepers(text, PAGE_SIZE));
	kfree(text);
	return ret;
}

static ssize_t ask_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char words[160], symbol[128] = "", *said = NULL;
	int tid, ret = words_from_user(words, sizeof(words), buf, len);
	void *call;

	if (ret)
		return ret;
	if (file->private_data || sscanf(words, "%d %127s", &tid, symbol) != 2)
		return -EINVAL;
	call = __symbol_get(symbol);
	if (!call)
		return -ENOENT;
	ret = ask_sleeper(tid, call, &said);
	__symbol_put(symbol);
	file->private_data = said;
	return ret ? ret : len;
}

static ssize_t fork_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char *said = NULL;
	int tid, ret;

	if (file->private_data || kstrtoint_from_user(buf, len, 10, &tid))
		return -EINVAL;
	ret = fork_from(tid, &said);
	file->private_data = said;
	return ret ? ret : len;
}

static ssize_t interrupt_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char words[160], symbol[128] = "";
	struct interruption i = { };
	int ret = words_from_user(words, sizeof(words), buf, len);

	if (ret)
		return ret;
	if (file->private_data)
		return -EINVAL;
	if (sscanf(words, "idle %d", &i.cpu) == 1) {
		ret = i.cpu >= 0 && i.cpu < nr_cpu_ids && cpu_online(i.cpu) ? interrupt_over(&i) : -ENXIO;
	} else if (sscanf(words, "%d %127s", &i.tid, symbol) == 2 && i.tid > 0) {
		i.call = __symbol_get(symbol);
		if (!i.call)
			return -ENOENT;
		ret = interrupt_over(&i);
		__symbol_put(symbol);
	} else {
		ret = -EINVAL;
	}
	if (ret)
		return ret;
	file->private_data = kasprintf(GFP_KERNEL, "%d %s", i.patch_state, i.said);
	return file->private_data ? len : -ENOMEM;
}

static ssize_t ask_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	if (*pos || !file->private_data)
		return 0;
	return give(file->private_data, buf, len, pos);
}

static ssize_t probe_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char words[40], place[10] = "", name[10] = "", post[10] = "";
	int i, n, ret = words_from_user(words, sizeof(words), buf, len);

	if (ret)
		return ret;
	n = sscanf(words, "%9s %9s %9s", place, name, post);
	if (n == 1 && !strcmp(place, "remove")) {
		ret = change_probe(NULL, NULL, false);
		return ret ? ret : len;
	}
	if (n != 3 || (strcmp(place, "entry") && strcmp(place, "inside") && strcmp(place, "return")))
		return -EINVAL;
	if (!strcmp(name, "gate")) {
		ret = strcmp(place, "return") ? -EINVAL : change_probe(place, &gate, false);
		return ret ? ret : len;
	}
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		if (!functions[i].inside || strcmp(name, functions[i].name))
			continue;
		ret = change_probe(place, &functions[i], !strcmp(post, "post"));
		return ret ? ret : len;
	}
	return -EINVAL;
}

static ssize_t probe_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	char text[30];

	if (*pos)
		return 0;
	snprintf(text, sizeof(text), "%d %d", atomic_read(&probe_hits), atomic_read(&probe_inside));
	return give(text, buf, len, pos);
}

static ssize_t pass_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	int ret = one_pass(FN(alpha), 0);

	if (ret)
		return ret == -ENXIO ? 0 : ret;
	return put_user('.', buf) ? -EFAULT : 1;
}

static ssize_t pass_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char words[80], what[10] = "", name[60] = "";
	int ret = words_from_user(words, sizeof(words), buf, len);

	if (ret)
		return ret;
	ret = sscanf(words, "%9s %59s", what, name);
	if (ret == 1 && !strcmp(what, "nothing"))
		ret = set_second(NULL, NULL, NULL);
	else if (ret == 2 && !strcmp(what, "function") && !strcmp(name, "beta"))
		ret = set_second(what, name, FN(beta));
	else if (ret == 2 && (!strcmp(what, "symbol") || !strcmp(what, "file")))
		ret = set_second(what, name, NULL);
	else
		ret = -EINVAL;
	return ret ? ret : len;
}

static ssize_t passes_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	char *text;
	ssize_t ret = -ENOMEM;

	/* What was read is forgotten: a second read(2) of the same file is the end. */
	if (*pos)
		return 0;
	text = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (text)
		ret = simple_read_from_buffer(buf, len, pos, text, list_passes(text, PAGE_SIZE));
	kfree(text);
	return ret;
}

static const PROC_OPS function_ops = {
	PROC_READ = function_read,
	PROC_WRITE = function_write,
	PROC_MMAP = slow_mmap,
	PROC_RELEASE = said_release,
};
static const PROC_OPS dying_ops = {
	PROC_WRITE = dying_write,
	PROC_RELEASE = dying_release,
};
static const PROC_OPS release_ops = { PROC_WRITE = release_write };
static const PROC_OPS sleepers_ops = { PROC_READ = sleepers_read };
static const PROC_OPS ask_ops = {
	PROC_READ = ask_read,
	PROC_WRITE = ask_write,
	PROC_RELEASE = said_release,
};
static const PROC_OPS fork_ops = {
	PROC_READ = ask_read,
	PROC_WRITE = fork_write,
	PROC_RELEASE = said_release,
};
static const PROC_OPS interrupt_ops = {
	PROC_READ = ask_read,
	PROC_WRITE = interrupt_write,
	PROC_RELEASE = said_release,
};
static const PROC_OPS pass_ops = {
	PROC_READ = pass_read,
	PROC_WRITE = pass_write,
};
static const PROC_OPS passes_ops = { PROC_READ = passes_read };
static const PROC_OPS probe_ops = {
	PROC_READ = probe_read,
	PROC_WRITE = probe_write,
};

static struct proc_dir_entry *directory;

static bool make_files(void)
{
	unsigned int i;

	directory = proc_mkdir(TEXT(TARGET), NULL);
	if (!directory)
		return false;
	for (i = 0; i < ARRAY_SIZE(functions); i++)
		if (!proc_create_data(functions[i].name, 0600, directory, &function_ops, (void *)&functions[i]))
			return false;
	return proc_create("dying", 0200, directory, &dying_ops) &&
	       proc_create("release", 0200, directory, &release_ops) &&
	       proc_create("sleepers", 0400, directory, &sleepers_ops) &&
	       proc_create("ask", 0600, directory, &ask_ops) &&
	       proc_create("fork", 0600, directory, &fork_ops) &&
	       proc_create("interrupt", 0600, directory, &interrupt_ops) &&
	       proc_create("pass", 0600, directory, &pass_ops) &&
	       proc_create("passes", 0400, directory, &passes_ops) &&
	       proc_create("probe", 0600, directory, &probe_ops);
}

static void __exit target_exit(void)
{
	proc_remove(directory);
	end_kernel_sleepers(0);
	change_probe(NULL, NULL, false);
	set_second(NULL, NULL, NULL);
}

static int __init target_init(void)
{
	int ret = make_files() ? 0 : -ENOMEM;

#ifdef FAILING
	ret = ret ? ret : -ENODEV;
#endif
	if (ret)
		proc_remove(directory);
	return ret;
}

module_init(target_init);
module_exit(target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Functions for the livepatch conformance harness to patch");
