// Median and other ranks of a neighbourhood, by bisection: see chunkwise/ops/median.py, which says what is computed and why it is equal to SciPy.
//
// Of n values in order, that at place k is the largest number below which at most k of them lie; k is n / 2 for the
// median. Its bits are found from the
// highest to the lowest, by counting the values below a candidate: comparisons and sums only, no branch that depends on
// a voxel, and so the same code for a whole register of neighbouring voxels, for every type and every size. Bits in
// which the whole neighbourhood agrees are not asked for.
//
// Written once, compiled for two kinds of SIMD: see gaussian.cpp. No level changes a result. A third, of AVX-512, was not
// faster: nearly all of its loads lie across two lines of the cache.
#include "kernels.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

namespace {

struct Size {
    int64_t z, y, x;
};

template <int BYTES> struct SignedOf;
template <> struct SignedOf<1> { using type = int8_t; };
template <> struct SignedOf<2> { using type = int16_t; };
template <> struct SignedOf<4> { using type = int32_t; };
template <> struct SignedOf<8> { using type = int64_t; };
template <class T> using KeyOf = typename SignedOf<sizeof(T)>::type;

// A voxel as a signed integer of the same order, and back.
template <class T> INLINE KeyOf<T> to_key(T value) {
    using Key = KeyOf<T>;
    if constexpr (std::is_floating_point_v<T>) {
        const Key bits = std::bit_cast<Key>(value);
        return bits ^ ((bits >> (8 * sizeof(T) - 1)) & std::numeric_limits<Key>::max());
    } else if constexpr (std::is_unsigned_v<T>) {
        return (Key)(value ^ (T)std::numeric_limits<Key>::min());
    } else {
        return value;
    }
}

template <class T> INLINE T from_key(KeyOf<T> key) {
    using Key = KeyOf<T>;
    if constexpr (std::is_floating_point_v<T>)
        return std::bit_cast<T>((Key)(key ^ ((key >> (8 * sizeof(T) - 1)) & std::numeric_limits<Key>::max())));
    else if constexpr (std::is_unsigned_v<T>)
        return (T)key ^ (T)std::numeric_limits<Key>::min();
    else
        return key;
}

// What has no place in that order as SciPy sees it, which sorts float64 by '<': not-a-number, a zero with a minus, and
// integers that float64 rounds.
template <class T> INLINE bool is_odd(T value) {
    if constexpr (std::is_floating_point_v<T>)
        return value != value || std::bit_cast<KeyOf<T>>(value) == std::numeric_limits<KeyOf<T>>::min();
    else if constexpr (sizeof(T) == 8 && std::is_unsigned_v<T>)
        return value > (uint64_t)1 << 53;
    else if constexpr (sizeof(T) == 8)
        return (uint64_t)value + ((uint64_t)1 << 53) > (uint64_t)1 << 54;
    else
        return false;
}

// The same in a wider integer, of which the higher bits are all zero.
template <class W, class T> INLINE W to_wide(T value) {
    using Key = KeyOf<T>;
    if constexpr (sizeof(W) == sizeof(T)) return to_key(value);
    return (std::make_unsigned_t<Key>)(to_key(value) ^ std::numeric_limits<Key>::min());
}

template <class T, class W> INLINE T from_wide(W wide) {
    using Key = KeyOf<T>;
    if constexpr (sizeof(W) == sizeof(T)) return from_key<T>(wide);
    return from_key<T>((Key)(wide ^ std::numeric_limits<Key>::min()));
}

// A block of which some planes at a time are held as keys W, mirrored along x and with room to read on.
template <class T, class W> struct Block {
    static constexpr int64_t CHUNK = 128 / sizeof(W);  // no kind of SIMD computes more voxels at once

    const T *source;
    int64_t nz, ny, nx;
    Bounds bounds;
    Size size;
    int64_t low_x, width, length, low_y, high_y, slots;
    std::vector<W> planes;
    std::vector<const W *> rows;

    Block(const T *source, int64_t nz, int64_t ny, int64_t nx, Bounds b, Size size)
        : source(source), nz(nz), ny(ny), nx(nx), bounds(b), size(size), low_x(b.x0 - size.x / 2), width(b.x1 - b.x0),
          length((width + CHUNK - 1) / CHUNK * CHUNK + size.x - 1), low_y(std::max<int64_t>(0, b.y0 - size.y / 2)),
          high_y(std::min(ny, b.y1 + size.y / 2)), slots(std::min(nz, size.z)),
          planes(slots * (high_y - low_y) * length), rows(size.z * size.y) {}

    W *row(int64_t z, int64_t y) {
        return planes.data() + ((z % slots) * (high_y - low_y) + y - low_y) * length;
    }

    // Whether the plane could be ordered.
    INLINE bool load(int64_t z) {
        const int64_t begin = std::max<int64_t>(0, low_x), end = std::min(nx, low_x + length);
        bool odd = false;
        for (int64_t y = low_y; y < high_y; y++) {
            const T *from = source + (z * ny + y) * nx;
            W *to = row(z, y);
            for (int64_t x = low_x; x < begin; x++) to[x - low_x] = to_wide<W>(from[reflect(x, nx)]);
            for (int64_t x = begin; x < end; x++) {
                odd |= is_odd(from[x]);
                to[x - low_x] = to_wide<W>(from[x]);
            }
            for (int64_t x = end; x < low_x + length; x++) to[x - low_x] = to_wide<W>(from[reflect(x, nx)]);
        }
        return !odd;
    }

    void point_at(int64_t z, int64_t y) {
        auto next = rows.begin();
        for (int64_t k = 0; k < size.z; k++)
            for (int64_t j = 0; j < size.y; j++)
                *next++ = row(reflect(z + k - size.z / 2, nz), reflect(y + j - size.y / 2, ny));
    }
};

// Registers of BYTES, four of which are filled at once.
template <class W, int BYTES> struct Registers {
    typedef W V __attribute__((vector_size(BYTES)));
    static constexpr int64_t LANES = BYTES / sizeof(W), COUNT = 4, CHUNK = COUNT * LANES;

    // A register at an address of any alignment.
    struct __attribute__((packed, may_alias)) Loose {
        V v;
    };
    static INLINE const Loose *at(const W *from) { return reinterpret_cast<const Loose *>(from); }

    // The bits in which any two values of the chunk's neighbourhoods differ.
    static INLINE W differing(const std::vector<const W *> &rows, int64_t x, int64_t size_x) {
        const V first = V{} + rows[0][x];
        const int64_t last = CHUNK + size_x - 1 - LANES;
        V differ = {};
        for (const W *row : rows) {
            for (int64_t i = 0; i < last; i += LANES) differ |= at(row + x + i)->v ^ first;
            differ |= at(row + x + last)->v ^ first;
        }
        W all = 0;
        for (int64_t i = 0; i < LANES; i++) all |= differ[i];
        return all;
    }

    // The values at place 'rank' of a chunk of which the neighbourhoods begin at x in these rows.
    static INLINE void ranked(const std::vector<const W *> &rows, int64_t x, int64_t size_x, int64_t rank, W *out) {
        using U = std::make_unsigned_t<W>;
        const U differ = (U)differing(rows, x, size_x), sign = (U)1 << (8 * sizeof(W) - 1);
        // The smallest number that they could be. A sign bit that is set is a small one's, so that turning a bit round
        // always raises the number.
        const V least = V{} + (W)((((U)rows[0][x] ^ sign) & (U)~differ) ^ sign);
        V found[COUNT] = {least, least, least, least};
        for (U bit = sign; bit; bit >>= 1) {
            if (!(differ & bit)) continue;
            const V none = V{} + (W)(-1 - rank), turned = V{} + (W)bit;
            V candidate[COUNT] = {found[0] ^ turned, found[1] ^ turned, found[2] ^ turned, found[3] ^ turned};
            V count[COUNT] = {none, none, none, none};
            for (const W *row : rows)
                for (int64_t i = 0; i < size_x; i++)
                    for (int64_t u = 0; u < COUNT; u++)
                        count[u] -= (V)(at(row + x + i + u * LANES)->v < candidate[u]);
            // Negative where at most 'rank' values lie below the candidate.
            for (int64_t u = 0; u < COUNT; u++) found[u] = count[u] < 0 ? candidate[u] : found[u];
        }
        std::memcpy(out, found, sizeof(found));
    }
};

template <int BYTES, class T, class W> INLINE bool filter_body(Block<T, W> &block, int64_t rank, T *out) {
    const Bounds &b = block.bounds;
    using At = Registers<W, BYTES>;
    W found[At::CHUNK];
    int64_t loaded = std::max<int64_t>(0, b.z0 - block.size.z / 2);
    for (int64_t z = b.z0; z < b.z1; z++) {
        for (; loaded < std::min(block.nz, z + (block.size.z + 1) / 2); loaded++)
            if (!block.load(loaded)) return false;
        for (int64_t y = b.y0; y < b.y1; y++) {
            block.point_at(z, y);
            for (int64_t x = 0; x < block.width; x += At::CHUNK) {
                At::ranked(block.rows, x, block.size.x, rank, found);
                const int64_t n = std::min(At::CHUNK, block.width - x);
                for (int64_t i = 0; i < n; i++) out[x + i] = from_wide<T>(found[i]);
            }
            out += block.width;
        }
    }
    return true;
}

#define FOR_TARGET(name, bytes, target)                                                                      \
    struct name {                                                                                            \
        template <class T, class W> target static bool filter(Block<T, W> &block, int64_t rank, T *out) {    \
            return filter_body<bytes>(block, rank, out);                                                     \
        }                                                                                                    \
    };

FOR_TARGET(Baseline, 16, __attribute__((flatten)))
#ifdef __x86_64__
FOR_TARGET(Avx2, 32, __attribute__((flatten, target(AVX2))))
#endif

template <class W, class T>
bool filter(const Solid<const T, 3> &source, Edges edges, Size size, int64_t rank, T *out) {
    auto [z0, z1, y0, y1, x0, x1] = edges;
    Block<T, W> block(source.data(), (int64_t)source.shape(0), (int64_t)source.shape(1), (int64_t)source.shape(2),
                      {z0, z1, y0, y1, x0, x1}, size);
#ifdef __x86_64__
    if (simd_level() != baseline) return Avx2::filter(block, rank, out);
#endif
    return Baseline::filter(block, rank, out);
}

// False, and the output is to be thrown away, where a voxel has no place in the order.
template <class T>
bool rank_filter(Solid<const T, 3> source, Edges edges, std::tuple<int64_t, int64_t, int64_t> sizes, int64_t rank,
                 Solid<T, 3> out) {
    auto [z, y, x] = sizes;
    const int64_t n = z * y * x;
    // Counts are kept in as many bits as voxels: more of them where the neighbourhood is larger.
    if constexpr (sizeof(T) == 1)
        if (n < 1 << 8) return filter<int8_t>(source, edges, {z, y, x}, rank, out.data());
    if constexpr (sizeof(T) <= 2)
        if (n < 1 << 16) return filter<int16_t>(source, edges, {z, y, x}, rank, out.data());
    return filter<std::conditional_t<sizeof(T) == 8, int64_t, int32_t>>(source, edges, {z, y, x}, rank, out.data());
}

const Register register_rank_filter([](nb::module_ &m) {
    each_real([&]<class T>() {
        m.def("rank_filter", &rank_filter<T>, nb::arg("source").noconvert(), nb::arg("bounds"), nb::arg("size"),
              nb::arg("rank"), nb::arg("out").noconvert(), without_gil());
    });
});

}  // namespace
