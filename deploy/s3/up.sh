#!/bin/bash
# Start a real S3 server on loopback: OpenStack Swift with its S3 interface, from PyPI; do nothing where it runs already.
# Everything it makes lies in one folder (common.sh). Needs .venv (make setup), and a file system with extended
# attributes, in which Swift keeps what belongs to an object.
# Afterwards FOLDER/credentials holds the keys (profiles default, the owner, and guest, who may do nothing), FOLDER/url
# the address; the buckets images and results are there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ -x "$UV" ] || fail ".venv is missing; run 'make setup' first."
mkdir -p "$FOLDER/data/disk" "$FOLDER/log"
exec 9>"$FOLDER/lock"
flock 9
started=$SECONDS

if ! cmp -s "$HERE/swift.lock" "$FOLDER/venv/installed.lock"; then
    rm -rf "$FOLDER/venv"
    base=$("$ROOT/.venv/bin/python" -c 'import sys; print(sys._base_executable)')
    "$UV" venv -q --no-project --python "$base" "$FOLDER/venv"
    "$UV" pip sync -q --python "$FOLDER/venv/bin/python" "$HERE/swift.lock"
    cp "$HERE/swift.lock" "$FOLDER/venv/installed.lock"
fi

# Keys are made once for a folder; they are secrets, if only of a server on loopback.
secret() {
    [ -s "$FOLDER/$1" ] || (umask 077 && head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$FOLDER/$1")
    cat "$FOLDER/$1"
}
hash=$(secret hash.key) owner=$(secret owner.key) guest=$(secret guest.key)
(
    umask 077
    mkdir -p "$FOLDER/config.new"
    for file in "$HERE"/config/*; do
        sed -e "s|@FOLDER@|$FOLDER|g" -e "s|@USER@|$(id -un)|g" -e "s|@SECRET@|$hash|g" -e "s|@KEY@|$owner|g" \
            -e "s|@GUEST_KEY@|$guest|g" -e "s|@PORT_proxy@|${PORT[proxy]}|g" -e "s|@PORT_account@|${PORT[account]}|g" \
            -e "s|@PORT_container@|${PORT[container]}|g" -e "s|@PORT_object@|${PORT[object]}|g" \
            "$file" > "$FOLDER/config.new/$(basename "$file")"
    done
    printf '[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
        default lab:owner "$owner" guest lab:guest "$guest" > "$FOLDER/credentials"
)
echo "http://127.0.0.1:${PORT[proxy]}" > "$FOLDER/url"

running=1
for server in "${SERVERS[@]}"; do alive "$server" || running=0; done
if [ "$running" = 1 ] && diff -rq --exclude '*.ring.gz' --exclude '*.builder' --exclude backups \
    "$FOLDER/config.new" "$FOLDER/config" > /dev/null; then
    rm -rf "$FOLDER/config.new"
    say "runs already: $(cat "$FOLDER/url")"
    exit 0
fi
for server in "${SERVERS[@]}"; do stop "$server"; done
rm -rf "$FOLDER/config" && mv "$FOLDER/config.new" "$FOLDER/config"

for server in account container object; do
    if (exec 3<> "/dev/tcp/127.0.0.1/${PORT[$server]}") 2> /dev/null; then
        fail "something else listens on port ${PORT[$server]}; set S3_PORTS to another number."
    fi
    # A ring says on which disks an object lies: here on one, once.
    ring=$FOLDER/config/$server.builder
    {
        "$FOLDER/venv/bin/swift-ring-builder" "$ring" create 4 1 1
        "$FOLDER/venv/bin/swift-ring-builder" "$ring" add "r1z1-127.0.0.1:${PORT[$server]}/disk" 1
        "$FOLDER/venv/bin/swift-ring-builder" "$ring" rebalance
    } > "$FOLDER/log/ring.log" 2>&1 || fail "the ring of $server could not be made; see $FOLDER/log/ring.log"
done
for server in "${SERVERS[@]}"; do
    setsid "$FOLDER/venv/bin/swift-$server-server" "$FOLDER/config/$server.conf" -v \
        > "$FOLDER/log/$server.log" 2>&1 < /dev/null 9>&- &
    echo $! > "$FOLDER/$server.pid"
done
for server in "${SERVERS[@]}"; do
    for _ in $(seq 100); do
        (exec 3<> "/dev/tcp/127.0.0.1/${PORT[$server]}") 2> /dev/null && break
        alive "$server" || fail "the $server server ended; see $FOLDER/log/$server.log"
        sleep 0.2
    done
done
for _ in $(seq 50); do
    # The first request may come before all servers know each other.
    "$ROOT/.venv/bin/python" "$HERE/make_bucket.py" "$(cat "$FOLDER/url")" "$FOLDER/credentials" images results \
        2> "$FOLDER/log/buckets.log" && break
    sleep 0.2
done
[ -s "$FOLDER/log/buckets.log" ] && fail "the buckets could not be made; see $FOLDER/log/buckets.log"
say "ready in $((SECONDS - started)) s: $(cat "$FOLDER/url"), keys in $FOLDER/credentials"
