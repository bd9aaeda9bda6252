// SPDX-License-Identifier: GPL-2.0-only
/* One kprobe or kretprobe in a function of the target, and how often its handler ran. */
#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>

static atomic_t probe_hits = ATOMIC_INIT(0);
/* Calls that a kretprobe has seen begin and not end. */
static atomic_t probe_inside = ATOMIC_INIT(0);

#ifdef CONFIG_KPROBES
static struct kprobe kprobe;
static struct kretprobe kretprobe;
static enum { NO_PROBE, KPROBE, KRETPROBE } probing;
static DEFINE_MUTEX(probe_lock);

static int probe_before(struct kprobe *p, struct pt_regs *regs)
{
	atomic_inc(&probe_hits);
	return 0;
}

static void probe_after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static int probe_call(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	atomic_inc(&probe_inside);
	return 0;
}

static int probe_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	atomic_dec(&probe_inside);
	atomic_inc(&probe_hits);
	return 0;
}

static int set_probe(const char *place, const struct function *f, bool post)
{
	int ret;

	if (probing != NO_PROBE)
		return -EBUSY;
	atomic_set(&probe_hits, 0);
	atomic_set(&probe_inside, 0);
	/* A probe that was registered once holds what the kernel made of it. */
	memset(&kprobe, 0, sizeof(kprobe));
	memset(&kretprobe, 0, sizeof(kretprobe));
	if (!strcmp(place, "return")) {
		kretprobe.kp.addr = (kprobe_opcode_t *)f->call;
		kretprobe.entry_handler = probe_call;
		kretprobe.handler = probe_return;
		/* Tasks stay in the gate. */
		kretprobe.maxactive = 20;
		ret = register_kretprobe(&kretprobe);
		probing = ret ? NO_PROBE : KRETPROBE;
		return ret;
	}
	kprobe.addr = (kprobe_opcode_t *)((char *)f->call + (strcmp(place, "inside") ? 0 : *f->inside));
	kprobe.pre_handler = probe_before;
	kprobe.post_handler = post ? probe_after : NULL;
	ret = register_kprobe(&kprobe);
	probing = ret ? NO_PROBE : KPROBE;
	return ret;
}

static int remove_probe(void)
{
	if (probing == NO_PROBE)
		return -ENOENT;
	if (probing == KPROBE)
		unregister_kprobe(&kprobe);
	else
		unregister_kretprobe(&kretprobe);
	probing = NO_PROBE;
	return 0;
}

static int change_probe(const char *place, const struct function *f, bool post)
{
	int ret;

	mutex_lock(&probe_lock);
	ret = f ? set_probe(place, f, post) : remove_probe();
	mutex_unlock(&probe_lock);
	return ret;
}
#else
static int change_probe(const char *place, const struct function *f, bool post)
{
	return -EOPNOTSUPP;
}
#endif
