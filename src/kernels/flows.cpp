// Every voxel follows the flows of a model to its end. See chunkwise/ops/flows.py.
#include "kernels.hpp"

#include <cmath>

namespace {

// Flat index of the voxel that each voxel of the mask ends in.
template <class T> void follow(Strided<const bool, 3> array, Solid<const T, 4> moves, int64_t steps, Solid<int64_t, 3> ends) {
    auto mask = Volume<const bool>::of(array);
    const int64_t nz = mask.size[0], ny = mask.size[1], nx = mask.size[2], size = nz * ny * nx;
    for (int64_t z = 0; z < nz; z++)
        for (int64_t y = 0; y < ny; y++)
            for (int64_t x = 0; x < nx; x++) {
                if (!mask(z, y, x)) continue;
                // Offsets, not places: sums of them are rounded the same wherever the box lies.
                double oz = 0, oy = 0, ox = 0;
                int64_t k = z, j = y, i = x;
                for (int64_t step = 0; step < steps; step++) {
                    const T *move = moves.data() + (k * ny + j) * nx + i;
                    const T dz = move[0], dy = move[size], dx = move[2 * size];
                    if (dz == 0 && dy == 0 && dx == 0) break;
                    oz += (double)dz;
                    oy += (double)dy;
                    ox += (double)dx;
                    const int64_t kk = z + std::llrint(oz), jj = y + std::llrint(oy), ii = x + std::llrint(ox);
                    if (kk < 0 || jj < 0 || ii < 0 || kk >= nz || jj >= ny || ii >= nx || !mask(kk, jj, ii)) break;
                    k = kk;
                    j = jj;
                    i = ii;
                }
                ends.data()[(z * ny + y) * nx + x] = (k * ny + j) * nx + i;
            }
}

const Register register_flows([](nb::module_ &m) {
    each_type<float, double>([&]<class T>() {
        m.def("follow", &follow<T>, nb::arg("mask").noconvert(), nb::arg("moves").noconvert(), nb::arg("steps"),
              nb::arg("ends").noconvert(), without_gil());
    });
});

}  // namespace
