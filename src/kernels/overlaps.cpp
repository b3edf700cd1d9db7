// How many voxels each pair of labels of two images shares. See chunkwise/ops/overlap.py.
#include "kernels.hpp"

namespace {

// A table of pairs by open addressing; its size is a power of two, and a free place has no voxels.
struct Pairs {
    std::vector<uint64_t> left, right;
    std::vector<int64_t> voxels;
    size_t used = 0;

    explicit Pairs(size_t size) : left(size), right(size), voxels(size) {}

    size_t slot(uint64_t a, uint64_t b) const {
        const uint64_t mask = voxels.size() - 1;
        const uint64_t spread = (a * 0x9E3779B97F4A7C15u ^ (b + (a >> 31))) * 0xC2B2AE3D27D4EB4Fu;
        uint64_t place = (spread ^ (spread >> 32)) & mask;
        while (voxels[place] > 0 && (left[place] != a || right[place] != b)) place = (place + 1) & mask;
        return place;
    }

    void add(uint64_t a, uint64_t b, int64_t count) {
        const size_t place = slot(a, b);
        if (voxels[place] == 0) {
            left[place] = a;
            right[place] = b;
            used++;
        }
        voxels[place] += count;
        if (2 * used > voxels.size()) {
            Pairs larger(2 * voxels.size());
            for (size_t k = 0; k < voxels.size(); k++)
                if (voxels[k] > 0) larger.add(left[k], right[k], voxels[k]);
            *this = std::move(larger);
        }
    }
};

template <class L> auto count_overlaps(Solid<const L, 1> truth, Solid<const L, 1> predicted) {
    std::vector<uint64_t> left, right;
    std::vector<int64_t> voxels;
    {
        nb::gil_scoped_release release;
        Pairs pairs(1024);
        const int64_t size = truth.shape(0);
        for (int64_t i = 0; i < size;) {
            // Voxels of a pair lie side by side: a run of them needs one look at the table.
            const L here = truth.data()[i], there = predicted.data()[i];
            const int64_t begin = i++;
            while (i < size && truth.data()[i] == here && predicted.data()[i] == there) i++;
            if (here <= 0 && there <= 0) continue;
            pairs.add(here > 0 ? (uint64_t)here : 0, there > 0 ? (uint64_t)there : 0, i - begin);
        }
        for (size_t k = 0; k < pairs.voxels.size(); k++)
            if (pairs.voxels[k] > 0) {
                left.push_back(pairs.left[k]);
                right.push_back(pairs.right[k]);
                voxels.push_back(pairs.voxels[k]);
            }
    }
    return std::make_tuple(as_array(std::move(left)), as_array(std::move(right)), as_array(std::move(voxels)));
}

const Register register_overlaps([](nb::module_ &m) {
    each_integer([&]<class L>() {
        m.def("count_overlaps", &count_overlaps<L>, nb::arg("truth").noconvert(), nb::arg("predicted").noconvert());
    });
});

}  // namespace
