// Shared by all kernels: arrays of NumPy as views, and what they hand back.
//
// A kernel is a pure function of arrays. It never raises: shapes and types are the caller's to bring, and an array of
// another type than the declared one is refused by nanobind (nothing is converted without being asked).
// Arithmetic is defined everywhere: integers wrap (-fwrapv), nothing is contracted or reordered (-ffp-contract=off, no
// -ffast-math), so that every processor gives the same bytes.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace nb = nanobind;

// An array as it lies, strides and all, and one that lies without gaps.
template <class T, int N> using Strided = nb::ndarray<T, nb::numpy, nb::ndim<N>, nb::device::cpu>;
template <class T, int N> using Solid = nb::ndarray<T, nb::numpy, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

// A line and a volume whose steps are counted in elements.
template <class T> struct Line {
    T *data;
    int64_t step, size;
    T &operator[](int64_t i) const { return data[i * step]; }
    static Line of(const Strided<T, 1> &array) { return {array.data(), array.stride(0), (int64_t)array.shape(0)}; }
};

template <class T> struct Plane {
    T *data;
    int64_t step[2], size[2];
    T &operator()(int64_t y, int64_t x) const { return data[y * step[0] + x * step[1]]; }
    static Plane of(const Strided<T, 2> &array) {
        return {array.data(), {array.stride(0), array.stride(1)}, {(int64_t)array.shape(0), (int64_t)array.shape(1)}};
    }
};

template <class T> struct Volume {
    T *data;
    int64_t step[3], size[3];
    T &operator()(int64_t z, int64_t y, int64_t x) const { return data[z * step[0] + y * step[1] + x * step[2]]; }
    static Volume of(const Strided<T, 3> &array) {
        return {array.data(),
                {array.stride(0), array.stride(1), array.stride(2)},
                {(int64_t)array.shape(0), (int64_t)array.shape(1), (int64_t)array.shape(2)}};
    }
};

// The part of a volume that is computed, in voxels; Python brings it as a tuple.
struct Bounds {
    int64_t z0, z1, y0, y1, x0, x1;
};
using Edges = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;

#define INLINE inline __attribute__((always_inline))

// Index of position i in a line of n that goes on mirrored at its edges (d c b a | a b c d | d c b a).
INLINE int64_t reflect(int64_t i, int64_t n) {
    if (0 <= i && i < n) return i;
    i %= 2 * n;
    if (i < 0) i += 2 * n;
    return i < n ? i : 2 * n - 1 - i;
}

// Division as in Python: rounded down.
inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// Hand a vector to NumPy without copying it.
template <class T> auto as_array(std::vector<T> &&values) {
    auto *kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void *p) noexcept { delete static_cast<std::vector<T> *>(p); });
    return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}

// Call a template for every type in a list: each_type<uint8_t, float>([]<class T>() { ... }).
template <class... T, class F> void each_type(F function) { (function.template operator()<T>(), ...); }
template <class F> void each_integer(F function) {
    each_type<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, uint64_t, int64_t>(function);
}
template <class F> void each_real(F function) {
    each_integer(function);
    each_type<float, double>(function);
}

// The kinds of SIMD that a kernel may be compiled for, and the one that is to run: see simd.cpp.
enum Level { baseline, avx2, avx512 };
Level simd_level();
#define AVX2 "avx2"
#define AVX512 "avx512f,avx512bw,avx512dq,avx512vl"

// Kernels register themselves, so that a new one is one file and one line of the build.
using Registrar = void (*)(nb::module_ &);
std::vector<Registrar> &registrars();
struct Register {
    explicit Register(Registrar function) { registrars().push_back(function); }
};

using without_gil = nb::call_guard<nb::gil_scoped_release>;
