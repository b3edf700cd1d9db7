// Loops over the voxels of a block: which objects there are, and what is added up of each.
// See chunkwise/ops/object_kernels.py; 'index' is the number of each voxel's object, -1 for background.
#include "kernels.hpp"

#include <cmath>

namespace {

// A table from label to number by open addressing; its size is a power of two.
struct Numbers {
    std::vector<uint64_t> keys = std::vector<uint64_t>(4096);
    std::vector<int32_t> places = std::vector<int32_t>(4096, -1);
    std::vector<uint64_t> found;

    size_t slot(uint64_t value) const {
        const uint64_t mask = keys.size() - 1, spread = value * 0x9E3779B97F4A7C15u;
        uint64_t place = (spread ^ (spread >> 32)) & mask;
        while (places[place] >= 0 && keys[place] != value) place = (place + 1) & mask;
        return place;
    }

    void put(size_t place, uint64_t value, int32_t number) {
        keys[place] = value;
        places[place] = number;
    }

    int32_t number(uint64_t value) {
        size_t place = slot(value);
        if (places[place] < 0) {
            if (4 * found.size() >= keys.size()) {
                const size_t larger = 2 * keys.size();
                keys.assign(larger, 0);
                places.assign(larger, -1);
                for (size_t k = 0; k < found.size(); k++) put(slot(found[k]), found[k], (int32_t)k);
                place = slot(value);
            }
            put(place, value, (int32_t)found.size());
            found.push_back(value);
        }
        return places[place];
    }
};

template <class L> auto number_objects(Solid<const L, 1> labels, Solid<int32_t, 1> index) {
    Numbers numbers;
    {
        nb::gil_scoped_release release;
        const int64_t size = labels.shape(0);
        L before = 0;
        int32_t number = -1;
        for (int64_t i = 0; i < size; i++) {
            const L label = labels.data()[i];
            // Voxels of an object lie side by side: most of them need no look at the table.
            if (label != before) {
                before = label;
                number = label <= 0 ? -1 : numbers.number((uint64_t)label);
            }
            index.data()[i] = number;
        }
    }
    return as_array(std::move(numbers.found));
}

void first_met(Solid<const int32_t, 1> index, Solid<int64_t, 1> firsts) {
    int64_t met = 0;
    for (int64_t i = 0; i < (int64_t)index.shape(0); i++)
        if (index.data()[i] == met) firsts.data()[met++] = i;
}

void places(Solid<const int32_t, 3> index, Solid<int64_t, 1> count, Solid<int64_t, 2> sums, Solid<int64_t, 2> first,
            Solid<int64_t, 2> last, Solid<int64_t, 2> products) {
    const bool second = products.shape(0) > 0;
    const int64_t nz = index.shape(0), ny = index.shape(1), nx = index.shape(2);
    for (int64_t z = 0; z < nz; z++)
        for (int64_t y = 0; y < ny; y++) {
            const int32_t *row = index.data() + (z * ny + y) * nx;
            for (int64_t x = 0; x < nx;) {
                const int64_t k = row[x], begin = x++;
                // Voxels of an object lie side by side: a run is taken at once.
                while (x < nx && row[x] == k) x++;
                if (k < 0) continue;
                const int64_t n = x - begin, along = (begin + x - 1) * n / 2;
                count.data()[k] += n;
                int64_t *sum = sums.data() + 3 * k, *low = first.data() + 3 * k, *high = last.data() + 3 * k;
                const int64_t here[] = {z, y, begin}, there[] = {z, y, x - 1};
                for (int axis = 0; axis < 3; axis++) {
                    low[axis] = std::min(low[axis], here[axis]);
                    high[axis] = std::max(high[axis], there[axis]);
                }
                sum[0] += z * n;
                sum[1] += y * n;
                sum[2] += along;
                if (second) {
                    int64_t *product = products.data() + 6 * k;
                    product[0] += z * z * n;
                    product[1] += z * y * n;
                    product[2] += z * along;
                    product[3] += y * y * n;
                    product[4] += y * along;
                    // Squares up to x - 1, less those before the run.
                    product[5] += ((x - 1) * x * (2 * x - 1) - (begin - 1) * begin * (2 * begin - 1)) / 6;
                }
            }
        }
}

template <class T> void weighted(Solid<const int32_t, 3> index, Solid<const T, 3> voxels, Solid<double, 2> sums) {
    const int64_t nz = index.shape(0), ny = index.shape(1), nx = index.shape(2);
    for (int64_t z = 0; z < nz; z++)
        for (int64_t y = 0; y < ny; y++) {
            const int64_t at = (z * ny + y) * nx;
            const int32_t *row = index.data() + at;
            const T *values = voxels.data() + at;
            for (int64_t x = 0; x < nx;) {
                const int64_t k = row[x];
                if (k < 0) {
                    x++;
                    continue;
                }
                double total = 0, along = 0;
                for (; x < nx && row[x] == k; x++) {
                    const double value = (double)values[x];
                    total += value;
                    along += value * (double)x;
                }
                double *sum = sums.data() + 3 * k;
                sum[0] += (double)z * total;
                sum[1] += (double)y * total;
                sum[2] += along;
            }
        }
}

// Integers of up to 32 bits are added to int64, floats to float64.
template <class T, class Sum> void sums(Solid<const int32_t, 1> index, Strided<const T, 1> voxels, Solid<Sum, 1> total) {
    auto values = Line<const T>::of(voxels);
    for (int64_t i = 0; i < values.size; i++)
        if (const int32_t k = index.data()[i]; k >= 0) total.data()[k] += (Sum)values[i];
}

template <class T>
void extremes(Solid<const int32_t, 1> index, Solid<const T, 1> voxels, Solid<T, 1> lowest, Solid<T, 1> highest) {
    std::vector<uint8_t> seen(lowest.shape(0));
    T *low = lowest.data(), *high = highest.data();
    for (int64_t i = 0; i < (int64_t)index.shape(0); i++) {
        const int32_t k = index.data()[i];
        if (k < 0) continue;
        const T value = voxels.data()[i];
        const bool nan = value != value;  // stays, as in NumPy
        if (!seen[k]) {
            seen[k] = 1;
            low[k] = high[k] = value;
        } else {
            if (value < low[k] || nan) low[k] = value;
            if (value > high[k] || nan) high[k] = value;
        }
    }
}

template <class T>
void squares(Solid<const int32_t, 1> index, Solid<const T, 1> voxels, Solid<const double, 1> means,
             Solid<double, 1> squares, Solid<double, 1> rest) {
    for (int64_t i = 0; i < (int64_t)index.shape(0); i++)
        if (const int32_t k = index.data()[i]; k >= 0) {
            const double distance = (double)voxels.data()[i] - means.data()[k];
            squares.data()[k] += distance * distance;
            rest.data()[k] += distance;
        }
}

const Register register_objects([](nb::module_ &m) {
    auto index = nb::arg("index").noconvert(), voxels = nb::arg("voxels").noconvert();
    each_integer([&]<class L>() {
        m.def("number_objects", &number_objects<L>, nb::arg("labels").noconvert(), nb::arg("index").noconvert());
    });
    m.def("first_met", &first_met, index, nb::arg("firsts").noconvert(), without_gil());
    m.def("places", &places, index, nb::arg("count").noconvert(), nb::arg("sums").noconvert(),
          nb::arg("first").noconvert(), nb::arg("last").noconvert(), nb::arg("products").noconvert(), without_gil());
    each_real([&]<class T>() {
        m.def("weighted", &weighted<T>, index, voxels, nb::arg("sums").noconvert(), without_gil());
        m.def("extremes", &extremes<T>, index, voxels, nb::arg("lowest").noconvert(), nb::arg("highest").noconvert(),
              without_gil());
        m.def("squares", &squares<T>, index, voxels, nb::arg("means").noconvert(), nb::arg("squares").noconvert(),
              nb::arg("rest").noconvert(), without_gil());
    });
    each_type<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t>([&]<class T>() {
        m.def("sums", &sums<T, int64_t>, index, voxels, nb::arg("total").noconvert(), without_gil());
    });
    each_type<float, double>([&]<class T>() {
        m.def("sums", &sums<T, double>, index, voxels, nb::arg("total").noconvert(), without_gil());
    });
});

}  // namespace
