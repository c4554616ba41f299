/* Large memory. In huge pages, where Linux has them, there is one fault for 2 MB instead of 512, each of which takes as
   long as hundreds of operations. What lies idle is given back. */

#ifndef TINYGRAD_SCALAR_HUGE_PAGES_H
#define TINYGRAD_SCALAR_HUGE_PAGES_H

#include <stddef.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define HUGE_PAGE ((size_t)1 << 21)

/* Ask for huge pages in the part of a new block of memory that can have them. */
static inline void ask_for_huge_pages(void *start, size_t size)
{
#ifdef MADV_HUGEPAGE
    size_t first = ((size_t)start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1), end = ((size_t)start + size) & ~(HUGE_PAGE - 1);
    if (end > first)
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)start, (void)size;
#endif
}

/* Give the system back what was freed, and what the C library keeps for later: before much is asked for. */
static inline void give_back_freed_memory(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

#endif
