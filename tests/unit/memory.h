/*
 * memory.h - allocations that fail when told to.
 *
 * Every unit test is linked with --wrap for the functions of memory.c, so that
 * the modules under test allocate through them.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_MEMORY_H
#define AIS_MEMORY_H

/* Let the "n"th allocation from now on fail, 0 being the next. */
void memory_fail_at(int n);

/* Has the failure been met?  No allocation fails after this. */
int memory_has_failed(void);

#endif
