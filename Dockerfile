# One department's node, or the one-shot step that prepares a network. See docker-compose.yml.
#
#   docker build --build-arg BASE=registry.example/python:3.13-slim-bookworm --tag mulu:local .
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
# An environment of its own can be carried over whole; both stages have the same base, so its interpreter is there.
RUN python -m venv /opt/mulu
COPY . .
RUN /opt/mulu/bin/pip install --no-cache-dir --disable-pip-version-check ".[node,postgres]"

FROM ${BASE}
# /network belongs to the user of the image, so a named volume mounted there starts out writable for it.
RUN groupadd --system --gid 10001 mulu \
    && useradd --system --uid 10001 --gid mulu --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mulu \
    && install --directory --owner=mulu --group=mulu --mode=0700 /network
COPY --from=build /opt/mulu /opt/mulu
ENV PATH=/opt/mulu/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number, so that a host can tell it is not root.
USER 10001:10001
VOLUME /network
# Peers, gateway, exchange.
EXPOSE 7000 8000 9000
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2).read()"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["mulu"]
CMD ["--help"]
