// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shadow variable API for numbered objects, one call a write.
 *
 * /proc/<module>/shadow  write "<call> <object> <id> <how>": the klp_shadow_<call>()
 *                        of that name. <call> and <how>:
 *                        get            -
 *                        alloc, get_or_alloc
 *                                       none: without a constructor; a number: the
 *                                       constructor stores it; fails: it stores
 *                                       something and gives ENODEV
 *                        free, free_all none: without a destructor; destructor
 *                                       (free_all takes no notice of the object)
 *                        race           a number: so many threads call
 *                                       klp_shadow_get_or_alloc() at once; the
 *                                       constructor of the n-th stores n
 *                        read: what came of the last call, a line each:
 *                        "returned 42", "returned NULL", or of data that are
 *                        not as they should be "returned junk"; "ran constructor
 *                        <object>=42", or =failed, or =junk if it was given
 *                        data that are not all zero; "ran destructor
 *                        <object>=42"; of a race "begun 3": so many threads had
 *                        begun to call when the constructor ended.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/sched/task.h>
#include "files.h"

/* Objects are addresses that every module knows; what is there is not touched. */
static void *object_at(unsigned long number)
{
	return (char *)&init_task + number;
}

static unsigned long number_of(void *obj)
{
	return (char *)obj - (char *)&init_task;
}

/* The data of a variable: a number, and room that stays zero. */
struct payload {
	unsigned long number;
	u8 zero[56];
};

struct construction {
	unsigned long number;
	bool fails;
	bool in_race;
};

/* Constructors and destructors write here under klp_shadow_lock, others when none can run; readers have call_lock. */
static char report[2048];
static size_t reported;
static DEFINE_MUTEX(call_lock);

static __printf(1, 2) void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	reported += vscnprintf(report + reported, sizeof(report) - reported, format, args);
	va_end(args);
}

static void say_data(const char *what, const struct payload *p)
{
	if (!p)
		say("%sNULL\n", what);
	else if (memchr_inv(p->zero, 0, sizeof(p->zero)))
		say("%sjunk\n", what);
	else
		say("%s%lu\n", what, p->number);
}

/* How many threads of a race have begun to call. */
static atomic_t begun;

/* Interrupts are off here, and nobody who calls at the same time gets further than klp_shadow_lock. */
static void await_another(void)
{
	int i;

	for (i = 0; i < 5000 && num_online_cpus() > 1 && atomic_read(&begun) < 2; i++)
		mdelay(1);
	mdelay(1);
	say("begun %d\n", atomic_read(&begun));
}

static int constructor(void *obj, void *data, void *ctor_data)
{
	const struct construction *c = ctor_data;
	struct payload *p = data;
	bool clean = !memchr_inv(p, 0, sizeof(*p));

	p->number = c->number;
	if (c->in_race)
		await_another();
	if (!clean)
		say("ran constructor %lu=junk\n", number_of(obj));
	else if (c->fails)
		say("ran constructor %lu=failed\n", number_of(obj));
	else
		say("ran constructor %lu=%lu\n", number_of(obj), c->number);
	return c->fails ? -ENODEV : 0;
}

static void destructor(void *obj, void *data)
{
	char what[60];

	snprintf(what, sizeof(what), "ran destructor %lu=", number_of(obj));
	say_data(what, data);
}

struct racer {
	struct task_struct *task;
	struct construction construction;
	void *obj;
	unsigned long id;
	struct payload *got;
};

static struct racer racers[16];
static atomic_t racing;
static DECLARE_COMPLETION(race_begins);
static DECLARE_COMPLETION(race_ends);

