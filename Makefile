# SPDX-License-Identifier: MIT
# A thin front to meson. `make` builds build/deja; `make demo` and `make check` also install what is
# missing on a Debian system, with sudo unless run by root.

BUILD ?= build

# All that building and testing need, in one place.
PACKAGES = gcc libc6-dev make pkg-config meson ninja-build python3 \
	libcbor-dev liblz4-dev libxxhash-dev libzydis-dev libseccomp-dev libcmocka-dev \
	nasm acpica-tools lz4 python3-cbor2 xz-utils cpio mandoc gdb valgrind \
	slurmctld slurmd slurm-client munge

SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT_GET = $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -q

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) cli/deja
	@ln -sf cli/deja $(BUILD)/deja

$(BUILD)/build.ninja:
	meson setup $(BUILD)

# Nothing is done, and nobody asked for a password, when all is there. An install that fails is tried
# once more with fresh package lists: they may be missing or old.
deps:
	@missing=$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(PACKAGES) 2>/dev/null | \
	    awk -v want="$(PACKAGES)" '$$1 == "installed" { have[$$2] = 1 } \
	        END { n = split(want, w); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'); \
	[ -z "$$missing" ] && exit 0; \
	echo "installing:" $$missing; \
	$(APT_GET) install -y --no-install-recommends $$missing >/dev/null 2>&1 || \
	    { $(APT_GET) update && $(APT_GET) install -y --no-install-recommends $$missing; }

# The built-in guest crashes (status 3); its replay must be exact (status 0).
demo: deps
	@$(MAKE) --no-print-directory all
	@echo '$$ deja record -o $(BUILD)/demo.deja'
	@$(BUILD)/deja record -o $(BUILD)/demo.deja </dev/null; [ $$? = 3 ]
	@echo
	@echo '$$ deja replay $(BUILD)/demo.deja'
	@$(BUILD)/deja replay $(BUILD)/demo.deja
	@echo
	@echo '$$ deja info $(BUILD)/demo.deja'
	@$(BUILD)/deja info $(BUILD)/demo.deja

check: deps
	@$(MAKE) --no-print-directory all
	@ninja -C $(BUILD)
	@python3 tests/run_tests.py $(BUILD)

# The same suite, but the long runs of Linux, with AddressSanitizer and UndefinedBehaviorSanitizer.
check-sanitized: deps
	@[ -f $(BUILD)-asan/build.ninja ] || \
	    meson setup $(BUILD)-asan -Db_sanitize=address,undefined -Doptimization=1 >/dev/null
	@ninja -C $(BUILD)-asan --quiet all
	@python3 tests/run_tests.py $(BUILD)-asan --no-suite linux

install: all
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD)

.PHONY: all deps demo check check-sanitized install clean
