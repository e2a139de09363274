# The commands of the project; `make help` lists them. Building itself is CMake's, see
# CMakePresets.json.

PORT ?= 5555
ARGS ?=
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 300

BUILD := cmake --build
CTEST := ctest --output-on-failure --no-tests=error
PYTHON := /usr/bin/python3
EXAMPLE_MODULES := $(patsubst %package.json,%node_modules/.installed,\
                              $(wildcard examples/*/package.json))
SOURCES = $(shell find src clients examples tests -name node_modules -prune -o \
                  -name '*.h' -print -o -name '*.cc' -print -o -name '*.c' -print)

# A sanitizer's report ends the program. libzmq itself is not instrumented.
export TSAN_OPTIONS := halt_on_error=1:second_deadlock_stack=1:suppressions=$(CURDIR)/tests/tsan_suppressions.txt
export ASAN_OPTIONS := detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS := print_stacktrace=1

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help run build deps build-deps test-deps test test-release test-asan test-tsan test-clang \
        test-quick test-nightly test-mutants bench bench-peers format install clean

help: ## Lists these commands.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: build/build.ninja ## Installs what is missing, builds and starts a server on port 5555, data in ./entrepot-data (PORT=, ARGS=).
	@$(BUILD) build --target entrepot-server entrepot_cli
	@sed 's/5555/$(PORT)/' cmake/first_steps.txt
	@exec build/bin/entrepot-server --listen tcp://127.0.0.1:$(PORT) --data entrepot-data $(ARGS)

build: build/build.ninja ## Builds all programs into build/bin.
	$(BUILD) build

deps: build-deps test-deps $(EXAMPLE_MODULES) ## Installs the packages that building, testing and the examples need.

build-deps test-deps: %-deps:
	@cmake/install_packages.sh $*

build/build.ninja: | build-deps
	cmake --preset release

build-%/build.ninja: | deps
	cmake --preset $*

# The JavaScript examples' libraries, from npm.
%/node_modules/.installed: %/package.json | test-deps
	cd $* && npm install --no-audit --no-fund --no-package-lock
	touch $@

test: test-release test-asan test-tsan test-clang ## Runs every test, also under the sanitizers.
	@echo "All tests passed."

test-release: deps build
	$(CTEST) --test-dir build -j $(JOBS)

# What is not C++, or holds latencies and memory against bounds, would find nothing new here; of the
# wire's vectors one round over all of them is enough.
SANITIZED := entrepot-server unit_tests conformance_tests fuzz_tests client_tests
NOT_SANITIZED := -LE '^(layout|example|system)$$' -E '^(cli_test|client_programs_test|.*_python)$$'

test-asan test-tsan: test-%: deps build-%/build.ninja
	$(BUILD) build-$* --target $(SANITIZED)
	ENTREPOT_QUICK=1 $(CTEST) --test-dir build-$* -j $(JOBS) $(NOT_SANITIZED)

# The analysis of locks is part of compiling.
test-clang: deps build-clang/build.ninja
	$(BUILD) build-clang --target entrepot-server entrepot_client fuzz_tests
	$(CTEST) --test-dir build-clang -j $(JOBS) -L '^fuzz$$'

test-quick: deps build/build.ninja ## Runs the unit tests and one round of the wire tests: 3 minutes.
	$(BUILD) build --target entrepot-server unit_tests fuzz_tests
	ENTREPOT_QUICK=1 $(CTEST) --test-dir build -j $(JOBS) -L '^(unit|fuzz|layout|conformance)$$'

test-nightly: test test-mutants ## Runs every test, the long rounds, the fuzzers and the mutants.
	ENTREPOT_NIGHTLY=1 $(CTEST) --test-dir build -j $(JOBS) --timeout 14400
	@for fuzzer in build-clang/tests/*_fuzzer; do \
	  $$fuzzer -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build-clang/ \
	    build-clang/$$(basename $$fuzzer _fuzzer)_found \
	    tests/fuzz/$$(basename $$fuzzer _fuzzer)_corpus || exit 1; \
	done

test-mutants: deps ## Breaks each promise on purpose and shows that its test turns red.
	$(PYTHON) tests/mutants/run_mutants.py

bench: deps build ## Measures the server, the bare echoes and the parts, into docs/benchmarks.
	$(PYTHON) clients/bench/run_bench.py
	@cmake/install_packages.sh bench
	$(PYTHON) tests/bench/run_micro.py

bench-peers: deps build ## Measures it beside Redis and memcached, which this installs.
	@cmake/install_packages.sh bench
	$(PYTHON) clients/bench/run_bench_peers.py

format: deps ## Formats the C++ sources.
	clang-format -i $(SOURCES)

install: build ## Installs programs, libraries and headers below PREFIX.
	cmake --install build --prefix $(PREFIX)

clean: ## Removes everything that was built.
	rm -rf build build-asan build-tsan build-clang build-mutants
