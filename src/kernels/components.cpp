// Labels of a block: counted, and given their final numbers. See chunkwise/ops/components.py.
#include "kernels.hpp"

namespace {

template <class T> void look_up(Solid<const T, 1> table, Strided<const uint32_t, 3> labels, Strided<T, 3> out) {
    auto from = Volume<const uint32_t>::of(labels);
    auto to = Volume<T>::of(out);
    const T *becomes = table.data();
    for (int64_t z = 0; z < from.size[0]; z++)
        for (int64_t y = 0; y < from.size[1]; y++)
            for (int64_t x = 0; x < from.size[2]; x++) to(z, y, x) = becomes[from(z, y, x)];
}

template <class L, class T>
void relabel(Solid<const L, 1> labels, Solid<const uint64_t, 1> known, Solid<const T, 1> replacement, Solid<T, 1> out) {
    const int64_t size = labels.shape(0);
    const uint64_t *begin = known.data(), *end = begin + known.shape(0);
    L before = 0;
    T becomes = 0;
    for (int64_t i = 0; i < size; i++) {
        const L label = labels.data()[i];
        // Voxels of an object lie side by side.
        if (label != before) {
            before = label;
            becomes = label == 0 ? 0 : replacement.data()[std::lower_bound(begin, end, (uint64_t)label) - begin];
        }
        out.data()[i] = becomes;
    }
}

void sizes_and_firsts(Strided<const uint32_t, 3> labels, int64_t z0, int64_t y0, int64_t x0, int64_t ny, int64_t nx,
                      Solid<int64_t, 1> sizes, Solid<int64_t, 1> firsts) {
    auto block = Volume<const uint32_t>::of(labels);
    int64_t *count = sizes.data(), *first = firsts.data();
    for (int64_t z = 0; z < block.size[0]; z++)
        for (int64_t y = 0; y < block.size[1]; y++) {
            const int64_t base = ((z0 + z) * ny + y0 + y) * nx + x0;
            for (int64_t x = 0; x < block.size[2]; x++)
                if (const int64_t value = block(z, y, x)) {
                    if (count[value - 1] == 0) first[value - 1] = base + x;
                    count[value - 1]++;
                }
        }
}

const Register register_components([](nb::module_ &m) {
    each_integer([&]<class T>() {
        m.def("look_up", &look_up<T>, nb::arg("table").noconvert(), nb::arg("labels").noconvert(),
              nb::arg("out").noconvert(), without_gil());
        each_integer([&]<class L>() {
            m.def("relabel", &relabel<L, T>, nb::arg("labels").noconvert(), nb::arg("known").noconvert(),
                  nb::arg("replacement").noconvert(), nb::arg("out").noconvert(), without_gil());
        });
    });
    m.def("sizes_and_firsts", &sizes_and_firsts, nb::arg("labels").noconvert(), nb::arg("z0"), nb::arg("y0"),
          nb::arg("x0"), nb::arg("ny"), nb::arg("nx"), nb::arg("sizes").noconvert(), nb::arg("firsts").noconvert(),
          without_gil());
});

}  // namespace
