// SPDX-License-Identifier: GPL-2.0-only
/*
 * Passes: a task calls alpha, and from within it a second function; what both
 * said is counted. Between the two it leaves its CPU to others, with alpha on
 * its stack: nothing may switch it there.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#define PASS_SAID 56
#define PASS_ROWS 24

/* What alpha calls: a function, or what reading a file calls. */
struct second {
	const char *(*call)(void);
	/* Of another module: to be given back. */
	char symbol[60];
	struct file *file;
};

struct pass {
	struct list_head list;
	struct task_struct *task;
	struct second second;
	unsigned int period;
	bool within, left_cpu;
	char said[PASS_SAID];
};

/* Passes of the present period, by the caller (0: one that reads the file) and by what was said. */
static struct pass_row {
	pid_t caller;
	unsigned long count;
	char outer[PASS_SAID], inner[PASS_SAID];
} pass_rows[PASS_ROWS];

static unsigned int pass_rows_count, pass_period;
static unsigned long pass_left_cpu, pass_lost;
static struct second pass_second;
static LIST_HEAD(passes);
static DEFINE_SPINLOCK(passes_lock);

static void first_line(char *to, const char *from)
{
	snprintf(to, PASS_SAID, "%.*s", (int)strcspn(from, "\n"), from);
}

/* Mostly gives way to whoever wants the CPU, and sleeps now and then. */
static void leave_cpu(struct pass *p)
{
	static atomic_t turns = ATOMIC_INIT(0);
	unsigned long before = current->nvcsw + current->nivcsw;

	if (atomic_inc_return(&turns) % 16) {
		yield();
	} else {
#ifdef TASK_FREEZABLE
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
#else
		set_current_state(TASK_INTERRUPTIBLE);
#endif
		schedule_timeout(1);
	}
	if (current->nvcsw + current->nivcsw != before)
		p->left_cpu = true;
}

/* In the gate: a task in the middle of a pass goes on with the second function. */
static void pass_on(void)
{
	struct pass *p = NULL, *each;

	if (!in_task() || list_empty(&passes))
		return;
	spin_lock(&passes_lock);
	list_for_each_entry(each, &passes, list)
		if (each->task == current)
			p = each;
	spin_unlock(&passes_lock);
	if (!p || p->within)
		return;
	p->within = true;
	leave_cpu(p);
	if (p->second.file) {
		char text[PASS_SAID];
		loff_t pos = 0;
		ssize_t n = kernel_read(p->second.file, text, sizeof(text) - 1, &pos);

		text[n > 0 ? n : 0] = '\0';
		first_line(p->said, text);
	} else {
		first_line(p->said, p->second.call());
	}
	leave_cpu(p);
}

static void count_pass(pid_t caller, const char *outer, const char *inner)
{
	struct pass_row *row;
	unsigned int i;

	for (i = 0; i < pass_rows_count; i++) {
		row = &pass_rows[i];
		if (row->caller == caller && !strcmp(row->outer, outer) && !strcmp(row->inner, inner)) {
			row->count++;
			return;
		}
	}
	if (pass_rows_count == PASS_ROWS) {
		pass_lost++;
		return;
	}
	row = &pass_rows[pass_rows_count++];
	row->caller = caller;
	row->count = 1;
	strcpy(row->outer, outer);
	strcpy(row->inner, inner);
}

static int one_pass(const char *(*first)(void), pid_t caller)
{
	struct pass p = { .task = current };
	char outer[PASS_SAID];

	spin_lock(&passes_lock);
	p.second = pass_second;
	p.period = pass_period;
	if (p.second.call || p.second.file)
		list_add(&p.list, &passes);
	spin_unlock(&passes_lock);
	if (!p.second.call && !p.second.file)
		return -ENXIO;

	first_line(outer, first());

	spin_lock(&passes_lock);
	list_del(&p.list);
	/* One that began before the last look belongs to no period. */
	if (p.period == pass_period) {
		count_pass(caller, outer, p.said);
		pass_left_cpu += p.left_cpu;
	}
	spin_unlock(&passes_lock);
	return 0;
}

static void give_back(struct second *second)
{
	if (second->symbol[0])
		__symbol_put(second->symbol);
	if (second->file)
		filp_close(second->file, NULL);
}

/* @what: "function" that call is, "symbol" of another module, or "file"; NULL: none any more. */
static int set_second(const char *what, const char *name, const char *(*call)(void))
{
	struct second new = { .call = call }, old;
	int ret = 0;

	if (what && !strcmp(what, "symbol")) {
		new.call = __symbol_get(name);
		if (!new.call)
			return -ENOENT;
		snprintf(new.symbol, sizeof(new.symbol), "%s", name);
	} else if (what && !strcmp(what, "file")) {
		new.file = filp_open(name, O_RDONLY, 0);
		if (IS_ERR(new.file))
			return PTR_ERR(new.file);
	}
	spin_lock(&passes_lock);
	old = new;
	if (list_empty(&passes)) {
		old = pass_second;
		pass_second = new;
	} else {
		ret = -EBUSY;
	}
	spin_unlock(&passes_lock);
	give_back(&old);
	return ret;
}

/*
 * A line of how many left their CPU within alpha and how many found no room in
 * the table; then one for each row. A new period begins.
 */
static size_t list_passes(char *text, size_t room)
{
	unsigned int i;
	size_t n;

	spin_lock(&passes_lock);
	n = scnprintf(text, room, "%lu\t%lu\n", pass_left_cpu, pass_lost);
	for (i = 0; i < pass_rows_count; i++)
		n += scnprintf(text + n, room - n, "%d\t%lu\t%s\t%s\n", pass_rows[i].caller, pass_rows[i].count,
			       pass_rows[i].outer, pass_rows[i].inner);
	pass_rows_count = 0;
	pass_left_cpu = 0;
	pass_lost = 0;
	pass_period++;
	spin_unlock(&passes_lock);
	return n;
}
