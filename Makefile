# vipd: make builds build/vipd; make deps installs what is missing on Debian 12; make help lists the rest.
# A cross compiler comes with programs of the same prefix: make CC=aarch64-linux-gnu-gcc
CROSS := $(patsubst %-gcc,%-,$(filter %-gcc,$(CC)))
PKG_CONFIG ?= $(CROSS)pkg-config
ifeq ($(origin AR),default)
AR := $(CROSS)ar
endif
PKGS := libsystemd libcurl jansson yaml-0.1 libnl-3.0 libnl-genl-3.0 libnl-route-3.0 libnftnl libmnl libmicrohttpd
VERSION := 0.1.0
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
CLANG ?= clang-14
CLANG_FORMAT ?= clang-format-14
FUZZ_TIME ?= 60
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local

# What works without the libraries; everything else says how to get them.
BARE := deps help clean format lint test test-kube image test-image e2e bench demo install guest-shell
ifneq ($(filter-out $(BARE),$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(PKGS) 2>/dev/null && echo found),found)
$(error the build needs libraries that are missing here; run: make deps)
endif
endif

# SAN=address,undefined builds into a directory of its own; so does another CC.
SAN ?=
comma := ,
BUILD := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter-out cc gcc,$(CC)),/$(CC))

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wconversion \
	-Wswitch-enum -Wvla -Wformat=2 -Wwrite-strings -Wno-sign-conversion
HARDEN := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
OPT := -O2 -g
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) -lpthread
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -Ipkg -MMD -MP $(OPT) $(WARN) $(HARDEN) $(SAN_FLAGS) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)
link = $(call say,LD,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^)

LIB_SRC := $(wildcard pkg/*/*.c)
CMD_SRC := $(wildcard cmd/vipd/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
NETNS_SRC := $(wildcard tests/netns/t_*.c)
GUEST_SRC := $(wildcard tests/guest/t_*.c)
TOOL_SRC := $(wildcard tests/tools/*.c)
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
bin = $(patsubst tests/%.c,$(BUILD)/%,$(1))
LIB := $(BUILD)/libvipd.a
UNITS := $(call bin,$(UNIT_SRC))
FUZZERS := $(call bin,$(FUZZ_SRC))
TOOLS := $(call bin,$(TOOL_SRC))
KERNEL_TESTS := $(call bin,$(NETNS_SRC) $(GUEST_SRC))

all: $(BUILD)/vipd

$(BUILD)/vipd: $(call obj,$(CMD_SRC)) $(LIB)
	$(link) $(LIBS)

$(LIB): $(call obj,$(LIB_SRC))
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/obj/cmd/vipd/version.o: ALL_CFLAGS += -DVIPD_VERSION='"$(VERSION)"' -DVIPD_REVISION='"$(REVISION)"'

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIB)
	$(link) -lcmocka $(LIBS)

$(BUILD)/netns/t_%: $(BUILD)/obj/tests/netns/t_%.o $(LIB)
	$(link) -lcmocka $(LIBS)

$(BUILD)/guest/t_%: $(BUILD)/obj/tests/guest/t_%.o $(LIB)
	$(link) -lcmocka $(LIBS)

# The helpers of the lab need nothing but libc: they also run where no library is.
$(BUILD)/tools/%: $(BUILD)/obj/tests/tools/%.o
	$(link)

$(BUILD)/tools/nsexec $(BUILD)/tools/remote: ALL_LDFLAGS += -static-pie

# These speak to what vipd speaks to, with its own rooms.
$(BUILD)/tools/kubewatch: $(BUILD)/obj/tests/tools/kubewatch.o $(LIB)
	$(link) $(LIBS)

# What keepalived is given where the kernel has no IPVS.
$(BUILD)/tools/noipvs.so: tests/bench/noipvs.c Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) -std=c17 -D_GNU_SOURCE $(OPT) $(WARN) $(CFLAGS) -fPIC -shared -o $@ $<

# A fuzz target is a replayer of its corpus everywhere, and a fuzzer with clang and SAN=fuzzer-no-link,...
ifneq ($(filter fuzzer-no-link,$(subst $(comma), ,$(SAN))),)
$(BUILD)/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(LIB)
	$(link) -fsanitize=fuzzer $(LIBS)
else
$(BUILD)/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay_main.o $(LIB)
	$(link) $(LIBS)
endif

## units: build the unit tests and run them
units: $(UNITS)
	$(Q)set -e; for t in $(UNITS); do $$t; done

unit-binaries: $(UNITS)
fuzzers: $(FUZZERS)
tools: $(TOOLS)
kernel-tests: $(KERNEL_TESTS) $(TOOLS) $(BUILD)/tools/noipvs.so

# Runs every fuzz target over its corpus; with SAN=address,undefined a finding ends it.
replay: $(FUZZERS)
	$(Q)set -e; for t in $(FUZZERS); do $$t tests/fuzz/corpus/$${t##*/fuzz_}; done

