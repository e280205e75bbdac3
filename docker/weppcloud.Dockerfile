# The demo app; its RQ worker is the same image with another command. Build it from the repository's root:
#   docker build -f docker/weppcloud.Dockerfile -t playtrace/weppdemo:dev .

FROM rust:1.95-slim-bookworm AS rust

# The agent's wheel. The image with a C compiler; nothing of it reaches the last stage.
FROM python:3.12-bookworm AS wheel
ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup PATH=/usr/local/cargo/bin:/usr/local/bin:/usr/bin:/bin
COPY --from=rust /usr/local/cargo /usr/local/cargo
COPY --from=rust /usr/local/rustup /usr/local/rustup
WORKDIR /src
COPY requirements/maturin.txt requirements/maturin.txt
RUN python -m pip install --no-cache-dir --require-hashes -r requirements/maturin.txt
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY xtask xtask
COPY python python
WORKDIR /src/python
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    maturin build --release --locked --interpreter python3.12 --out /wheels

FROM python:3.12-slim-bookworm AS environment
COPY requirements/demo.txt /requirements/demo.txt
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --require-hashes -r /requirements/demo.txt \
    && /opt/venv/bin/python -m pip install --no-cache-dir --no-deps /wheels/playtrace_agent-*.whl

FROM python:3.12-slim-bookworm
RUN groupadd --gid 1000 weppcloud \
    && useradd --uid 1000 --gid 1000 --create-home --no-log-init weppcloud \
    && install --directory --mode 2775 --owner 1000 --group 1000 /workdir/wepppy-test-engine-data
COPY --from=environment /opt/venv /opt/venv
COPY demo/app /srv/demo/app
COPY demo/gunicorn.conf.py /srv/demo/gunicorn.conf.py
COPY demo/profiles /srv/demo/profiles
COPY docker/prepare_data.sh docker/web_health.py docker/worker_health.py /opt/stack/
# Paths in the data are those of the repository (demo/app/…), so that `coverage report` can be typed in its root.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/srv/demo/app \
    PROFILE_COVERAGE_CONFIG=/srv/demo/app/coverage.profile-playback.ini \
    PROFILE_COVERAGE_ROOT=/srv
USER 1000:1000
WORKDIR /home/weppcloud
VOLUME /workdir/wepppy-test-engine-data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "/opt/stack/web_health.py", "http://127.0.0.1:8080/weppcloud/health"]
CMD ["gunicorn", "--config", "/srv/demo/gunicorn.conf.py", "--worker-class", "gthread", "--workers", "2", "--threads", "4", "--bind", "0.0.0.0:8080", "--timeout", "300", "weppdemo.wsgi:application"]
