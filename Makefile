# A thin front for meson. `make` builds into build/; what installs packages or makes network
# namespaces (demo, check, bench, soak) needs root.

BUILD ?= build
PREFIX ?= /usr/local
ROOT = @[ "$$(id -u)" = 0 ] || { echo "make $@: run with sudo"; exit 1; }

.PHONY: all with-tests check demo bench soak labkernel install deb clean format

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	tools/install-deps build
	meson setup --prefix $(PREFIX) $(BUILD)

# Tests and benchmarks too, which the programs alone do not need.
with-tests: $(BUILD)/build.ninja
	meson configure -Dtests=true $(BUILD)
	ninja -C $(BUILD)

check:
	$(ROOT)
	tools/install-deps check
	tools/bird-newer
	tools/libreswan
	tools/strongswan-newer
	tools/labkernel
	tools/kernel-selftests
	tools/pkcs11-provider
	tests/run

demo:
	$(ROOT)
	tools/install-deps demo
	$(MAKE) --no-print-directory all
	tests/demo/run

bench:
	$(ROOT)
	tools/install-deps bench
	tools/wireguard-go
	$(MAKE) --no-print-directory with-tests
	tests/bench/run
	tests/bench/run --unpinned --only table

soak:
	$(ROOT)
	tools/install-deps check
	$(MAKE) --no-print-directory with-tests
	tests/soak/run

labkernel:
	tools/labkernel

install: all
	meson install -C $(BUILD) --no-rebuild

deb:
	tools/make-deb

clean:
	rm -rf build build-clang build-asan build-fuzz build-deb

format:
	find src include tests -name '*.[ch]' -print0 | xargs -0 clang-format -i
