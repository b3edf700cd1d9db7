# Sourced by scripts that need Debian packages. Those of servers would start one of their own, at the usual places and
# ports, which nobody stops; policy-rc.d is how one says no. One at a time, since tests run side by side: the first to
# end would take the policy away from the others, and apt-get does not wait for another apt-get.
install_packages() ( # packages...; what apt-get says goes to standard output
    exec 7> /run/lock/chunkwise-packages
    flock 7
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"
)
