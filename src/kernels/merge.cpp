// Union-find over provisional labels, and their numbering. See chunkwise/blocks/merge.py.
#include "kernels.hpp"

namespace {

using Table = Solid<int64_t, 1>;
using Known = Solid<const int64_t, 1>;

void begin(Table parent) {
    for (int64_t k = 0; k < (int64_t)parent.shape(0); k++) parent.data()[k] = k;
}

int64_t root_of(int64_t *parent, int64_t a) {
    while (parent[a] != a) {
        parent[a] = parent[parent[a]];
        a = parent[a];
    }
    return a;
}

void join(Table table, Solid<const int64_t, 2> pairs) {
    int64_t *parent = table.data();
    for (size_t k = 0; k < pairs.shape(0); k++) {
        const int64_t a = root_of(parent, pairs.data()[2 * k] - 1), b = root_of(parent, pairs.data()[2 * k + 1] - 1);
        // The smaller label is the root, so that a parent is never larger than its child.
        if (a < b)
            parent[b] = a;
        else if (b < a)
            parent[a] = b;
    }
}

void resolve(Table table) {
    int64_t *parent = table.data();
    for (size_t k = 0; k < table.shape(0); k++) parent[k] = parent[parent[k]];
}

// Sum the sizes of every component, and keep the smallest first voxel, at its root.
void gather(Known roots, Table sizes, Table firsts) {
    for (int64_t k = 0; k < (int64_t)roots.shape(0); k++) {
        const int64_t root = roots.data()[k];
        if (root != k) {
            sizes.data()[root] += sizes.data()[k];
            firsts.data()[root] = std::min(firsts.data()[root], firsts.data()[k]);
        }
    }
}

// Call use(k) for every component to be kept: its root is label start + k.
template <class Use>
void each_kept(const Known &roots, const Known &sizes, int64_t start, int64_t keep_from, Use use) {
    for (int64_t k = 0; k < (int64_t)roots.shape(0); k++)
        if (roots.data()[k] == start + k && sizes.data()[k] >= keep_from) use(k);
}

// Count the components to be kept by where their first voxel lies, in equal ranges; gives the width of a range.
int64_t spread(Known roots, Known sizes, Known firsts, int64_t start, int64_t keep_from, Table counts) {
    const int64_t bins = counts.shape(0);
    int64_t top = 1;
    each_kept(roots, sizes, start, keep_from, [&](int64_t k) { top = std::max(top, firsts.data()[k] + 1); });
    const int64_t width = (top + bins - 1) / bins;
    each_kept(roots, sizes, start, keep_from, [&](int64_t k) { counts.data()[firsts.data()[k] / width]++; });
    return width;
}

// Indices of the components to be kept whose first voxel lies in a range.
auto between(Known roots, Known sizes, Known firsts, int64_t start, int64_t keep_from, int64_t low, int64_t high) {
    std::vector<int64_t> found;
    {
        nb::gil_scoped_release release;
        each_kept(roots, sizes, start, keep_from, [&](int64_t k) {
            if (low <= firsts.data()[k] && firsts.data()[k] < high) found.push_back(start + k);
        });
    }
    return as_array(std::move(found));
}

// Give every label the id of its root, which never comes after it.
void hand_down(Known roots, Solid<uint64_t, 1> table) {
    for (int64_t k = 0; k < (int64_t)roots.shape(0); k++) table.data()[k + 1] = table.data()[roots.data()[k] + 1];
}

const Register register_merge([](nb::module_ &m) {
    m.def("begin", &begin, nb::arg("parent").noconvert(), without_gil());
    m.def("join", &join, nb::arg("parent").noconvert(), nb::arg("pairs").noconvert(), without_gil());
    m.def("resolve", &resolve, nb::arg("parent").noconvert(), without_gil());
    m.def("gather", &gather, nb::arg("roots").noconvert(), nb::arg("sizes").noconvert(),
          nb::arg("firsts").noconvert(), without_gil());
    m.def("spread", &spread, nb::arg("roots").noconvert(), nb::arg("sizes").noconvert(), nb::arg("firsts").noconvert(),
          nb::arg("start"), nb::arg("keep_from"), nb::arg("counts").noconvert(), without_gil());
    m.def("between", &between, nb::arg("roots").noconvert(), nb::arg("sizes").noconvert(),
          nb::arg("firsts").noconvert(), nb::arg("start"), nb::arg("keep_from"), nb::arg("low"), nb::arg("high"));
    m.def("hand_down", &hand_down, nb::arg("roots").noconvert(), nb::arg("table").noconvert(), without_gil());
});

}  // namespace
