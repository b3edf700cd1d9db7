// Gaussian smoothing in SciPy's order: see chunkwise/ops/gaussian.py, which says what is computed and why it is equal.
//
// Written once, compiled for several kinds of SIMD, and chosen when the module is loaded. No level changes a result:
// every sum of a voxel is a chain of its own, so wider registers only take more voxels at once.
#include "kernels.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace {

struct Weights {
    const double *w;  // the right half of the kernel, centre first
    int64_t reach;
};

// The sum of two neighbours as float64. Small integers are added as integers: as exact, and converted once.
template <class T> INLINE double pair_sum(T low, T high) {
    if constexpr (std::is_integral_v<T> && sizeof(T) <= 2)
        return (double)((int32_t)low + (int32_t)high);
    else
        return (double)low + (double)high;
}

// Truncate as an x86 processor does, also where the number does not fit: there C++ leaves the result open, and
// wider registers would give another one.
template <class T> INLINE T truncated(double value) {
    if constexpr (std::is_same_v<T, int64_t>) {
        return value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
    } else if constexpr (std::is_same_v<T, uint64_t>) {
        if (value < 0x1p63) return value >= -0x1p63 ? (uint64_t)(int64_t)value : (uint64_t)INT64_MIN;
        return value < 0x1p64 ? (uint64_t)(int64_t)(value - 0x1p63) ^ (uint64_t)INT64_MIN : 0;
    } else if constexpr (std::is_same_v<T, uint32_t>) {
        return (uint32_t)(int64_t)value;
    } else if constexpr (std::is_integral_v<T>) {
        return (T)(int32_t)value;
    } else {
        return (T)value;
    }
}

template <class T> INLINE void add_pair(double *__restrict total, int64_t n, const T *low, const T *high, double w) {
    for (int64_t x = 0; x < n; x++) total[x] += pair_sum(low[x], high[x]) * w;
}

// Four pairs, the outermost first: in SciPy's order, but every sum is loaded and stored once.
template <class T>
INLINE void add_pairs(double *__restrict total, int64_t n, const T *low3, const T *high3, double w3, const T *low2,
                      const T *high2, double w2, const T *low1, const T *high1, double w1, const T *low0,
                      const T *high0, double w0) {
    for (int64_t x = 0; x < n; x++) {
        double s = total[x] + pair_sum(low3[x], high3[x]) * w3;
        s = s + pair_sum(low2[x], high2[x]) * w2;
        s = s + pair_sum(low1[x], high1[x]) * w1;
        total[x] = s + pair_sum(low0[x], high0[x]) * w0;
    }
}

// Sum the centre row and its neighbours, the outermost first; row(k) gives the row that lies k further.
template <class T, class Rows>
INLINE void sum_rows(Rows row, int64_t n, Weights weights, double *__restrict total) {
    const T *centre = row(0);
    for (int64_t x = 0; x < n; x++) total[x] = (double)centre[x] * weights.w[0];
    int64_t k = weights.reach;
    for (; k >= 4; k -= 4)
        add_pairs(total, n, row(-k), row(k), weights.w[k], row(1 - k), row(k - 1), weights.w[k - 1], row(2 - k),
                  row(k - 2), weights.w[k - 2], row(3 - k), row(k - 3), weights.w[k - 3]);
    for (; k > 0; k--) add_pair(total, n, row(-k), row(k), weights.w[k]);
}

// A block as (planes, rows, columns), and room for one plane on its way through the three axes.
template <class T> struct Smoother {
    const T *source;
    int64_t nz, ny, nx;
    Bounds bounds;
    Weights weights;
    bool solid;
    std::vector<T> across, along;
    std::vector<double> line, total;

    Smoother(const T *source, int64_t nz, int64_t ny, int64_t nx, Bounds bounds, Weights weights, bool solid)
        : source(source), nz(nz), ny(ny), nx(nx), bounds(bounds), weights(weights), solid(solid), across(ny * nx),
          along(nx), line(nx + 2 * weights.reach), total(nx) {}

    // Smooth plane p: across planes, along columns, then along rows into out, which has rows of the inner box.
    INLINE void plane(int64_t p, T *out) {
        const int64_t reach = weights.reach, width = bounds.x1 - bounds.x0;
        for (int64_t y = 0; y < ny; y++) {
            sum_rows<T>([&](int64_t k) { return source + (reflect(p + k, nz) * ny + y) * nx; }, nx, weights,
                        total.data());
            T *__restrict row = across.data() + y * nx;
            for (int64_t x = 0; x < nx; x++) row[x] = truncated<T>(total[x]);
        }
        for (int64_t y = bounds.y0; y < bounds.y1; y++) {
            const T *row = across.data() + y * nx;
            if (solid) {
                sum_rows<T>([&](int64_t k) { return across.data() + reflect(y + k, ny) * nx; }, nx, weights,
                            total.data());
                for (int64_t x = 0; x < nx; x++) along[x] = truncated<T>(total[x]);
                row = along.data();
            }
            double *middle = line.data() + reach;
            for (int64_t x = 0; x < nx; x++) middle[x] = (double)row[x];
            for (int64_t k = 0; k < reach; k++) {
                middle[-1 - k] = (double)row[reflect(-1 - k, nx)];
                middle[nx + k] = (double)row[reflect(nx + k, nx)];
            }
            sum_rows<double>([&](int64_t k) { return middle + bounds.x0 + k; }, width, weights, total.data());
            T *__restrict to = out + (y - bounds.y0) * width;
            for (int64_t x = 0; x < width; x++) to[x] = truncated<T>(total[x]);
        }
    }

    // Smooth plane after plane, and show each to whoever wants it; without smoothing, show the voxels themselves.
    template <class Use> INLINE void each_plane(bool smooth, Use use) {
        const int64_t height = bounds.y1 - bounds.y0, width = bounds.x1 - bounds.x0;
        std::vector<T> out(height * width);
        for (int64_t p = bounds.z0; p < bounds.z1; p++) {
            if (smooth)
                plane(p, out.data());
            else
                for (int64_t y = 0; y < height; y++)
                    std::memcpy(out.data() + y * width, source + (p * ny + bounds.y0 + y) * nx + bounds.x0,
                                width * sizeof(T));
            use(p - bounds.z0, out.data(), height * width);
        }
    }
};

