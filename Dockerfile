# dockmaster in a container. docker-compose.yml, beside this file, runs it.
#
#   docker-compose build          or          docker build --tag dockmaster .
#
# Both base images are arguments, so that they can come from a registry of your own:
#
#   BUILD_BASE     has Rust 1.88 or newer and a C compiler
#   RUNTIME_BASE   Debian 13 or newer; or anything that has rsync and docker-compose 2 already, which is then left as it is
#
# A program that you have built already (cargo build --profile dist --locked) saves the first stage. Its C library must
# not be newer than that of RUNTIME_BASE:
#
#   docker build --build-context program=target/dist --tag dockmaster .
#
# This needs BuildKit, which engines since 23 use by themselves, and Compose brings along.
#
# Beyond Debian 13 it takes 91 MB: Compose 64, dockmaster 21, and 6 for rsync, certificates, the openssl that they ask for,
# and what apt notes about them. Neither the docker command line (31 MB) nor buildx (66 MB) is needed to build and to bring up.

ARG BUILD_BASE=rust:1-slim-trixie
ARG RUNTIME_BASE=debian:trixie-slim

# Called after what it makes: a directory with the program in it can take the place of the whole stage.
FROM ${BUILD_BASE} AS program
WORKDIR /source
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
# What is downloaded and compiled stays in the builder's cache: after a change only dockmaster itself is built again.
RUN --mount=type=cache,sharing=locked,target=/cache \
    CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/target cargo build --profile dist --locked \
    && cp /cache/target/dist/dockmaster /dockmaster

FROM ${RUNTIME_BASE}
# The certificates are for Compose, which asks registries for access itself when it builds; dockmaster brings its own.
RUN command -v rsync && command -v docker-compose \
    || { apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates docker-compose rsync \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/* /var/log/*; }
COPY --from=program /dockmaster /usr/local/bin/
# Compose notes every build in a directory called buildx below DOCKER_CONFIG, and builds nothing where it may not write there.
ENV DOCKMASTER_CONFIG=/etc/dockmaster/projects.json \
    DOCKMASTER_DATA=/var/lib/dockmaster \
    DOCKER_CONFIG=/var/lib/dockmaster/docker
# A number needs no entry in /etc/passwd. docker-compose.yml says who it really is: whoever owns production.
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["dockmaster", "health"]
ENTRYPOINT ["dockmaster"]
CMD ["run"]
