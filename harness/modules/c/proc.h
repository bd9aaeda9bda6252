// SPDX-License-Identifier: GPL-2.0-only
/* Files of procfs, under the names of both sides of 5.6 and 5.17. */
#include <linux/proc_fs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
#define PROC_OPS struct proc_ops
#define PROC_READ .proc_read
#define PROC_WRITE .proc_write
#define PROC_RELEASE .proc_release
#define PROC_MMAP .proc_mmap
#else
#define PROC_OPS struct file_operations
#define PROC_READ .read
#define PROC_WRITE .write
#define PROC_RELEASE .release
#define PROC_MMAP .mmap
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 17, 0)
#define pde_data(inode) PDE_DATA(inode)
#endif

/* What was written, as a string. */
static inline int words_from_user(char *words, size_t room, const char __user *buf, size_t len)
{
	if (len >= room)
		return -EINVAL;
	if (copy_from_user(words, buf, len))
		return -EFAULT;
	words[len] = '\0';
	return 0;
}
