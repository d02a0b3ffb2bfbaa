/* The table of kernels, which build.py writes. */
#include <stdint.h>

#define MAX_VARIANTS 2

typedef int (*Entry)(int64_t *block);

typedef struct {
    const char *name;      /* module.function; rows are sorted by it */
    const char *arguments; /* their formats: see calls.c */
    const char *result;    /* its format */
    int count;             /* of arguments */
    Entry entries[MAX_VARIANTS];
} Row;

extern const Row table[];
extern const int table_size;

/* kinds of processors, the most capable first, and whether this processor is of that kind */
extern const char *const variant_names[];
extern const int variant_count;
int variant_runs(int variant);

int x86_64_level(void); /* on x86-64 alone */
