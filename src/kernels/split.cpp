// Distances, peaks and flooding inside one component. See chunkwise/ops/split.py.
#include "kernels.hpp"

namespace {

constexpr int64_t FAR = INT32_MAX;  // further away than any voxel

// Room for one line: heights, the parabolas that are lowest somewhere, and from where on each is.
struct Envelope {
    std::vector<int64_t> line, sites, begins;
    explicit Envelope(int64_t longest) : line(longest), sites(longest), begins(longest) {}

    // Keep the parabolas that are lowest somewhere between start and stop; then read them off.
    void lower_run(Line<int32_t> values, int64_t start, int64_t stop, int64_t weight) {
        int64_t last = -1;
        for (int64_t u = start; u < stop; u++) {
            const int64_t height = values[u];
            line[u] = height;
            if (height == FAR) continue;
            while (last >= 0) {
                const int64_t t = begins[last], s = sites[last];
                if (line[s] + weight * (t - s) * (t - s) <= height + weight * (t - u) * (t - u)) break;
                last--;
            }
            if (last < 0) {
                last = 0;
                sites[0] = u;
                begins[0] = start;
            } else {
                const int64_t s = sites[last];
                const int64_t begin =
                    1 + floor_div(weight * (u * u - s * s) + height - line[s], 2 * weight * (u - s));
                if (begin < stop) {
                    last++;
                    sites[last] = u;
                    begins[last] = begin;
                }
            }
        }
        if (last < 0) return;
        for (int64_t u = stop - 1; u >= start; u--) {
            const int64_t s = sites[last];
            values[u] = (int32_t)(line[s] + weight * (u - s) * (u - s));
            if (u == begins[last]) last--;
        }
    }