static int race_along(void *data)
{
	struct racer *r = data;

	wait_for_completion(&race_begins);
	atomic_inc(&begun);
	r->got = klp_shadow_get_or_alloc(r->obj, r->id, sizeof(*r->got), GFP_KERNEL, constructor, &r->construction);
	if (atomic_dec_and_test(&racing))
		complete(&race_ends);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* The threads are spread over the CPUs, and all of them wait for the start. */
static int race(void *obj, unsigned long id, unsigned long count)
{
	int i, made, cpu = -1, ret = 0;

	if (count < 1 || count > ARRAY_SIZE(racers))
		return -EINVAL;
	reinit_completion(&race_begins);
	reinit_completion(&race_ends);
	atomic_set(&begun, 0);
	atomic_set(&racing, count);
	for (made = 0; made < count; made++) {
		struct racer *r = &racers[made];

		*r = (struct racer){ .construction = { .number = made + 1, .in_race = true }, .obj = obj, .id = id };
		r->task = kthread_create(race_along, r, "klp-racer/%d", made + 1);
		if (IS_ERR(r->task)) {
			ret = PTR_ERR(r->task);
			break;
		}
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		kthread_bind(r->task, cpu);
	}
	/* One that was never woken ends without having run. */
	if (!ret) {
		for (i = 0; i < made; i++)
			wake_up_process(racers[i].task);
		msleep(20);
		complete_all(&race_begins);
		wait_for_completion(&race_ends);
	}
	for (i = 0; i < made; i++)
		kthread_stop(racers[i].task);
	for (i = 0; i < made && !ret; i++)
		say_data("returned ", racers[i].got);
	return ret;
}

static int construct(bool may_exist, void *obj, unsigned long id, const char *how)
{
	struct construction c = { .fails = !strcmp(how, "fails") };
	klp_shadow_ctor_t ctor = strcmp(how, "none") ? constructor : NULL;
	struct payload *p;

	if (ctor && !c.fails && kstrtoul(how, 10, &c.number))
		return -EINVAL;
	if (c.fails)
		c.number = 1;
	if (may_exist)
		p = klp_shadow_get_or_alloc(obj, id, sizeof(*p), GFP_KERNEL, ctor, &c);
	else
		p = klp_shadow_alloc(obj, id, sizeof(*p), GFP_KERNEL, ctor, &c);
	say_data("returned ", p);
	return 0;
}

static int call_shadow(const char *call, void *obj, unsigned long id, const char *how)
{
	klp_shadow_dtor_t dtor = strcmp(how, "none") ? destructor : NULL;
	unsigned long count;

	if (!strcmp(call, "get"))
		say_data("returned ", klp_shadow_get(obj, id));
	else if (!strcmp(call, "alloc"))
		return construct(false, obj, id, how);
	else if (!strcmp(call, "get_or_alloc"))
		return construct(true, obj, id, how);
	else if (!strcmp(call, "free"))
		klp_shadow_free(obj, id, dtor);
	else if (!strcmp(call, "free_all"))
		klp_shadow_free_all(id, dtor);
	else if (!strcmp(call, "race") && !kstrtoul(how, 10, &count))
		return race(obj, id, count);
	else
		return -EINVAL;
	return 0;
}

static ssize_t shadow_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char words[100], call[20] = "", how[30] = "";
	unsigned long number, id;
	int ret = words_from_user(words, sizeof(words), buf, len);

	if (ret)
		return ret;
	if (sscanf(words, "%19s %lu %lu %29s", call, &number, &id, how) != 4)
		return -EINVAL;
	mutex_lock(&call_lock);
	reported = 0;
	ret = call_shadow(call, object_at(number), id, how);
	mutex_unlock(&call_lock);
	return ret ? ret : len;
}

static ssize_t shadow_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	ssize_t ret;

	mutex_lock(&call_lock);
	ret = simple_read_from_buffer(buf, len, pos, report, reported);
	mutex_unlock(&call_lock);
	return ret;
}

static const PROC_OPS shadow_ops = {
	PROC_READ = shadow_read,
	PROC_WRITE = shadow_write,
};

static bool make_shadow(void)
{
	return make_file("shadow", 0600, &shadow_ops);
}
