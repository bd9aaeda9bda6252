// SPDX-License-Identifier: MIT
/* What the workload tasks of tasks.c and exec.c have in common. All of it runs in a child of the agent. */
#ifndef KLP_TASKS_H
#define KLP_TASKS_H

#include "agent.h"

/* Does the operation of a request, and sends what it gave to `result`. */
void run_operation(struct reader *request, int result);
/* A further thread of the process, with a stack of its own; without one the process ends with status 126. */
void start_thread(int (*body)(void *), void *argument, size_t stack_size);

/*
 * What KIND_EXEC does with its request: u8 which thread does the operation, u8 which one executes the program (0: the
 * leader, 1: another), text path of a shell script, bytes operation. Whether it is well formed.
 */
struct group {
	uint8_t doer, executor;
	char script[64];
	struct reader operation;
	int result;
};
int get_group(struct reader *request, struct group *group);
/* Starts the threads of a group that are not its leader. */
void start_group(struct group *group);
/* What its leader does. */
void __attribute__((noreturn)) lead_group(struct group *group);

/* Calls getpid() without end, and counts in the file `path` what it has returned. */
void __attribute__((noreturn)) call_getpid(const char *path);

#endif
