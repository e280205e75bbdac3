# playtrace: `make demo` shows it, `make test` proves it. Both do all their own set-up.
# `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Targets share .venv, the build directory and ports: one after the other.
.NOTPARALLEL:

PYTHON := .venv/bin/python
# CPython 3.13 beside 3.12, or the other way round; the tests that depend most on the interpreter run there, too.
# What starts servers or pools of processes takes minutes: `make matrix` runs what its lines name of that, on each.
OTHER := .tools/other-python/bin/python
ON_OTHER := $(patsubst %,python/tests/test_%.py,always attribution beside_others code_lifetime empty_context future_plumbing last_words onimport stretches \
	granularity imports left_out passing resumed_elsewhere wsgi asgi asgi_pieces processes) $(wildcard python/tests/test_harmless_*.py)
# CPython 3.11, where coverage.py is the source of lines. What of that takes longest runs here only where there is none.
OLDER := .tools/older-python/bin/python
ON_OLDER := $(patsubst %,python/tests/test_%.py,coverage_engine coverage_engine_beside coverage_engine_reach imports rq) \
	python/tests/test_asgi_servers.py::test_profiles_at_once_by_the_coverage_engine
PROGRAM := target/release/playtrace
PATHS := python demo tests benches docker docs

.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: program
program:
	@echo '==> building the program (the first time takes some minutes)'
	@cargo build --release --locked --package playtrace --package xtask

.PHONY: setup
setup: program  ## Build everything and make .venv, without running anything
	@cargo xtask setup

.PHONY: build
build: program  ## target/release/playtrace, target/release/wctl, and the agent's wheel in dist/
	@cargo xtask wheel
	@echo "==> $(PROGRAM), target/release/wctl, $$(ls dist/playtrace_agent-*.whl)"

.PHONY: packages
packages: build  ## All that is published, in dist/: both wheels, shell completions, manual pages
	@cargo xtask packages

.PHONY: demo
demo: setup  ## Replay the demo's profiles against the demo app; results in out/demo
	@exec $(PYTHON) demo/run_demo.py --playtrace $(PROGRAM) --redis-server .tools/redis-server

.PHONY: stack
stack: setup  ## Run the demo's services in the foreground and print their URLs
	@exec $(PYTHON) demo/stack.py --playtrace $(PROGRAM) --redis-server .tools/redis-server --out out/stack

.PHONY: test
test:  ## Unit, property and end-to-end tests
	@# What takes one processor, beside what takes one.
	@echo '==> building the program (the first time takes some minutes), and making environments meanwhile'
	@cargo build --release --locked --package xtask
	@mkdir -p .tools
	@target/release/xtask venvs >.tools/venvs.log 2>&1 & \
		cargo build --release --locked --package playtrace || failed=1; \
		wait $$! || failed=1; \
		cat .tools/venvs.log; \
		exit $${failed:-0}
	@$(MAKE) --no-print-directory check >.tools/check.log 2>&1 & \
		{ cargo xtask setup && cargo xtask other; } || failed=1; \
		wait $$! || failed=1; \
		cat .tools/check.log; \
		exit $${failed:-0}
	@echo '==> Rust tests'
	@cargo test --release --locked --workspace --quiet --no-run
	@# Many of them wait for something: what runs on other CPythons begins meanwhile.
	@export PLAYTRACE_TEST_REDIS_SERVER=$(CURDIR)/.tools/redis-server PLAYTRACE_TEST_PROGRAM=$(CURDIR)/$(PROGRAM); \
		log=.tools/other-pythons.log; \
		others() { \
			other=0; \
			if [ -x $(OTHER) ]; then $(OTHER) -m pytest -p no:cacheprovider $(ON_OTHER) || other=1; fi; \
			if [ -x $(OLDER) ]; then $(OLDER) -m pytest -p no:cacheprovider $(ON_OLDER) || other=1; fi; \
			return $$other; \
		}; \
		others >"$$log" 2>&1 & \
		PLAYTRACE_TEST_PYTHON=$(CURDIR)/$(PYTHON) cargo test --release --locked --workspace --quiet || failed=1; \
		echo '==> agent tests, three files at once, the longest first; beside them, on other CPythons, those that depend on the interpreter'; \
		$(PYTHON) -m pytest python/tests -n 3 --dist loadfile --no-loadscope-reorder \
			$$([ ! -x $(OLDER) ] || echo "-k=not(by_the_coverage_engine)") || failed=1; \
		wait $$! || failed=1; \
		cat "$$log"; \
		exit $${failed:-0}
	@echo '==> end-to-end tests, three files at once, the longest first'
	@mkdir -p .tools/program && cp -f $(PROGRAM) target/release/wctl .tools/program/
	@PLAYTRACE_TEST_PROGRAM=$(CURDIR)/.tools/program/playtrace $(PYTHON) -m pytest tests -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: bench-tracer
bench-tracer: setup build  ## What tracing costs: benches/results/bench-tracer.json and a table (about 25 minutes)
	@exec $(PYTHON) -m benches.tracer --redis-server .tools/redis-server

.PHONY: bench-source
bench-source: setup  ## How long statements and symbols of real packages take: benches/results/source.json
	@exec $(PYTHON) -m benches.source

.PHONY: bench-export
bench-export: setup  ## How long coverage.py's reports of Django take, by coverage.py and by us: benches/results/export.json
	@exec $(PYTHON) -m benches.export

