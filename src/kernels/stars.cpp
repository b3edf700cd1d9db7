// Star-convex polygons: their pixels, and which of them is kept. See chunkwise/ops/star_polygons.py for the rules.
#include "kernels.hpp"

#include <cmath>

namespace {

constexpr int64_t FINE = 64;  // parts of a pixel in which vertices are counted
enum State : uint8_t { OPEN = 0, KEPT = 1, LOST = 2 };

int64_t ceil_div(int64_t a, int64_t b) { return -floor_div(-a, b); }

// Room for the pixels of a polygon that reaches no further than the widest.
struct Pixels {
    int64_t edge;
    std::vector<uint8_t> bits;
    explicit Pixels(int64_t widest) : edge(2 * widest + 1), bits(edge * edge) {}
    uint8_t &operator()(int64_t row, int64_t column) { return bits[row * edge + column]; }
};

template <class T> struct Stars {
    const int64_t *places;  // (y, x) of the centres
    const T *distances;
    const double *rays;  // sine and cosine of their angles
    const int64_t *reach;
    int64_t count, n_rays, widest;
    std::vector<int64_t> ys, xs;

    Stars(const Solid<const int64_t, 2> &places, const Solid<const T, 2> &distances, const Solid<const double, 2> &rays,
          const Solid<const int64_t, 1> &reach)
        : places(places.data()), distances(distances.data()), rays(rays.data()), reach(reach.data()),
          count(places.shape(0)), n_rays(rays.shape(0)), widest(*std::max_element(reach.data(), reach.data() + count)),
          ys(n_rays + 1), xs(n_rays + 1) {}

    // Set the pixels of a polygon to 1; its centre is at (reach, reach). Gives how many.
    int64_t draw(int64_t number, Pixels &bits) {
        const T *distance = distances + number * n_rays;
        const int64_t far = reach[number], size = 2 * far + 1;
        for (int64_t row = 0; row < size; row++) std::fill_n(&bits(row, 0), size, 0);
        for (int64_t k = 0; k < n_rays; k++) {
            const double ray = distance[k] > 0 ? (double)distance[k] : 0.0;
            ys[k] = (int64_t)std::rint(ray * rays[2 * k] * FINE) + far * FINE;
            xs[k] = (int64_t)std::rint(ray * rays[2 * k + 1] * FINE) + far * FINE;
        }
        ys[n_rays] = ys[0];
        xs[n_rays] = xs[0];
        // Bits 1 and 2: an odd number of edges crosses the row before the pixel, or at it (1: their upper ends do not
        // count; 2: their lower ones do not, and those at the pixel do not). Where they differ, it lies on an edge.
        for (int64_t k = 0; k < n_rays; k++) {
            int64_t y1 = ys[k], x1 = xs[k], y2 = ys[k + 1], x2 = xs[k + 1];
            if (y1 % FINE == 0 && x1 % FINE == 0) bits(floor_div(y1, FINE), floor_div(x1, FINE)) |= 4;
            if (y1 == y2) continue;
            if (y1 > y2) {
                std::swap(y1, y2);
                std::swap(x1, x2);
            }
            const int64_t height = (y2 - y1) * FINE;
            for (int64_t row = ceil_div(y1, FINE); row <= floor_div(y2, FINE); row++) {
                // The edge crosses the row at place / height pixels.
                const int64_t place = x1 * (y2 - y1) + (row * FINE - y1) * (x2 - x1);
                if (row * FINE < y2) bits(row, ceil_div(place, height)) ^= 1;
                if (row * FINE > y1) bits(row, floor_div(place, height) + 1) ^= 2;
            }
        }
        int64_t found = 0;
        for (int64_t row = 0; row < size; row++) {
            uint8_t inside = 0;
            for (int64_t column = 0; column < size; column++) {
                uint8_t &bit = bits(row, column);
                inside ^= bit & 3;
                bit = inside || bit & 4;
                found += bit;
            }
        }
        return found;
    }
};

// Candidates by where they lie: cells so wide that polygons that overlap lie in neighbouring ones, each a list.
struct Cells {
    int64_t edge, y0, x0, rows, columns;
    std::vector<int64_t> first, following;

