# A thin front for people: each target installs the packages that it needs (where there is apt),
# then calls CMake, Ninja and CTest by the presets of CMakePresets.json. `make help` lists them.

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
CTEST_ARGS ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
SOAK_RATE ?= 10000000

PACKAGES := scripts/install-packages.sh
STAMPS := build/.packages
PYTHON := build/venv/.installed
BENCH_PYTHON := build/venv/.installed-bench

# In all, configure again: it is quick, and a new file or option is never missed.
build-preset = cmake --preset $(1) $(2) && cmake --build --preset $(1) --parallel $(JOBS)
test-preset = FLETCH_PEERS_WANTED=1 ctest --preset $(1) --parallel $(JOBS) $(CTEST_ARGS)

.PHONY: help demo test test-release test-tsan build-aarch64 coverage fuzz bench bench-build \
        bench-python install interop \
        tidy format model-deep stress-deep soak clean
.DELETE_ON_ERROR:

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed 's/:.*## /\t/' | expand -t 16

demo: $(STAMPS)-compile $(STAMPS)-demo ## shuffle real data, and prove that nothing was lost
	@cmake -S . -B build/demo/program -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
	@cmake --build build/demo/program --parallel $(JOBS) --target fletch
	@scripts/run-demo.sh build/demo/program/programs/fletch/fletch

test: $(STAMPS)-test $(PYTHON) ## build with ASan and UBSan and run every test but the deep ones
	$(call build-preset,dev)
	$(call test-preset,dev)

test-release: $(STAMPS)-test $(PYTHON) ## the same tests on the library as it is shipped
	$(call build-preset,release)
	$(call test-preset,release)

test-tsan: $(STAMPS)-test ## the same tests under ThreadSanitizer
	$(call build-preset,tsan)
	$(call test-preset,tsan)

build-aarch64: $(STAMPS)-compile $(STAMPS)-cross ## compile for the other processor, run its kernels
	$(call build-preset,aarch64)
	cmake -DSOURCE=$(CURDIR) -DBINARY=build/aarch64 -P tests/platform/run_aarch64.cmake

coverage: $(STAMPS)-test $(PYTHON) $(STAMPS)-coverage ## which lines and branches the tests reach
	$(call build-preset,coverage)
	find build/coverage -name '*.gcda' -delete
	$(call test-preset,coverage)
	mkdir -p build/coverage/report
	gcovr --root . --filter src/ --object-directory build/coverage --exclude-throw-branches \
	    --html-details build/coverage/report/index.html --print-summary

FUZZ_TARGETS ?= stream file codec import partition http2 grpc flight flight_server

fuzz: $(STAMPS)-test $(STAMPS)-fuzz ## feed each target what a fuzzer thinks of, FUZZ_SECONDS long
	$(call build-preset,fuzz)
	@scripts/run-fuzzers.sh build/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

bench: bench-build $(BENCH_PYTHON) ## run every benchmark against its peers
	@PATH="$(CURDIR)/build/venv/bin:$$PATH" scripts/run-benchmarks.sh build/bench/bench all

bench-python: $(BENCH_PYTHON) ## install the Python packages that benchmarks compare with

bench-build: $(STAMPS)-bench $(PYTHON) ## build the benchmarks and the peers that they compare with
	$(call build-preset,bench)
	@scripts/build-foreign-rings.sh build/bench

install: $(STAMPS)-compile ## install below PREFIX (default /usr/local), staged in DESTDIR
	cmake -S . -B build/install -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	    -DCMAKE_INSTALL_PREFIX=$(PREFIX)
	cmake --build build/install --parallel $(JOBS)
	DESTDIR=$(DESTDIR) cmake --install build/install

interop: $(STAMPS)-test $(STAMPS)-interop $(PYTHON) ## compare with other implementations of Arrow
	scripts/install-go-tools.sh
	scripts/install-java-tools.sh
	scripts/install-flight-peers.sh
	$(call build-preset,dev) --target ipc_tool flight_integration_client \
	    flight_integration_server service_peer
	FLETCH_ARROW_GO_TOOLS=$(CURDIR)/build/interop \
	FLETCH_ARROW_JAVA_TOOLS=$(CURDIR)/build/interop/java \
	FLETCH_FLIGHT_PEERS=$(CURDIR)/build/interop \
	ctest --preset dev --output-on-failure \
	    --tests-regex '^(golden/arrow|interop/(flight|shuffle))_(go|java|peers)$$' $(CTEST_ARGS)

tidy: $(STAMPS)-test $(STAMPS)-format ## check the rules of the tree
	$(call build-preset,dev)
	ctest --preset dev --label-regex '^tidy$$' --verbose

format: $(STAMPS)-format ## lay out the code as .clang-format says
	git ls-files -co --exclude-standard '*.c' '*.h' '*.cpp' '*.hpp' ':!tests/tidy/fixtures' | \
	    xargs clang-format -i --style=file

model-deep: $(STAMPS)-test ## explore more interleavings with the model checker (long)
	$(call build-preset,dev)
	ctest --test-dir build/dev --output-on-failure --parallel $(JOBS) \
	    --label-regex '^model$$' $(CTEST_ARGS)

stress-deep: $(STAMPS)-test ## run the stress and litmus tests much longer, as shipped
	$(call build-preset,release)
	ctest --test-dir build/release --output-on-failure --label-regex '^deep$$' \
	    --label-exclude '^model$$' $(CTEST_ARGS)

soak: $(STAMPS)-test ## rings, store and calls of gRPC for long: nothing lost, memory flat
	$(call build-preset,release) --target soak_structures soak_rpc
	build/release/tests/soak/soak_structures $(SOAK_SECONDS) $(SOAK_RATE)
	build/release/tests/soak/soak_rpc $(SOAK_SECONDS)

clean: ## remove everything that was built
	rm -rf build

# One stamp for each set of packages: the question is asked once.
$(STAMPS)-%: $(PACKAGES)
	@$(PACKAGES) $*
	@mkdir -p build && touch $@

# Python packages that tests compare with, in an environment of their own. Without them, where there
# is no network say, those tests are skipped; the next make tries again.
$(PYTHON): scripts/install-python.sh tests/requirements.txt
	@if scripts/install-python.sh $(@D); then touch $@; else \
	    echo "tests that need the packages of tests/requirements.txt will be skipped" >&2; fi

# The same for benchmarks whose peers are Python packages. Without them there is nothing to compare.
$(BENCH_PYTHON): scripts/install-python.sh bench/requirements.txt
	@scripts/install-python.sh $(@D) bench/requirements.txt && touch $@
