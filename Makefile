# SPDX-License-Identifier: MIT
#
#   make e2e [ARCH=x86_64|arm64] [KERNEL=name …] [SCENARIO=id …] [KLP_FLAGS=…]
#   make test                lint, types, unit tests, tests with real guests
#   make nightly             every scenario on every kernel of the catalogue
#   make bench [ARCH=x86_64|arm64] [KERNEL=name] [KLP_FLAGS=--count 5]   figures of this host, beside a plain boot
#   make bench-report        what the HTML report of a large run takes to make and to open
#   make spec                docs/spec/ from the clause catalogue, docs/lint.md from the rules of klp lint, docs/schema/
#   make clean
#
# make itself ends with status 2 on any failure; the line before says which status the command had (docs/verdicts.md).

ARCH ?= x86_64
SOURCES := $(shell find harness images kernels scenarios test -name '*.ts')
KLP := node dist/harness/cli/main.js
KERNELS = $(if $(KERNEL),$(if $(filter command line,$(origin ARCH)),--arch $(ARCH)) $(addprefix --kernel ,$(KERNEL)),--arch $(ARCH))

.PHONY: e2e test nightly bench bench-report spec build clean host-packages lint tap

e2e: build
	@$(MAKE) --no-print-directory host-packages HOST_ARCHS=$(ARCH)
	$(KLP) run $(SCENARIO) $(KERNELS) $(KLP_FLAGS)

test: build
	@$(MAKE) --no-print-directory host-packages HOST_ARCHS='x86_64 arm64' HOST_FOR=--tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory tap

lint: build
	npx eslint .
	npx tsc -p harness/report/html/page
	@$(KLP) spec --check docs/spec
	@$(KLP) lint --rules | cmp -s - docs/lint.md || { echo 'docs/lint.md is out of date: make spec' >&2; exit 1; }
	@for what in results events; do \
	  $(KLP) report --schema $$what | cmp -s - docs/schema/$$what-1.json || { echo "docs/schema/$$what-1.json is out of date: make spec" >&2; exit 1; }; \
	done

tap: build
	npx tap $(TAP_FLAGS)

nightly: build
	@$(MAKE) --no-print-directory host-packages HOST_ARCHS='x86_64 arm64'
	$(KLP) run $$($(KLP) kernels list --names | sed 's/^/--kernel /') $(KLP_FLAGS)

bench: build
	@$(MAKE) --no-print-directory host-packages HOST_ARCHS=$(ARCH)
	$(KLP) bench $(if $(KERNEL),$(KERNEL),--arch $(ARCH)) $(KLP_FLAGS)

bench-report: build
	@$(MAKE) --no-print-directory host-packages HOST_ARCHS=x86_64 HOST_FOR=--tests
	node dist/test/report/html-figures.js

spec: build
	$(KLP) spec docs/spec
	$(KLP) lint --rules > docs/lint.md
	for what in results events; do $(KLP) report --schema $$what > docs/schema/$$what-1.json || exit 1; done

build: dist/.built

node_modules/.package-lock.json: package.json package-lock.json
	@command -v node > /dev/null || { echo 'klp needs Node 20.19 or later, and there is no node on the PATH' >&2; exit 3; }
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' \
	  || { echo "klp needs Node 20.19 or later; this is $$(node --version)" >&2; exit 3; }
	npm ci
	@touch $@

dist/.built: node_modules/.package-lock.json tsconfig.json $(SOURCES)
	npx tsc -p tsconfig.json
	@touch $@

# As root, or with sudo, what is missing is installed; else the one line that does it is printed.
host-packages: build
	@missing=$$($(KLP) doctor --packages $(HOST_FOR) --arch $(HOST_ARCHS)) || exit 3; \
	[ -n "$$missing" ] || exit 0; \
	line="apt-get install -y --no-install-recommends $$(echo $$missing)"; \
	if [ "$$(id -u)" = 0 ]; then as_root=env; \
	elif sudo -n true 2> /dev/null; then as_root='sudo env'; \
	else echo "These packages are missing; run as root:" >&2; echo "  $$line" >&2; exit 3; fi; \
	echo "$$line"; \
	$$as_root apt-get update -q && $$as_root DEBIAN_FRONTEND=noninteractive $$line || exit 3

clean:
	rm -rf dist