lint:
	$(Q)hack/lint

## check: the fast inner loop: units, units and corpora under ASan+UBSan, format, layers, headers
check:
	$(Q)hack/quiet units $(MAKE) -j$(JOBS) --no-print-directory units
	$(Q)hack/quiet "units, ASan+UBSan" $(MAKE) -j$(JOBS) --no-print-directory SAN=address,undefined units
	$(Q)hack/quiet "fuzz corpora, ASan+UBSan" $(MAKE) -j$(JOBS) --no-print-directory SAN=address,undefined replay
	$(Q)hack/lint

## test: install what is missing, build, and run everything
test:
	$(Q)hack/deps build test e2e
	$(Q)$(MAKE) -j$(JOBS) --no-print-directory CC=$(CLANG) CFLAGS=-Werror all
	$(Q)$(MAKE) -j$(JOBS) --no-print-directory all unit-binaries kernel-tests
	$(Q)$(MAKE) -j$(JOBS) --no-print-directory SAN=address,undefined all unit-binaries fuzzers
	$(Q)tests/kube/build --nodes >/dev/null && tests/kube/build-helm >/dev/null || echo 'tests with Kubernetes are skipped'
	$(Q)tests/run all

## test-kube: the tests with a real Kubernetes API server alone; builds it first (once; needs Go >= 1.25)
test-kube:
	$(Q)hack/deps build test
	$(Q)$(MAKE) -j$(JOBS) --no-print-directory all tools
	$(Q)tests/kube/build >/dev/null
	$(Q)tests/kube/build-helm >/dev/null
	$(Q)tests/run kube

## image: build the container image with the Docker engine here
image:
	$(Q)hack/image

## test-image: build the image and try it; skipped where no Docker engine is
test-image:
	$(Q)tests/run image

## e2e: vipd on a real Kubernetes of two nodes; builds that first (once; needs Go >= 1.25 and a Docker engine)
e2e:
	$(Q)hack/deps build test e2e
	$(Q)$(MAKE) -j$(JOBS) --no-print-directory all tools
	$(Q)tests/kube/build --nodes >/dev/null
	$(Q)tests/kube/build-helm >/dev/null
	$(Q)tests/run e2e

## bench: vipd beside keepalived (QUICK=1: one short round; ROUNDS, ROWS, KEEPALIVED: tests/bench/run)
bench:
	$(Q)hack/deps build test
	$(Q)$(MAKE) -j$(JOBS) --no-print-directory all kernel-tests
	$(Q)QUICK=$(QUICK) ROUNDS=$(ROUNDS) ROWS="$(ROWS)" $(if $(KEEPALIVED),KEEPALIVED=$(KEEPALIVED)) tests/bench/run

## fuzz: run every fuzz target for FUZZ_TIME seconds under ASan+UBSan
fuzz:
	$(Q)$(MAKE) -j$(JOBS) --no-print-directory CC=$(CLANG) SAN=fuzzer-no-link,address,undefined fuzzers
	$(Q)tests/fuzz/run $(FUZZ_TIME) build/san-fuzzer-no-link-address-undefined/$(CLANG)/fuzz

## demo: the story of three VIPs on two nodes, shown in about three minutes
demo:
	$(Q)hack/deps build test
	$(Q)$(MAKE) -j$(JOBS) --no-print-directory all tools
	$(Q)hack/demo

## deps: install what is missing on Debian 12 (as root or by sudo)
deps:
	$(Q)hack/deps build test

## format: clang-format all C files in place
format:
	$(Q)$(CLANG_FORMAT) -i $(shell git ls-files '*.c' '*.h')

## install: copy build/vipd to DESTDIR/PREFIX/sbin
install:
	install -D -m 755 build/vipd $(DESTDIR)$(PREFIX)/sbin/vipd

## clean: remove build/
clean:
	rm -rf build

## help: this list
help:
	@echo 'all: build/vipd (SAN=address,undefined and CC=$(CLANG) build beside it; V=1 shows commands)'
	@sed -n 's/^## //p' Makefile

.PHONY: all units unit-binaries fuzzers tools kernel-tests replay lint check test test-kube image test-image e2e bench fuzz demo deps format install clean help
.SECONDARY:
-include $(patsubst %.o,%.d,$(call obj,$(LIB_SRC) $(CMD_SRC) $(UNIT_SRC) $(FUZZ_SRC) $(NETNS_SRC) $(GUEST_SRC) \
	$(TOOL_SRC) tests/fuzz/replay_main.c))
