// Sums over the voxels of rows, plain and weighted by position. See chunkwise/ops/content.py.
#include "kernels.hpp"

namespace {

// rows are voxels as raw unsigned bits; places has, for every row, the weight of its first voxel, and each further voxel
// weighs 1 more. Gives the low and the high half of the 128-bit sum, and the weighted sum modulo 2^64.
template <class T>
std::tuple<uint64_t, uint64_t, uint64_t> content_sums(Solid<const T, 2> rows, Solid<const uint64_t, 1> places) {
    const uint64_t width = rows.shape(1);
    uint64_t low = 0, high = 0, weighted = 0;
    for (size_t row = 0; row < rows.shape(0); row++) {
        const T *data = rows.data() + row * width;
        // The sum of all sums so far counts the first voxel `width` times and the last once: weights without a product.
        uint64_t sum = 0, falling = 0, carried = 0;
        for (uint64_t x = 0; x < width; x++) {
            sum += data[x];
            if constexpr (sizeof(T) == 8) carried += sum < data[x];
            falling += sum;
        }
        weighted += (places.data()[row] + width) * sum - falling;
        low += sum;
        high += carried + (low < sum);
    }
    return {low, high, weighted};
}

const Register register_content([](nb::module_ &m) {
    each_type<uint8_t, uint16_t, uint32_t, uint64_t>([&m]<class T>() {
        m.def("content_sums", &content_sums<T>, nb::arg("rows").noconvert(), nb::arg("places").noconvert(), without_gil());
    });
});

}  // namespace
