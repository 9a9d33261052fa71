# vipd: make builds build/vipd; make deps installs what is missing on Debian 12; make help lists the rest.
PKG_CONFIG ?= pkg-config
PKGS := libsystemd libcurl jansson yaml-0.1 libnl-3.0 libnl-genl-3.0 libnl-route-3.0 libnftnl libmnl libmicrohttpd
VERSION := 0.1.0
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

# SAN=address,undefined builds into a directory of its own; so does another CC.
SAN ?=
comma := ,
BUILD := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter-out cc gcc,$(CC)),/$(CC))

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wconversion \
	-Wswitch-enum -Wvla -Wformat=2 -Wwrite-strings -Wno-sign-conversion
HARDEN := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
OPT := -O2 -g
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -Ipkg -MMD -MP $(OPT) $(WARN) $(HARDEN) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
	$(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) -lpthread

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

LIB_SRC := $(wildcard pkg/*/*.c)
CMD_SRC := $(wildcard cmd/vipd/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB := $(BUILD)/libvipd.a
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))

all: $(BUILD)/vipd

$(BUILD)/vipd: $(call obj,$(CMD_SRC)) $(LIB)
	$(call say,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(call obj,$(CMD_SRC)) $(LIB) $(LIBS)

$(LIB): $(call obj,$(LIB_SRC))
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/obj/cmd/vipd/version.o: ALL_CFLAGS += -DVIPD_VERSION='"$(VERSION)"' -DVIPD_REVISION='"$(REVISION)"'

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIB)
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) -lcmocka $(LIBS)

units: $(UNITS)
	$(Q)set -e; for t in $(UNITS); do $$t; done

format:
	$(Q)clang-format-14 -i $(shell git ls-files '*.c' '*.h')

clean:
	rm -rf build

.PHONY: all units format clean
.SECONDARY:
-include $(patsubst %.o,%.d,$(call obj,$(LIB_SRC) $(CMD_SRC) $(UNIT_SRC)))
