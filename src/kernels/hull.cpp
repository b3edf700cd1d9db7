// Which part of each line of voxels lies inside a convex body. See chunkwise/ops/object_shapes.py.
#include "kernels.hpp"

namespace {

// Where each line of voxels enters the body between some sides, and leaves it.
void intervals(Solid<const double, 2> sides, double tolerance, Solid<double, 2> low, Solid<double, 2> high) {
    const int64_t depth = low.shape(0), height = low.shape(1), count = sides.shape(0);
    for (int64_t z = 0; z < depth; z++)
        for (int64_t y = 0; y < height; y++) {
            double &enters = low.data()[z * height + y], &leaves = high.data()[z * height + y];
            for (int64_t i = 0; i < count; i++) {
                const double *side = sides.data() + 4 * i, slope = side[2];
                const double room = tolerance - (side[0] * (double)z + side[1] * (double)y + side[3]);
                // Normals of sides between halves are ratios of integers: none is so small but by rounding.
                if (slope > 1e-11)
                    leaves = std::min(leaves, room / slope);
                else if (slope < -1e-11)
                    enters = std::max(enters, room / slope);
                else if (room <= 0)
                    leaves = -__builtin_inf();
            }
        }
}

const Register register_hull([](nb::module_ &m) {
    m.def("intervals", &intervals, nb::arg("sides").noconvert(), nb::arg("tolerance"), nb::arg("low").noconvert(),
          nb::arg("high").noconvert(), without_gil());
});

}  // namespace
