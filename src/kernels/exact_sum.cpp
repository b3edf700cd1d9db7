// Sums of the significands of float64 numbers by exponent. See chunkwise/ops/exact_sum.py.
#include "kernels.hpp"

namespace {

constexpr int LOW_BITS = 26;
constexpr int64_t EXPONENTS = 2048;

// parts has the sums of the high halves, then those of the low ones.
void accumulate(Solid<const int64_t, 1> bits, Solid<int64_t, 2> parts) {
    int64_t *high_sums = parts.data(), *low_sums = high_sums + EXPONENTS;
    for (size_t i = 0; i < bits.shape(0); i++) {
        const int64_t value = bits.data()[i];
        const int64_t exponent = (value >> 52) & 0x7FF;
        int64_t significand = value & 0xFFFFFFFFFFFFF;
        if (exponent) significand |= (int64_t)1 << 52;
        const int64_t high = significand >> LOW_BITS, low = significand & (((int64_t)1 << LOW_BITS) - 1);
        if (exponent == 0x7FF) {
            high_sums[exponent] = 1;  // infinite, or not a number
        } else if (value < 0) {
            high_sums[exponent] -= high;
            low_sums[exponent] -= low;
        } else {
            high_sums[exponent] += high;
            low_sums[exponent] += low;
        }
    }
}

const Register register_exact_sum([](nb::module_ &m) {
    m.def("accumulate", &accumulate, nb::arg("bits").noconvert(), nb::arg("parts").noconvert(), without_gil());
});

}  // namespace
