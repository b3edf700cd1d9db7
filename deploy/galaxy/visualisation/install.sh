#!/bin/bash
# Install vizarr, with labels, as a visualisation of Galaxy, and print its settings for galaxy.yml. usage: install.sh STATIC
# STATIC is the folder that Galaxy, or the web server before it, serves as /static. Needs Node 18 or later and npm, and the
# npm registry now; when somebody looks at an image, nothing is asked of any other server.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# = 1 ] && [ -d "$1" ] || { echo "usage: install.sh STATIC, the folder that Galaxy serves as /static" >&2; exit 2; }
command -v npm > /dev/null && command -v node > /dev/null || { echo "install.sh: npm is missing: apt-get install nodejs npm" >&2; exit 3; }
static=$(cd "$1" && pwd)
plugins=$static/plugins/visualizations
plugin=$plugins/chunkwise_vizarr

# All at once, so that nobody is served half of it; nothing where the same files made what is there.
made_from=$(cd "$here" && find . -type f -not -path './node_modules/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
if [ "$(cat "$plugin/made_from" 2> /dev/null)" != "$made_from" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp -r "$here"/. "$work"
    cd "$work"
    npm ci --silent --ignore-scripts --no-audit --no-fund >&2
    node build.js "$work/plugin/static" >&2
    cp datatypes_conf.xml "$work/plugin/"
    echo "$made_from" > "$work/plugin/made_from"
    chmod -R u=rwX,go=rX "$work/plugin"
    mkdir -p "$plugins"
    rm -rf "$plugin.new" && mv "$work/plugin" "$plugin.new"
    rm -rf "$plugin" && mv "$plugin.new" "$plugin"
fi

# Galaxy's own list of datatypes, in a Galaxy from PyPI and in a checkout: ours goes behind it.
list=the-list-that-you-have
for place in "$static/../../../config/sample" "$static/../lib/galaxy/config/sample"; do
    [ ! -e "$place/datatypes_conf.xml.sample" ] || list=$(cd "$place" && pwd)/datatypes_conf.xml.sample
done
cat << SETTINGS
  visualization_plugins_directory: "$plugins"
  datatypes_config_file: "$list,$plugin/datatypes_conf.xml"
SETTINGS
