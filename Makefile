# Every target installs the Debian packages it lacks, and says so. Root is needed for that and for the lab.
PREFIX ?= /usr/local
DESTDIR ?=
# Other programs than the release build that `make install` makes are taken as they are.
PROGRAMS ?= target/release

sbin := $(DESTDIR)$(PREFIX)/sbin
bin := $(DESTDIR)$(PREFIX)/bin
units := $(DESTDIR)/etc/systemd/system
config := $(DESTDIR)/etc/connexa/connexad.toml
share := $(DESTDIR)$(PREFIX)/share
bash := $(share)/bash-completion/completions/connexactl
zsh := $(share)/zsh/site-functions/_connexactl
examples := $(share)/doc/connexad/examples
fish := $(share)/fish/vendor_completions.d/connexactl.fish
figures := $(share)/connexa/alerts.yml $(share)/connexa/dashboard.json
pages := $(foreach page,$(notdir $(wildcard docs/man/*.[1-8])),$(share)/man/man$(subst .,,$(suffix $(page)))/$(page))
need := tests/lab/need

.DEFAULT_GOAL := help
.PHONY: help build demo test soak fuzz attempts deny changes golden lab bench docs explained judge deb lintian tarball reproducible clean-host install uninstall lint compiler

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: compiler ## the two programs, in target/debug
	@cargo build --quiet --bins

demo: compiler ## five nodes, real PPTP servers, an outage and the backend restart; under three minutes once built; ENGINE=kernel for tunnels without a process
	@echo "demo: building, which takes four minutes the first time and seconds after that"
	@cargo build --bins
	@ENGINE=$(ENGINE) tests/lab/run --demo

test: compiler ## lint, unit, simulation, netns and lab tests; ends with a line that counts them
	@tests/all

soak: compiler ## fresh schedules for SOAK=600 seconds, or the one of SIM_SEED=n; the daemon killed at each change of a file, and each fault of tests/netns/faults 200 times, too; the lab by the kernel engine, whose daemon is killed 200 times; then the mutations, or M="NAME..." or M=all alone
ifeq ($(M),)
	@SOAK=$(or $(SOAK),600) cargo test --quiet --test sim -- --exact --nocapture \
	  whatever_happens_every_wanted_and_reachable_node_comes_up_again
endif
ifeq ($(M)$(SIM_SEED),)
	@$(need) strace=strace
	@cargo test --quiet --test netns kills:: -- --ignored
	@FAULT_ROUNDS=200 cargo test --quiet --test netns faults::
	@cargo build --quiet --bins
	@ENGINE=kernel LAB_TIMEOUT=3600 tests/lab/run
	@ROUNDS=200 LAB_TIMEOUT=3600 tests/lab/run --soak
endif
ifeq ($(SIM_SEED),)
	@tests/sim/mutate $(filter-out all,$(M))
endif

fuzz: compiler ## every parser on ten million texts that nobody would write, or for FUZZ=600 seconds if these are over first; F="words" for one alone
	@FUZZ_SECONDS=$(or $(FUZZ),600) cargo test --quiet --profile fuzz --lib -- --nocapture fuzz::$(F)

attempts: build ## what a user without rights, and who writes rows, tries in vain; a line for each attempt
	@$(need) curl=curl ip=iproute2 setpriv=util-linux /usr/bin/python3=python3
	@tests/attempts

deny: ## licences, duplicates and sources of the dependencies, and known faults of theirs where github.com can be reached
	@tests/deny

changes: build ## that each usual change of the code applies, builds, passes and touches three files at most
	@tests/changes/try

golden: build ## records the incidents of tests/golden anew, for when recording::FORMAT rises
	@cargo test --quiet --test netns golden:: -- --ignored

lab: build ## the lab's scenarios; make lab S="outage mppe" for some of them
	@tests/lab/run $(S)

bench: compiler ## measures, into docs/benchmarks.md; make bench B="tunnel-life" for some of its sections
	@systemd/release >/dev/null
	@tests/bench/run $(B)

docs: compiler ## writes docs/man, docs/configuration.md, docs/columns.md and a chapter of docs/operations.md anew from the source
	@CONNEXA_WRITE_DOCS=1 cargo test --quiet --test docs the_page_of_the_configuration_is_what_the_source_says
	@CONNEXA_WRITE_DOCS=1 cargo test --quiet --test docs the_pages_of_the_manual_are_what_the_source_says
	@CONNEXA_WRITE_DOCS=1 cargo test --quiet --lib the_page_of_the_columns_is_what_the_source_says
	@CONNEXA_WRITE_DOCS=1 cargo test --quiet --lib the_chapter_of_lines_and_exit_codes_is_what_the_source_says

explained: build ## plays six broken tunnels in the lab, and writes what connexactl says of them into docs/operations.md
	@tests/lab/write-explained

judge: build ## schemathesis, fetched by pip, over the API of a daemon in a namespace
	@$(need) virtualenv=virtualenv
	@[ -x target/judge/bin/schemathesis ] || { virtualenv --quiet target/judge && target/judge/bin/pip install --quiet schemathesis==4.32.5; }
	@cargo test --quiet --test netns judges:: -- --ignored --nocapture

lint: compiler ## formatting, clippy with warnings denied, and that the core reaches out for nothing
	@cargo fmt --check
	@cargo clippy --quiet --all-targets -- -D warnings
	@$(need) /usr/bin/python3=python3
	@tests/pure-core

install: compiler ## release programs, unit, pages of the manual, completions, alerts and dashboard, example configuration and group onto this host
ifeq ($(PROGRAMS),target/release)
	@systemd/release >/dev/null
endif
	@install -d $(sbin) $(bin) $(units) $(dir $(config))
	@install -m 755 $(PROGRAMS)/connexad $(sbin)/
	@install -m 755 $(PROGRAMS)/connexactl $(bin)/
	@install -m 644 systemd/connexad.service $(units)/
	@sed -i 's|/usr/local/|$(PREFIX)/|' $(units)/connexad.service
	@for file in $(figures); do install -D -m 644 docs/$${file##*/} $$file; done
	@install -D -m 644 systemd/kernel-engine.conf $(examples)/kernel-engine.conf
	@install -D -m 755 systemd/practice $(examples)/practice
	@for page in $(pages); do install -D -m 644 docs/man/$${page##*/} $$page; done
	@install -d $(dir $(bash) $(zsh) $(fish))
	@$(PROGRAMS)/connexactl completions bash >$(bash)
	@$(PROGRAMS)/connexactl completions zsh >$(zsh)
	@$(PROGRAMS)/connexactl completions fish >$(fish)
	@if [ ! -e $(config) ] && [ -e docs/connexad.example.toml ]; then \
	  install -m 640 docs/connexad.example.toml $(config); fi
ifeq ($(DESTDIR),)
	@$(need) pppd=ppp pptp=pptp-linux
	@getent group connexa >/dev/null || groupadd --system connexa
	@if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo "installed; edit $(config), check it with connexad --check-config, then: systemctl enable --now connexad"
else
	@echo "installed below $(DESTDIR), without the group connexa and the packages ppp and pptp-linux"
endif

deb: compiler ## a Debian package of the release programs, in target/deb
	@systemd/release >/dev/null
	@$(need) dpkg-deb=dpkg strip=binutils /usr/bin/python3=python3
	@systemd/deb/build target/deb

lintian: deb ## what Debian's own judge says of the package; an error or a warning fails
	@$(need) lintian=lintian
	@lintian --allow-root --fail-on error,warning target/deb/*.deb

tarball: compiler ## the files of `make install` for hosts without dpkg, in target/tarball; statically linked where the toolchain can
	@systemd/tarball target/tarball

reproducible: compiler ## that two builds in two folders make the same package, byte by byte; ten minutes
	@$(need) dpkg-deb=dpkg strip=binutils /usr/bin/python3=python3
	@tests/reproducible

clean-host: ## demo and test on a machine that has nothing: a bare Debian 12 in a chroot; make clean-host T="build" for other targets
	@tests/clean-host $(T)

uninstall: ## takes programs, unit, pages and completions off this host; `connexad --purge` before it takes away what connexad wrote
ifeq ($(DESTDIR),)
	@if [ -d /run/systemd/system ]; then systemctl disable --now connexad.service || true; fi
endif
	@rm -f $(sbin)/connexad $(bin)/connexactl $(units)/connexad.service $(examples)/kernel-engine.conf $(examples)/practice $(bash) $(zsh) $(fish) $(pages) $(figures)
ifeq ($(DESTDIR),)
	@if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
endif
	@echo "uninstalled; $(config), the database and the group connexa stay"

compiler:
	@$(need) cc=gcc,libc6-dev