// What is done with the smoothed planes.
template <class T> INLINE void store_body(Smoother<T> &block, T *out) {
    const int64_t size = (block.bounds.y1 - block.bounds.y0) * (block.bounds.x1 - block.bounds.x0);
    for (int64_t p = block.bounds.z0; p < block.bounds.z1; p++) block.plane(p, out + (p - block.bounds.z0) * size);
}

template <class T> INLINE void count_body(Smoother<T> &block, bool smooth, int64_t low, int64_t *counts) {
    block.each_plane(smooth, [&](int64_t, const T *plane, int64_t size) {
        for (int64_t i = 0; i < size; i++) counts[(int64_t)plane[i] - low]++;
    });
}

// Not the negation of each other where a voxel is not a number.
template <class T, class Limit>
INLINE void compare_body(Smoother<T> &block, bool smooth, Limit threshold, bool dark, uint8_t *mask) {
    block.each_plane(smooth, [&](int64_t p, const T *plane, int64_t size) {
        uint8_t *__restrict to = mask + p * size;
        if (dark)
            for (int64_t i = 0; i < size; i++) to[i] = (Limit)plane[i] <= threshold;
        else
            for (int64_t i = 0; i < size; i++) to[i] = (Limit)plane[i] > threshold;
    });
}

// The same code for each kind of SIMD. 'flatten' puts all of it into one function, compiled for that target.
#define FOR_TARGET(name, target)                                                                                     \
    struct name {                                                                                                    \
        template <class T> target static void store(Smoother<T> &block, T *out) { store_body(block, out); }          \
        template <class T> target static void count(Smoother<T> &block, bool smooth, int64_t low, int64_t *counts) { \
            count_body(block, smooth, low, counts);                                                                  \
        }                                                                                                            \
        template <class T, class Limit>                                                                              \
        target static void compare(Smoother<T> &block, bool smooth, Limit threshold, bool dark, uint8_t *mask) {     \
            compare_body(block, smooth, threshold, dark, mask);                                                      \
        }                                                                                                            \
    };

FOR_TARGET(Baseline, __attribute__((flatten)))
#ifdef __x86_64__
FOR_TARGET(Avx2, __attribute__((flatten, target(AVX2))))
FOR_TARGET(Avx512, __attribute__((flatten, target(AVX512))))
#endif

template <class Call> void dispatch(Call call) {
#ifdef __x86_64__
    if (simd_level() == avx512) return call(Avx512{});
    if (simd_level() == avx2) return call(Avx2{});
#endif
    call(Baseline{});
}

template <class T>
Smoother<T> smoother(const Solid<const T, 3> &source, Edges edges, const Solid<const double, 1> &weights, bool solid) {
    auto [z0, z1, y0, y1, x0, x1] = edges;
    return {source.data(), (int64_t)source.shape(0), (int64_t)source.shape(1), (int64_t)source.shape(2),
            {z0, z1, y0, y1, x0, x1}, {weights.data(), (int64_t)weights.shape(0) - 1}, solid};
}

template <class T>
void store(Solid<const T, 3> source, Edges edges, Solid<const double, 1> weights, bool solid, Solid<T, 3> out) {
    auto block = smoother<T>(source, edges, weights, solid);
    dispatch([&](auto target) { target.store(block, out.data()); });
}

template <class T>
void count(Solid<const T, 3> source, Edges edges, Solid<const double, 1> weights, bool solid, bool smooth, int64_t low,
           Solid<int64_t, 1> counts) {
    auto block = smoother<T>(source, edges, weights, solid);
    dispatch([&](auto target) { target.count(block, smooth, low, counts.data()); });
}

// Integers are compared as they are; floats as float64, in which every float32 is exact.
template <class T> using LimitOf = std::conditional_t<std::is_integral_v<T>, T, double>;

template <class T>
void compare(Solid<const T, 3> source, Edges edges, Solid<const double, 1> weights, bool solid, bool smooth,
             LimitOf<T> threshold, bool dark, Solid<bool, 3> mask) {
    auto block = smoother<T>(source, edges, weights, solid);
    auto *to = reinterpret_cast<uint8_t *>(mask.data());
    dispatch([&](auto target) { target.compare(block, smooth, threshold, dark, to); });
}

const Register register_gaussian([](nb::module_ &m) {
    each_real([&]<class T>() {
        m.def("gaussian_store", &store<T>, nb::arg("source").noconvert(), nb::arg("bounds"), nb::arg("weights"),
              nb::arg("solid"), nb::arg("out").noconvert(), without_gil());
        m.def("gaussian_compare", &compare<T>, nb::arg("source").noconvert(), nb::arg("bounds"), nb::arg("weights"),
              nb::arg("solid"), nb::arg("smooth"), nb::arg("threshold"), nb::arg("dark"),
              nb::arg("mask").noconvert(), without_gil());
    });
    each_type<uint8_t, int8_t, uint16_t, int16_t>([&]<class T>() {
        m.def("gaussian_count", &count<T>, nb::arg("source").noconvert(), nb::arg("bounds"), nb::arg("weights"),
              nb::arg("solid"), nb::arg("smooth"), nb::arg("low"), nb::arg("counts").noconvert(), without_gil());
    });
});

}  // namespace
