# The playback service: `playtrace serve`. Build it from the repository's root:
#   docker build -f docker/profile-playback.Dockerfile -t playtrace/profile-playback:dev .

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY crates crates
# A member of the workspace; it is not compiled.
COPY xtask xtask
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package playtrace \
    && install -D --strip --target-directory /out target/release/playtrace target/release/wctl

FROM debian:bookworm-slim
RUN groupadd --gid 1000 playtrace \
    && useradd --uid 1000 --gid 1000 --create-home --no-log-init playtrace \
    && install --directory --mode 2775 --owner 1000 --group 1000 /workdir/wepppy-test-engine-data
# An app behind https is replayed, too; debian:slim has no authorities.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out /usr/local/bin
COPY LICENSE LICENSE-APACHE LICENSE-MIT /usr/share/doc/playtrace/
USER 1000:1000
WORKDIR /home/playtrace
VOLUME /workdir/wepppy-test-engine-data
EXPOSE 8070
# There is no curl here, and bash can ask by itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8070 && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
# Inside its network only; who publishes the port decides who reaches it.
CMD ["playtrace", "serve", "--host", "0.0.0.0", "--port", "8070"]
