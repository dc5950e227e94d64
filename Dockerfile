# The recorder as an image: `docker build -t registry/xtrader:1.0.0 .`, then see docs/deployment.md.
#
#   --build-arg BASE=…@sha256:…      another base, or the same by digest. Pin it in what you release: a tag moves. It is not pinned here,
#                                    because a digest that nobody has checked is worse than none.
#   --build-arg WITHOUT=questdb,objects    leaves away what only those need: the sink into QuestDB, uploads into object stores
#   --build-arg VERSION=… --build-arg REVISION=…    for the labels
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG WITHOUT=""
# Byte code that is true for ever, whatever the files' times are: the image is read-only, and each start would compile anew.
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.lock requirements-runtime.lock deploy/image/locked.sh ./
RUN python -m venv tools && python -m venv --without-pip /opt/xtrader \
 && sh locked.sh only setuptools < requirements.lock > tools.lock \
 && tools/bin/pip install --quiet --require-hashes -r tools.lock \
 && sh locked.sh without "${WITHOUT}" < requirements-runtime.lock > runtime.lock \
 && tools/bin/pip --python /opt/xtrader/bin/python install --quiet --no-compile --no-deps --require-hashes -r runtime.lock
COPY pyproject.toml README.md ./
COPY xtrader xtrader
COPY deploy/image/trim.sh ./
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels . \
 && tools/bin/pip --python /opt/xtrader/bin/python install --quiet --no-compile --no-deps --no-index wheels/*.whl \
 && sh trim.sh /opt/xtrader \
 && /opt/xtrader/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/xtrader/lib

FROM ${BASE}
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="xtrader" \
      org.opencontainers.image.description="Market-data recorder whose recordings can be proven complete" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Debian's own latest: a fixed version of these is gone from its mirrors with the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates tini tzdata \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/* \
 && useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin runner \
 && install -d -o runner -g runner -m 0750 /data \
 && chmod 0755 /var/tmp /run/lock
COPY --from=build /opt/xtrader /opt/xtrader
COPY --chmod=0755 deploy/image/xtrader.sh /usr/local/bin/xtrader
# Others are to reach health, metrics and the page; what the recorder may be told still needs a token.
ENV XTRADER_HTTP=0.0.0.0:9090
EXPOSE 9090
# Everything that is written goes to /data, whichever sinks and flags are chosen; the health check looks where the recorder writes.
ENV XTRADER_JOURNAL_DIRECTORY=/data/.journal XDG_STATE_HOME=/data/.state XDG_CACHE_HOME=/data/.cache \
    PYTHONDONTWRITEBYTECODE=1
# ./data is /data.
WORKDIR /
VOLUME ["/data"]
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["xtrader", "healthcheck"]
ENTRYPOINT ["xtrader"]