    template <class T> Cells(const Stars<T> &stars, int64_t lists) : edge(2 * stars.widest + 1), following(stars.count, -1) {
        y0 = x0 = INT64_MAX;
        int64_t y1 = INT64_MIN, x1 = INT64_MIN;
        for (int64_t i = 0; i < stars.count; i++) {
            y0 = std::min(y0, stars.places[2 * i]);
            x0 = std::min(x0, stars.places[2 * i + 1]);
            y1 = std::max(y1, stars.places[2 * i]);
            x1 = std::max(x1, stars.places[2 * i + 1]);
        }
        rows = (y1 - y0) / edge + 1;
        columns = (x1 - x0) / edge + 1;
        first.assign(lists * rows * columns, -1);
    }

    int64_t &head(int64_t list, int64_t row, int64_t column) { return first[(list * rows + row) * columns + column]; }

    void add(int64_t list, int64_t row, int64_t column, int64_t i) {
        following[i] = head(list, row, column);
        head(list, row, column) = i;
    }

    // Call use(j) for those of a list that lie around a cell, until it gives true; whether it did.
    template <class Use> bool any_around(int64_t list, int64_t row, int64_t column, Use use) {
        for (int64_t r = std::max<int64_t>(row - 1, 0); r < std::min(row + 2, rows); r++)
            for (int64_t c = std::max<int64_t>(column - 1, 0); c < std::min(column + 2, columns); c++)
                for (int64_t j = head(list, r, c); j >= 0; j = following[j])
                    if (use(j)) return true;
        return false;
    }
};

// Pixels of both polygons; the centre of b lies at (dy, dx) from that of a.
int64_t shared(Pixels &a, int64_t reach_a, Pixels &b, int64_t reach_b, int64_t dy, int64_t dx) {
    int64_t found = 0;
    for (int64_t row = std::max(-reach_a, dy - reach_b); row <= std::min(reach_a, dy + reach_b); row++)
        for (int64_t column = std::max(-reach_a, dx - reach_b); column <= std::min(reach_a, dx + reach_b); column++)
            found += a(row + reach_a, column + reach_a) & b(row - dy + reach_b, column - dx + reach_b);
    return found;
}

template <class T>
void decide(Solid<const int64_t, 2> places, Solid<const T, 2> distances, Solid<const double, 2> rays,
            Solid<const int64_t, 1> reaches, Solid<uint8_t, 1> states, Solid<const bool, 1> whole, double overlap) {
    Stars<T> stars(places, distances, rays, reaches);
    Cells cells(stars, 2);  // those that may stand in the way of later ones: open and kept
    Pixels mine(stars.widest), other(stars.widest);
    uint8_t *state = states.data();
    for (int64_t i = 0; i < stars.count; i++) {
        const int64_t y = stars.places[2 * i], x = stars.places[2 * i + 1], reach = stars.reach[i];
        const int64_t row = (y - cells.y0) / cells.edge, column = (x - cells.x0) / cells.edge;
        if (state[i] == OPEN) {
            const int64_t pixels = stars.draw(i, mine);
            auto met = [&](State against) {
                // Those near by are likeliest to be in conflict, and one is enough.
                for (bool near : {true, false})
                    if (cells.any_around(against, row, column, [&](int64_t j) {
                            const int64_t dy = stars.places[2 * j] - y, dx = stars.places[2 * j + 1] - x;
                            const int64_t span = reach + stars.reach[j], apart = std::max(std::abs(dy), std::abs(dx));
                            if (apart > span || (2 * apart <= span) != near) return false;
                            const int64_t theirs = stars.draw(j, other);
                            const int64_t both = shared(mine, reach, other, stars.reach[j], dy, dx);
                            return (double)both > overlap * (double)std::min(pixels, theirs);
                        }))
                        return true;
                return false;
            };
            if (met(KEPT))
                state[i] = LOST;
            else if (whole.data()[i] && !met(OPEN))  // else something out of sight may stand in its way
                state[i] = KEPT;
        }
        if (state[i] != LOST) cells.add(state[i], row, column, i);
    }
}

template <class T, class L>
void draw(Solid<const int64_t, 2> places, Solid<const T, 2> distances, Solid<const double, 2> rays,
          Solid<const int64_t, 1> reaches, Solid<const L, 1> values, Strided<L, 2> image) {
    Stars<T> stars(places, distances, rays, reaches);
    Pixels bits(stars.widest);
    auto out = Plane<L>::of(image);
    for (int64_t i = stars.count - 1; i >= 0; i--) {
        stars.draw(i, bits);
        const int64_t reach = stars.reach[i], size = 2 * reach + 1;
        const int64_t y = stars.places[2 * i] - reach, x = stars.places[2 * i + 1] - reach;
        for (int64_t row = std::max<int64_t>(0, -y); row < std::min(size, out.size[0] - y); row++)
            for (int64_t column = std::max<int64_t>(0, -x); column < std::min(size, out.size[1] - x); column++)
                if (bits(row, column)) out(y + row, x + column) = values.data()[i];
    }
}

template <class T>
void visible(Solid<const int64_t, 2> places, Solid<const T, 2> distances, Solid<const double, 2> rays,
             Solid<const int64_t, 1> reaches, int64_t height, int64_t width, Solid<const bool, 1> wanted,
             Solid<int64_t, 1> counts, Solid<int64_t, 1> firsts) {
    Stars<T> stars(places, distances, rays, reaches);
    Cells cells(stars, 1);
    Pixels mine(stars.widest), other(stars.widest);
    for (int64_t i = 0; i < stars.count; i++) {
        const int64_t y = stars.places[2 * i], x = stars.places[2 * i + 1], a = stars.reach[i];
        const int64_t row = (y - cells.y0) / cells.edge, column = (x - cells.x0) / cells.edge;
        if (wanted.data()[i]) {
            stars.draw(i, mine);
            cells.any_around(0, row, column, [&](int64_t j) {
                const int64_t dy = stars.places[2 * j] - y, dx = stars.places[2 * j + 1] - x, b = stars.reach[j];
                if (std::abs(dy) <= a + b && std::abs(dx) <= a + b) {
                    stars.draw(j, other);
                    for (int64_t v = std::max(-a, dy - b); v <= std::min(a, dy + b); v++)
                        for (int64_t u = std::max(-a, dx - b); u <= std::min(a, dx + b); u++)
                            if (other(v - dy + b, u - dx + b)) mine(v + a, u + a) = 0;
                }
                return false;
            });
            for (int64_t v = std::max(-a, -y); v <= std::min(a, height - 1 - y); v++)
                for (int64_t u = std::max(-a, -x); u <= std::min(a, width - 1 - x); u++)
                    if (mine(v + a, u + a)) {
                        counts.data()[i]++;
                        if (firsts.data()[i] < 0) firsts.data()[i] = (y + v) * width + x + u;
                    }
        }
        cells.add(0, row, column, i);
    }
}

const Register register_stars([](nb::module_ &m) {
    auto places = nb::arg("places").noconvert(), distances = nb::arg("distances").noconvert();
    auto rays = nb::arg("rays").noconvert(), reach = nb::arg("reach").noconvert();
    each_type<float, double>([&]<class T>() {
        m.def("decide", &decide<T>, places, distances, rays, reach, nb::arg("state").noconvert(),
              nb::arg("whole").noconvert(), nb::arg("overlap"), without_gil());
        m.def("visible", &visible<T>, places, distances, rays, reach, nb::arg("height"), nb::arg("width"),
              nb::arg("wanted").noconvert(), nb::arg("counts").noconvert(), nb::arg("firsts").noconvert(),
              without_gil());
        each_integer([&]<class L>() {
            m.def("draw", &draw<T, L>, places, distances, rays, reach, nb::arg("values").noconvert(),
                  nb::arg("out").noconvert(), without_gil());
        });
    });
});

}  // namespace
