// Which kinds of SIMD this processor has, and which one the kernels run: the best, unless a test asks for another.
#include "kernels.hpp"

#include <cstring>

namespace {

const char *const NAMES[] = {"baseline", "avx2", "avx512"};

bool can_run(Level level) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (level == avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (level == avx2) return __builtin_cpu_supports("avx2");
#endif
    return level == baseline;
}

Level best() {
    for (Level level : {avx512, avx2})
        if (can_run(level)) return level;
    return baseline;
}

Level chosen = best();

const Register register_simd([](nb::module_ &m) {
    // For tests and benchmarks.
    m.def("simd_level", [] { return NAMES[chosen]; });
    m.def("simd_levels", [] {
        nb::list names;
        for (Level level : {baseline, avx2, avx512})
            if (can_run(level)) names.append(NAMES[level]);
        return names;
    });
    m.def("set_simd_level", [](const char *name) {
        for (Level level : {baseline, avx2, avx512})
            if (can_run(level) && !std::strcmp(name, NAMES[level])) {
                chosen = level;
                return;
            }
        throw nb::value_error("this processor has no such level");
    });
});

}  // namespace

Level simd_level() { return chosen; }
