#!/bin/sh
# The yardstick: one release put live on a host with systemd by a plain script, with the steps the role
# takes and none of its care (no lock, no journal, no way back). The role has set up the host before.
#   host.sh NAME VERSION WHEEL SHA256 REQUIREMENTS INDEX
set -eu
name=$1 version=$2 wheel=$3 sha256=$4 requirements=$5 index=$6
root=/opt/$name instance=$(echo "$sha256" | cut -c 1-12)
release=$root/releases/$version socket=$root/run/$instance.sock

echo "$sha256  $wheel" | sha256sum --check --quiet
# The same installer as the role's, with as private a cache.
uv=$root/tools/current/bin/uv
export UV_DEFAULT_INDEX="$index" UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR="$release/cache"
"$uv" venv --quiet --no-project --allow-existing "$release"
echo "$name @ file://$wheel --hash=sha256:$sha256" >"$release/app.txt"
"$uv" pip install --quiet --compile-bytecode --python "$release/bin/python" \
  --no-deps --require-hashes -r "$requirements" -r "$release/app.txt"
"$uv" pip check --quiet --python "$release/bin/python"
rm -r "$UV_CACHE_DIR"
printf '{"version": "%s", "sha256": "%s", "commit": ""}' "$version" "$sha256" >"$release/release.json"
printf '{"command": ["%s/bin/python", "%s/bin/%s", "--bind", "unix:%s"], "environment": {}}' \
  "$release" "$release" "$name" "$socket" >"$root/instances/$instance.json"

# It is up when it answers: the unit waits for that.
systemctl enable --quiet "$name@$instance"
systemctl start "$name@$instance"

before=$(readlink "$root/run/current.sock")
ln -s "$instance.sock" "$root/run/next.sock"
mv -T "$root/run/next.sock" "$root/run/current.sock"
python3 -c "import sys, urllib.request as u; sys.exit('$sha256' not in u.urlopen('http://127.0.0.1/version', timeout=5).read().decode())"
while [ "$(grep -c " 0[23] .*/$before\$" /proc/net/unix)" -gt 0 ]; do sleep 0.05; done
systemctl disable --quiet --now "$name@${before%.sock}"
