// The extension module chunkwise._kernels: whatever the other files have registered.
#include "kernels.hpp"

std::vector<Registrar> &registrars() {
    static std::vector<Registrar> all;
    return all;
}

NB_MODULE(_kernels, m) {
    for (Registrar add : registrars()) add(m);
}
