#!/usr/bin/env bash
# The yardstick: one release put live on this machine by a plain script, with the steps the role takes
# and none of its care (no lock, no journal, no way back).
#   deploy.sh ROOT NAME VERSION WHEEL SHA256 REQUIREMENTS
# ROOT/front is a Caddy that forwards to ROOT/run/current.sock; the benchmark started it.
set -euo pipefail
root=$1 name=$2 version=$3 wheel=$4 sha256=$5 requirements=$6
release=$root/releases/$version socket=$root/run/${sha256:0:12}.sock
mkdir -p "$root/releases" "$root/run" "$root/log"

echo "$sha256  $wheel" | sha256sum --check --quiet
uv venv --quiet "$release"
echo "$name @ file://$wheel --hash=sha256:$sha256" > "$release/app.txt"
uv pip install --quiet --python "$release/bin/python" --compile-bytecode --no-deps --require-hashes \
  -r "$requirements" -r "$release/app.txt"
uv pip check --quiet --python "$release/bin/python"
printf '{"version": "%s", "sha256": "%s", "commit": ""}' "$version" "$sha256" > "$release/release.json"

setsid "$release/bin/$name" --bind "unix:$socket" >"$root/log/$version" 2>&1 </dev/null &
echo $! > "$release/pid"
good=0
for _ in $(seq 300); do
  if curl --silent --fail --max-time 2 --unix-socket "$socket" http://localhost/healthz >/dev/null &&
    curl --silent --fail --max-time 2 --unix-socket "$socket" http://localhost/version | grep -q "$sha256"; then
    good=$((good + 1))
    [ $good -ge 3 ] && break
  else
    good=0
  fi
  sleep 0.05
done
[ $good -ge 3 ]

before=$(readlink "$root/run/current.sock" || true)
ln -s "$socket" "$root/run/next.sock"
mv -T "$root/run/next.sock" "$root/run/current.sock"
curl --silent --fail --max-time 5 "http://127.0.0.1:$(cat "$root/front/port")/version" | grep -q "$sha256"
if [ -n "$before" ]; then
  while [ "$(grep -c " 0[23] .*$before\$" /proc/net/unix)" -gt 0 ]; do sleep 0.05; done
  old=$(cat "$root/live")
  kill -TERM "$(cat "$old/pid")"
  while kill -0 "$(cat "$old/pid")" 2>/dev/null; do sleep 0.02; done
fi
echo "$release" > "$root/live"
