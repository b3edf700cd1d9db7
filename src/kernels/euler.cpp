// What the corners between voxels add to the Euler numbers of objects. See chunkwise/ops/euler.py.
#include "kernels.hpp"

namespace {

void corners(Solid<const int32_t, 3> index, Solid<const int64_t, 1> table, Solid<int64_t, 1> numbers) {
    const int64_t nz = index.shape(0), ny = index.shape(1), nx = index.shape(2);
    // A plane has corners above and below it. Those above add nothing in sum, and those below see no voxel behind.
    const int64_t planes = std::max<int64_t>(nz - 1, 1);
    for (int64_t z = 0; z < planes; z++)
        for (int64_t y = 0; y + 1 < ny; y++)
            for (int64_t x = 0; x + 1 < nx; x++) {
                int32_t around[8];
                bool alike = true;
                for (int bit = 0; bit < 8; bit++) {
                    const int64_t k = z + (bit >> 2), j = y + (bit >> 1 & 1), i = x + (bit & 1);
                    around[bit] = k < nz ? index.data()[(k * ny + j) * nx + i] : -1;
                    alike = alike && around[bit] == around[0];
                }
                // Inside an object all that a corner owns is there, and adds up to nothing.
                if (alike) continue;
                for (int i = 0; i < 8; i++) {
                    const int32_t k = around[i];
                    if (k < 0) continue;
                    int code = 0;
                    for (int j = 0; j < 8; j++)
                        if (around[j] == k) {
                            code |= 1 << j;
                            if (j > i) around[j] = -1;
                        }
                    numbers.data()[k] += table.data()[code];
                }
            }
}

const Register register_euler([](nb::module_ &m) {
    m.def("corners", &corners, nb::arg("index").noconvert(), nb::arg("table").noconvert(),
          nb::arg("numbers").noconvert(), without_gil());
});

}  // namespace
