#!/bin/bash
# Install Debian's nginx where it is missing: the tests read stores from a real web server, which they start themselves.
set -euo pipefail
command -v nginx > /dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo "web.sh: nginx is missing, and only root can install it: apt-get install nginx-light" >&2; exit 2; }
export DEBIAN_FRONTEND=noninteractive
# Its package would start a server on port 80; a diversion for the length of the installation keeps it from doing so.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light; } > /dev/null
