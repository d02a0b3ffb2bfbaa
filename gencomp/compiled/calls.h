/* The table of kernels, which is written when the library is built. */
#include <stdint.h>

#define MAX_VARIANTS 2

typedef int (*Entry)(int64_t *block);

typedef struct {
    const char *name;      /* module.function; rows are sorted by it */
    const char *arguments; /* formats: see calls.c */
    const char *result;
    int count; /* of arguments */
    Entry entries[MAX_VARIANTS];
} Row;

extern const Row table[];
extern const int table_size;

/* processors, the most capable first, and whether this one is such */
extern const char *const variant_names[];
extern const int variant_count;
int variant_runs(int variant);
