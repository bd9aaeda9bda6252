// SPDX-License-Identifier: MIT
/*
 * A process of several threads. One does an operation and is to stay in it; another executes a program when the process is
 * sent SIGUSR1. The kernel then kills all others, and waits for their end before the program takes their place.
 */
#define _GNU_SOURCE
#include "tasks.h"

#include <signal.h>
#include <unistd.h>

#define STACK_SIZE (256 << 10)

int get_group(struct reader *request, struct group *group)
{
	size_t size;

	group->doer = get_u8(request);
	group->executor = get_u8(request);
	get_text(request, group->script, sizeof(group->script));
	group->operation = (struct reader){ .at = get_bytes(request, &size) };
	group->operation.end = group->operation.at + size;
	return reader_done(request) && size && group->doer <= 1 && group->executor <= 1 && (group->doer || group->executor);
}

static int do_operation(void *of)
{
	struct group *group = of;

	run_operation(&group->operation, group->result);
	for (;;)
		pause();
	return 0;
}

/* The signal is blocked in every thread, so that it disturbs none and stays for the one that waits for it. */
static sigset_t usr1(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return set;
}

static int execute_program(void *of)
{
	struct group *group = of;
	sigset_t set = usr1();

	while (sigwaitinfo(&set, NULL) != SIGUSR1)
		;
	execl("/bin/sh", "sh", group->script, NULL);
	_exit(127);
}

void start_group(struct group *group)
{
	sigset_t set = usr1();

	sigprocmask(SIG_BLOCK, &set, NULL);
	if (group->executor)
		start_thread(execute_program, group, STACK_SIZE);
	if (group->doer)
		start_thread(do_operation, group, STACK_SIZE);
}

void lead_group(struct group *group)
{
	if (!group->doer)
		do_operation(group);
	if (!group->executor)
		execute_program(group);
	for (;;)
		pause();
}
