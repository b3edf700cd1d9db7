// Contrast-limited equalisation by tiles: counts, the maps made of them, and what lies between: see chunkwise/ops/clahe.py.
#include "kernels.hpp"

namespace {

// Of one axis: for every voxel that counts, its place in the block, its tile, and how many times it counts there.
using Entries = Solid<const int64_t, 2>;

// Adds to counts[tile z, tile y, tile x, bin].
void count_tiles(Solid<const uint16_t, 3> bins, Entries along_z, Entries along_y, Entries along_x,
                 Solid<int64_t, 4> counts) {
    const int64_t ny = bins.shape(1), nx = bins.shape(2), n = counts.shape(3);
    const int64_t ty = counts.shape(1), tx = counts.shape(2);
    const int64_t rows_z = along_z.shape(1), rows_y = along_y.shape(1), rows_x = along_x.shape(1);
    const int64_t *z = along_z.data(), *y = along_y.data(), *x = along_x.data();
    for (int64_t i = 0; i < rows_z; i++)
        for (int64_t j = 0; j < rows_y; j++) {
            const uint16_t *row = bins.data() + (z[i] * ny + y[j]) * nx;
            int64_t *own = counts.data() + (z[rows_z + i] * ty + y[rows_y + j]) * tx * n;
            const int64_t times = z[2 * rows_z + i] * y[2 * rows_y + j];
            for (int64_t k = 0; k < rows_x; k++) own[x[rows_x + k] * n + row[x[k]]] += times * x[2 * rows_x + k];
        }
}

// Cut counts off at a limit and hand out what was cut to all bins, as scikit-image's clip_histogram does, step by step.
void clip(int64_t *counts, int64_t n, int64_t limit) {
    int64_t excess = 0;
    for (int64_t i = 0; i < n; i++)
        if (counts[i] > limit) excess += counts[i] - limit, counts[i] = limit;
    const int64_t more = excess / n, upper = limit - more;
    for (int64_t i = 0; i < n; i++)
        if (counts[i] < upper) counts[i] += more, excess -= more;
    int64_t under = 0;  // bins that can take more
    for (int64_t i = 0; i < n; i++)
        if (counts[i] >= upper && counts[i] < limit) excess -= limit - counts[i], counts[i] = limit;
    for (int64_t i = 0; i < n; i++) under += counts[i] < limit;
    while (excess > 0) {
        const int64_t before = excess;
        for (int64_t first = 0; first < n; first++) {
            const int64_t step = std::max<int64_t>(1, floor_div(under, excess));
            for (int64_t i = first; i < n; i += step)
                if (counts[i] < limit) under -= ++counts[i] == limit, excess--;
            if (excess <= 0) break;
        }
        if (excess == before) break;
    }
}

// Of every tile: what its bins become, from 0 to `top`, the share of its voxels up to that bin.
void map_tiles(Solid<int64_t, 2> counts, int64_t limit, double share, double top, Solid<uint16_t, 2> maps) {
    const int64_t n = counts.shape(1);
    for (size_t tile = 0; tile < counts.shape(0); tile++) {
        int64_t *own = counts.data() + tile * n, sum = 0;
        clip(own, n, limit);
        for (int64_t i = 0; i < n; i++) {
            sum += own[i];
            maps.data()[tile * n + i] = (uint16_t)std::min((double)sum * share, top);
        }
    }
}

// Of one axis: the two tiles that a voxel lies between, and how near it is to the second, from 0 to 1.
struct Between {
    const int64_t *tile;
    const double *near;
    int64_t size;
    int64_t first(int64_t i) const { return tile[i]; }
    int64_t second(int64_t i) const { return tile[size + i]; }
};

// Between the maps of the tiles around each voxel; products in double and sums in float, in scikit-image's order.
void between_tiles(Solid<const uint16_t, 3> bins, Solid<const uint16_t, 4> maps, Solid<const int64_t, 2> tiles_z,
                   Solid<const double, 1> near_z, Solid<const int64_t, 2> tiles_y, Solid<const double, 1> near_y,
                   Solid<const int64_t, 2> tiles_x, Solid<const double, 1> near_x, Solid<uint16_t, 3> out) {
    const Between z{tiles_z.data(), near_z.data(), (int64_t)near_z.shape(0)},
        y{tiles_y.data(), near_y.data(), (int64_t)near_y.shape(0)},
        x{tiles_x.data(), near_x.data(), (int64_t)near_x.shape(0)};
    const int64_t ty = maps.shape(1), tx = maps.shape(2), n = maps.shape(3);
    const uint16_t *bin = bins.data();
    uint16_t *to = out.data();
    for (int64_t i = 0; i < z.size; i++)
        for (int64_t j = 0; j < y.size; j++) {
            const uint16_t *rows[4];
            double weights[4][2];
            int used = 0;
            for (int e = 0; e < 4; e++) {
                const double of_z = e & 2 ? z.near[i] : 1 - z.near[i];
                if (of_z == 0) continue;  // such as along the only plane
                const int64_t place_z = e & 2 ? z.second(i) : z.first(i), place_y = e & 1 ? y.second(j) : y.first(j);
                rows[used] = maps.data() + (place_z * ty + place_y) * tx * n;
                weights[used][0] = e & 1 ? y.near[j] : 1 - y.near[j];
                weights[used++][1] = of_z;
            }
            for (int64_t k = 0; k < x.size; k++) {
                const int64_t first = x.first(k) * n + bin[k], second = x.second(k) * n + bin[k];
                const double near = x.near[k], far = 1 - near;
                float sum = 0;
                for (int e = 0; e < used; e++) {
                    sum += (float)(rows[e][first] * (far * weights[e][0] * weights[e][1]));
                    sum += (float)(rows[e][second] * (near * weights[e][0] * weights[e][1]));
                }
                to[k] = (uint16_t)sum;
            }
            bin += x.size;
            to += x.size;
        }
}

const Register register_tiles([](nb::module_ &m) {
    m.def("count_tiles", &count_tiles, nb::arg("bins").noconvert(), nb::arg("along_z").noconvert(),
          nb::arg("along_y").noconvert(), nb::arg("along_x").noconvert(), nb::arg("counts").noconvert(), without_gil());
    m.def("map_tiles", &map_tiles, nb::arg("counts").noconvert(), nb::arg("limit"), nb::arg("share"), nb::arg("top"),
          nb::arg("maps").noconvert(), without_gil());
    m.def("between_tiles", &between_tiles, nb::arg("bins").noconvert(), nb::arg("maps").noconvert(),
          nb::arg("tiles_z").noconvert(), nb::arg("near_z").noconvert(), nb::arg("tiles_y").noconvert(),
          nb::arg("near_y").noconvert(), nb::arg("tiles_x").noconvert(), nb::arg("near_x").noconvert(),
          nb::arg("out").noconvert(), without_gil());
});

}  // namespace