    // Take distances along one more axis into account: min over j of values[j] + weight * (i - j)^2.
    void lower_line(Line<int32_t> values, int64_t weight) {
        for (int64_t start = 0; start < values.size;) {
            if (values[start] == 0) {
                start++;
                continue;
            }
            int64_t stop = start;
            while (stop < values.size && values[stop] != 0) stop++;
            // Beyond the zeros at its ends nothing can be nearer to a run.
            lower_run(values, std::max<int64_t>(start - 1, 0), std::min(stop + 1, values.size), weight);
            start = stop;
        }
    }
};

void squared_distances(Solid<const bool, 3> mask, int64_t wz, int64_t wy, int64_t wx, Solid<int32_t, 3> out) {
    const int64_t nz = mask.shape(0), ny = mask.shape(1), nx = mask.shape(2);
    for (int64_t row = 0; row < nz * ny; row++) {
        const bool *inside = mask.data() + row * nx;
        int32_t *to = out.data() + row * nx;
        int64_t steps = FAR;
        for (int64_t x = 0; x < nx; x++) {
            steps = inside[x] ? std::min(steps + 1, FAR) : 0;
            to[x] = (int32_t)steps;
        }
        steps = FAR;
        for (int64_t x = nx - 1; x >= 0; x--) {
            steps = inside[x] ? std::min(steps + 1, FAR) : 0;
            const int64_t nearest = std::min<int64_t>(steps, to[x]);
            to[x] = (int32_t)(nearest == FAR ? FAR : wx * nearest * nearest);
        }
    }
    Envelope envelope(std::max(nz, ny));
    if (ny > 1)
        for (int64_t z = 0; z < nz; z++)
            for (int64_t x = 0; x < nx; x++) envelope.lower_line({out.data() + z * ny * nx + x, nx, ny}, wy);
    if (nz > 1)
        for (int64_t y = 0; y < ny; y++)
            for (int64_t x = 0; x < nx; x++) envelope.lower_line({out.data() + y * nx + x, ny * nx, nz}, wz);
}

// Flat indices of voxels that none of their up to 26 neighbours is higher than.
auto local_maxima(Solid<const int32_t, 3> array) {
    std::vector<int64_t> found;
    {
        nb::gil_scoped_release release;
        const int64_t nz = array.shape(0), ny = array.shape(1), nx = array.shape(2);
        const int32_t *heights = array.data();
        for (int64_t z = 0; z < nz; z++)
            for (int64_t y = 0; y < ny; y++)
                for (int64_t x = 0; x < nx; x++) {
                    const int32_t *here = heights + (z * ny + y) * nx + x, height = *here;
                    if (height == 0) continue;
                    // Most voxels have a higher neighbour before or behind them.
                    if ((x > 0 && here[-1] > height) || (x + 1 < nx && here[1] > height)) continue;
                    bool highest = true;
                    for (int64_t k = std::max<int64_t>(z - 1, 0); k < std::min(z + 2, nz); k++)
                        for (int64_t j = std::max<int64_t>(y - 1, 0); j < std::min(y + 2, ny); j++)
                            for (int64_t i = std::max<int64_t>(x - 1, 0); i < std::min(x + 2, nx); i++)
                                highest = highest && heights[(k * ny + j) * nx + i] <= height;
                    if (highest) found.push_back((z * ny + y) * nx + x);
                }
    }
    return as_array(std::move(found));
}

// Drop peaks that are less than the distance from one kept before; peaks so near are of one height.
auto thin(Solid<const int64_t, 1> found, int64_t nz, int64_t ny, int64_t nx, int64_t min_distance) {
    std::vector<int64_t> kept;
    {
        nb::gil_scoped_release release;
        std::vector<uint8_t> taken(nz * ny * nx);
        for (size_t k = 0; k < found.shape(0); k++) {
            const int64_t place = found.data()[k];
            if (taken[place]) continue;
            kept.push_back(place);
            const int64_t z = place / (ny * nx), y = place / nx % ny, x = place % nx;
            const int64_t x0 = std::max<int64_t>(x - min_distance + 1, 0), x1 = std::min(x + min_distance, nx);
            for (int64_t j = std::max<int64_t>(z - min_distance + 1, 0); j < std::min(z + min_distance, nz); j++)
                for (int64_t i = std::max<int64_t>(y - min_distance + 1, 0); i < std::min(y + min_distance, ny); i++)
                    std::fill_n(taken.data() + (j * ny + i) * nx + x0, x1 - x0, 1);
        }
    }
    return as_array(std::move(kept));
}

// Watershed from the highest voxels down: one queue a height, first come first served. The frame of the array is 0;
// 'following' holds the queues. Seeds are queued before anything else, in raster order.
template <class Index>
void flood(Solid<const int32_t, 1> heights, Solid<const int64_t, 1> seeds, Solid<const int32_t, 1> numbers,
           Solid<const int64_t, 1> steps, int64_t top, Solid<Index, 1> following, Solid<int32_t, 1> parts) {
    const int32_t *high = heights.data();
    int32_t *part = parts.data();
    std::vector<int64_t> first(top + 1, -1), last(top + 1, -1);
    auto queue = [&](int64_t place, int64_t level) {
        following.data()[place] = -1;
        if (first[level] < 0)
            first[level] = place;
        else
            following.data()[last[level]] = (Index)place;
        last[level] = place;
    };
    for (size_t k = 0; k < seeds.shape(0); k++) {
        const int64_t place = seeds.data()[k];
        part[place] = numbers.data()[k];
        queue(place, high[place]);
    }
    for (int64_t height = top; height > 0;) {
        const int64_t place = first[height];
        if (place < 0) {
            height--;
            continue;
        }
        first[height] = following.data()[place];
        for (size_t k = 0; k < steps.shape(0); k++) {
            const int64_t neighbour = place + steps.data()[k];
            if (high[neighbour] == 0 || part[neighbour] != 0) continue;
            part[neighbour] = part[place];
            // What is higher than the flood stands at is flooded at once, not before.
            queue(neighbour, std::min<int64_t>(height, high[neighbour]));
        }
    }
}

const Register register_split([](nb::module_ &m) {
    m.def("squared_distances", &squared_distances, nb::arg("mask").noconvert(), nb::arg("wz"), nb::arg("wy"),
          nb::arg("wx"), nb::arg("out").noconvert(), without_gil());
    m.def("local_maxima", &local_maxima, nb::arg("heights").noconvert());
    m.def("thin", &thin, nb::arg("found").noconvert(), nb::arg("nz"), nb::arg("ny"), nb::arg("nx"),
          nb::arg("min_distance"));
    each_type<int32_t, int64_t>([&]<class Index>() {
        m.def("flood", &flood<Index>, nb::arg("heights").noconvert(), nb::arg("seeds").noconvert(),
              nb::arg("numbers").noconvert(), nb::arg("steps").noconvert(), nb::arg("top"),
              nb::arg("following").noconvert(), nb::arg("parts").noconvert(), without_gil());
    });
});

}  // namespace
