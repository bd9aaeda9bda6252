// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sound livepatch that module faults are made in. It refers to symbols of
 * vmlinux and of the module TARGET that nothing exports, from its code and from
 * its data. While it is enabled, /proc/cmdline says what these references hold,
 * a line each: what, the address it holds, the address it would be taken from
 * (that of the instruction, or of the pointer); its init has logged the same;
 * and /proc/TARGET/alpha says "klp_fault".
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/version.h>
#include <linux/livepatch.h>

#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

/*
 * In assembler, so that each compiler leaves the same relocations: on x86-64
 * R_X86_64_PC32, on arm64 R_AARCH64_ADR_PREL_PG_HI21 and _ADD_ABS_LO12_NC. One
 * that was not applied gives the instruction's own address, or its page.
 */
#ifdef CONFIG_ARM64
#define REFERENCE(symbol) \
	asm volatile("adr %1, 771f\n771:\tadrp %0, " symbol "\n\tadd %0, %0, :lo12:" symbol : "=&r" (value), "=&r" (here))
#else
#define REFERENCE(symbol) \
	asm volatile("leaq " symbol "(%%rip), %0\n771:\tleaq 771b(%%rip), %1" : "=&r" (value), "=&r" (here))
#endif

extern char in_data[] asm("saved_command_line");
static void *volatile pointer = in_data;

/* A symbol that nothing refers to. */
asm(".globl klp_fault_spare\n.set klp_fault_spare, 0");

/* What the references hold, a line each. */
static void references(char *text, size_t room)
{
	unsigned long value, here;
	int n = 0;

	REFERENCE("cmdline_proc_show");
	n += scnprintf(text + n, room - n, "code-vmlinux %lx %lx\n", value, here);
	REFERENCE(TEXT(TARGET) "_gate");
	n += scnprintf(text + n, room - n, "code-module %lx %lx\n", value, here);
	REFERENCE("saved_command_line");
	n += scnprintf(text + n, room - n, "code-vmlinux-last %lx %lx\n", value, here);
	scnprintf(text + n, room - n, "data-vmlinux %lx %lx\n", (unsigned long)pointer, (unsigned long)&pointer);
}

static int replacement_of_cmdline(struct seq_file *m, void *v)
{
	char text[256];

	references(text, sizeof(text));
	seq_puts(m, text);
	return 0;
}

static const char *replacement_of_alpha(void)
{
	return "klp_fault";
}

static struct klp_func of_vmlinux[] = {
	{ .old_name = "cmdline_proc_show", .new_func = replacement_of_cmdline }, { }
};
static struct klp_func of_module[] = {
	{ .old_name = TEXT(TARGET) "_alpha", .new_func = replacement_of_alpha }, { }
};
static struct klp_object objects[] = {
	{ .funcs = of_vmlinux }, { .name = TEXT(TARGET), .funcs = of_module }, { }
};
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static int __init fault_init(void)
{
	char text[256], *line, *rest = text;
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 1, 0)
	int ret;
#endif

	/* Before livepatch has been called: what the loader alone has applied. */
	references(text, sizeof(text));
	while ((line = strsep(&rest, "\n")))
		if (*line)
			pr_info("klp_fault: %s\n", line);
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 1, 0)
	ret = klp_register_patch(&patch);
	if (ret)
		return ret;
	ret = klp_enable_patch(&patch);
	if (ret)
		WARN_ON(klp_unregister_patch(&patch));
	return ret;
#else
	return klp_enable_patch(&patch);
#endif
}

static void __exit fault_exit(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 1, 0)
	WARN_ON(klp_unregister_patch(&patch));
#endif
}

module_init(fault_init);
module_exit(fault_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch of the livepatch conformance harness, to be broken");
MODULE_INFO(livepatch, "Y");
