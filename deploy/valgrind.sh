#!/bin/bash
# Install Debian's valgrind where it is missing: a test counts the instructions of the kernels with it.
set -euo pipefail
command -v valgrind > /dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo "valgrind.sh: valgrind is missing, and only root can install it: apt-get install valgrind" >&2; exit 2; }
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"
install_packages valgrind > /dev/null
