// SPDX-License-Identifier: GPL-2.0-only
/* Files of a livepatch module below /proc/<module>. */
#include "proc.h"

static struct proc_dir_entry *directory;

static bool make_file(const char *name, umode_t mode, const PROC_OPS *ops)
{
	if (!directory)
		directory = proc_mkdir(KBUILD_MODNAME, NULL);
	return directory && proc_create(name, mode, directory, ops);
}

static void remove_files(void)
{
	proc_remove(directory);
}