.PHONY: bench-hostile
bench-hostile: setup  ## What hostile headers cost a real server, and untraced requests: benches/results/hostile.json (a quarter of an hour)
	@exec $(PYTHON) -m benches.hostile

.PHONY: bench-perf
bench-perf: setup  ## Whether `playtrace perf` finds a planted slowdown of 10 %: benches/results/bench-perf.json (half an hour)
	@exec $(PYTHON) -m benches.perf

.PHONY: fuzz-source
fuzz-source: setup  ## A million mutated sources, or as many as fit into five minutes: no panic, and sane answers
	@PROPTEST_CASES=1000000 PLAYTRACE_FUZZ_SECONDS=300 \
		cargo test --release --locked --package playtrace-pysource --test properties mutated_sources

.PHONY: bench-data
bench-data: setup  ## Merging data files, against two coverage.py: benches/results/bench-data.json and a table
	@exec $(PYTHON) -m benches.data --program $(PROGRAM)

# libFuzzer needs the compiler's counters, and nothing that only a nightly compiler has.
FUZZED := numbits data_file config remapping header
FUZZ_SECONDS := 60
FUZZ_HOST := $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code --cfg fuzzing

.PHONY: fuzz
fuzz:  ## Fuzz what reads files and headers of others, a minute each (FUZZ_SECONDS); what it finds is put into fuzz/findings
	@echo '==> building the fuzz targets'
	@RUSTFLAGS='$(FUZZ_FLAGS)' cargo build --release --locked --manifest-path fuzz/Cargo.toml --target $(FUZZ_HOST) \
		--target-dir target/fuzz
	@mkdir -p fuzz/findings
	@for target in $(FUZZED); do \
		echo "==> $$target"; \
		mkdir -p target/fuzz/corpus/$$target; \
		target/fuzz/$(FUZZ_HOST)/release/$$target -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=1024 \
			-max_len=70000 -print_final_stats=1 -verbosity=0 -artifact_prefix=fuzz/findings/$$target- \
			target/fuzz/corpus/$$target fuzz/corpus/$$target; \
	done
	@echo '==> sources'
	@PROPTEST_CASES=1000000 PLAYTRACE_FUZZ_SECONDS=$(FUZZ_SECONDS) \
		cargo test --release --locked --quiet --package playtrace-pysource --test properties mutated_sources

.PHONY: stress
stress: setup  ## Attribution under load, on two CPythons: 20,000 requests a scenario, then agents with one fault each (2 hours)
	@cargo xtask other
	@$(PYTHON) -m tests.stress || failed=1; \
		if [ -x $(OTHER) ]; then $(OTHER) -m tests.stress --again || failed=1; fi; \
		exit $${failed:-0}

.PHONY: kills
kills: setup  ## 300 kills -9 of web processes, work horses and scripts: no executed line is lost (10 minutes)
	@exec $(PYTHON) -m tests.kills

.PHONY: nights
nights: setup  ## Two nights of the demo's own workflows, run step by step: failing, flaky, missing and killed profiles
	@exec $(PYTHON) -m tests.nights

.PHONY: rq-matrix
rq-matrix: setup  ## The tests of jobs with each version of RQ in requirements/rq-*.txt; prints a table
	@PLAYTRACE_TEST_REDIS_SERVER=$(CURDIR)/.tools/redis-server PLAYTRACE_TEST_PROGRAM=$(CURDIR)/$(PROGRAM) \
		$(PYTHON) tests/rq_matrix.py

.PHONY: matrix
matrix: setup  ## What the agent is proven with, on each Python there is: docs/reference/matrix.md (half an hour)
	@cargo xtask other
	@exec $(PYTHON) -m tests.matrix

.PHONY: queues
queues: setup  ## Celery, Dramatiq, Huey and arq: every pool, what does not end well, and agents with faults
	@PLAYTRACE_TEST_REDIS_SERVER=$(CURDIR)/.tools/redis-server PLAYTRACE_TEST_PROGRAM=$(CURDIR)/$(PROGRAM) \
		PLAYTRACE_TEST_QUEUES=all $(PYTHON) -m pytest $(addprefix python/tests/test_,$(addsuffix .py,celery run_celery dramatiq huey arq))

.PHONY: check
check:
	@echo '==> formats, types, arrows, messages, inventory'
	@$(PYTHON) -m ruff check --quiet $(PATHS)
	@$(PYTHON) -m mypy --no-error-summary
	@$(PROGRAM) check-profile-coverage --quiet
	@cargo fmt --check
	@cargo xtask arrows
	@cargo xtask features
	@cargo xtask messages --check

.PHONY: lint
lint: setup check  ## Everything that needs no run: clippy, docs, formats, types, arrows
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --document-private-items

.PHONY: docs
docs: setup  ## Stitch docs/messages.md, and build the site of the documentation into out/docs
	@cargo xtask messages
	@$(PYTHON) docs/_site/build.py --program $(PROGRAM)

.PHONY: parity
parity: setup  ## The same lines as coverage.py's ctrace for real packages' test suites, the same sources and reports (hours)
	@$(PYTHON) -m tests.source_parity --program $(PROGRAM) || failed=1; \
		$(PYTHON) -m tests.export_parity --program $(PROGRAM) || failed=1; \
		$(PYTHON) -m tests.parity --wheel dist/playtrace_agent-*.whl || failed=1; \
		exit $${failed:-0}

.PHONY: clean
clean:  ## Remove everything that was made
	rm -rf target out dist .venv .tools
