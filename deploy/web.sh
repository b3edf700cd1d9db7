#!/bin/bash
# Install Debian's nginx where it is missing: the tests read stores from a real web server, which they start themselves.
set -euo pipefail
command -v nginx > /dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo "web.sh: nginx is missing, and only root can install it: apt-get install nginx-light" >&2; exit 2; }
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"
install_packages nginx-light > /dev/null
