/* Buffers one after the other in memory that the bindings reserve, each on its own cache line.
 *
 * Under AddressSanitizer a red zone follows each, so that an overrun into the next one is
 * caught. */
#ifndef CYLSTM_ARENA
#define CYLSTM_ARENA

#include <stddef.h>

#include "../tuning.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_RED_ZONES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_RED_ZONES 1
#endif

#if defined(ARENA_RED_ZONES)
#include <sanitizer/asan_interface.h>
enum { RED_ZONE = CACHE_LINE };
#else
enum { RED_ZONE = 0 };
#endif

/* Without memory it only counts bytes. */
typedef struct {
    char *memory;
    ptrdiff_t used;
} arena;

static inline ptrdiff_t arena_bytes(ptrdiff_t n_bytes)
{
    return (n_bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE + RED_ZONE;
}

/* The next n numbers of `item` bytes, or NULL where they are not wanted. */
static inline void *arena_take(arena *a, ptrdiff_t n, size_t item, int wanted)
{
    const ptrdiff_t n_bytes = n * (ptrdiff_t)item;
    char *here = a->memory ? a->memory + a->used : NULL;
    if (!wanted)
        return NULL;
#if defined(ARENA_RED_ZONES)
    if (here) {
        ASAN_UNPOISON_MEMORY_REGION(here, n_bytes);
        ASAN_POISON_MEMORY_REGION(here + n_bytes, arena_bytes(n_bytes) - n_bytes);
    }
#endif
    a->used += arena_bytes(n_bytes);
    return here;
}

/* Of `capacity` bytes only the first n_bytes may be touched from now on. */
static inline void arena_limit(char *memory, ptrdiff_t n_bytes, ptrdiff_t capacity)
{
#if defined(ARENA_RED_ZONES)
    ASAN_UNPOISON_MEMORY_REGION(memory, n_bytes);
    ASAN_POISON_MEMORY_REGION(memory + n_bytes, capacity - n_bytes);
#else
    (void)memory, (void)n_bytes, (void)capacity;
#endif
}

#endif
