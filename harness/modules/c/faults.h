// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page fault inside the kernel that lasts until its task is let go: the task
 * reads from a mapping of the file that it has written to, and what serves the
 * fault sleeps. Whoever wants to change the task's address space waits as long.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mman.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(4, 17, 0)
#define vm_fault_t int
#endif

static vm_fault_t slow_fault(struct vm_fault *vmf)
{
	struct sleeper *s = this_sleeper();

	if (s)
		sleep_here(s);
	/* There is no page: who reads gets an error and goes on. */
	return VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct slow_operations = { .fault = slow_fault };

static int slow_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &slow_operations;
	return 0;
}

static void fault_here(struct sleeper *s)
{
	unsigned long at = vm_mmap(s->file, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, 0);
	char byte;

	if (IS_ERR_VALUE(at))
		return;
	if (get_user(byte, (char __user *)at))
		barrier();
	vm_munmap(at, PAGE_SIZE);
}
