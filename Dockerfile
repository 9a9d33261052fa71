# The image of vipd: the program, the libraries it needs, the CA certificates, and nothing else: no shell.
# hack/image builds it. BuildKit and the legacy builder, amd64 and arm64: a builder of that architecture, or
# emulation, is all it takes. Where no registry can be reached, hack/base-image makes the base.
ARG BASE=debian:bookworm-slim
FROM $BASE AS build
WORKDIR /src
COPY hack/deps hack/deps
RUN hack/deps build image && rm -rf /var/lib/apt/lists/*
COPY Makefile ./
COPY pkg pkg
COPY cmd cmd
ARG REVISION=unknown
RUN make -j"$(nproc)" REVISION="$REVISION" && \
    install -D -s -m 755 build/vipd /image/usr/sbin/vipd && \
    # The loader knows which libraries, but for those that are opened later: libgcc_s by libc when a thread ends,
    # the others by pkg/dl.
    for name in libgcc_s.so.1 libcurl.so.4 libmicrohttpd.so.12; do \
        ldconfig -p | awk -v name=$name '$1 == name { print $NF; exit }'; \
    done >/tmp/opened && \
    { cat /tmp/opened; ldd build/vipd $(cat /tmp/opened) | awk '$2 == "=>" { print $3 } $1 ~ /^\/.*[^:]$/ { print $1 }'; } | \
        sort -u >/tmp/libraries && \
    xargs -a /tmp/libraries cp --parents --dereference -t /image && \
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt && \
    mkdir -p /image/run/vipd /image/var/lib/vipd /image/tmp && \
    ! chroot /image /usr/sbin/vipd version 2>&1 | grep -e "error while loading" -e "(none)"

FROM scratch
COPY --from=build /image /
LABEL org.opencontainers.image.title="vipd" \
      org.opencontainers.image.description="Virtual IPs for small Kubernetes clusters: VRRP, IPVS and health checks in one agent" \
      org.opencontainers.image.licenses="MIT"
ENTRYPOINT ["/usr/sbin/vipd"]
CMD ["run"]
