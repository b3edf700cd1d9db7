// What tests/ops/counted_calls.py tells callgrind, which runs it: count from here, and write down what was counted.
#include <valgrind/callgrind.h>

void prepare(void) { CALLGRIND_START_INSTRUMENTATION; }

void begin(void) {
    CALLGRIND_ZERO_STATS;
    CALLGRIND_TOGGLE_COLLECT;
}

void end(const char *name) {
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(name);
}
