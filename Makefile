# lurn: build, run, test.
#
#   make            libraries and launcher into build/: no root, no network
#   make run        what is missing is installed, then the main job: a language model of a book
#                   TEXT=FILE another text, ARGS='--hidden 64' parameters of scripts/charlm.lua
#   make test       what is missing is installed, then every C check and every spec
#   make check      the same under the address and undefined-behaviour sanitizers, and once more
#                   with a garbage collector that never rests
#   make isa        the same with the kernels of each instruction set this machine has
#   make store-storm   workers of each kind of trial store killed, its server, too: no result lost or counted twice
#   make cluster    a sweep on two Slurm hosts, one of which dies, the other loses its network: nothing lost (root)
#   make sweep-storm   agents of sweeps on each kind of store killed and frozen, trials, too: every trial once
#   make optuna     Optuna and its dashboard into the build folder: specs then see them read what lurn writes (network)
#   make storm      every script killed at random instants and resumed, ARGS='--kills 50': the same bits
#   make bench      the speed table, ARGS='--rows layers'
#   make count      instructions of the main loops beside their baseline, ARGS=--record: a new baseline
#   make lint       luacheck, layers, sizes
#   make arm64      compiles everything for arm64 (see there what that shows)
#   make install    PREFIX=/usr/local DESTDIR=
#   make clean
#
# Variables: CC, CFLAGS, LDFLAGS, JOBS, BUILD (build), WERROR=1 (warnings are errors), V=1 (show commands).
# Libraries come from pkg-config, or from LUA_PREFIX=, OPENBLAS_PREFIX=, HDF5_PREFIX=, ZLIB_PREFIX=, SQLITE_PREFIX=,
# PQ_PREFIX= (PostgreSQL's, without which only that kind of store is missing): an ordinary prefix (/usr/local) or the
# usr folder of Debian packages unpacked with dpkg -x.

-include config.mk

BUILD  ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O3 -g
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
LUA    ?= lua5.4
# Plain `busted` starts whatever `lua` is, which on Debian is 5.1: the interpreter is always named.
BUSTED ?= /usr/bin/busted

# One job per core unless the caller said otherwise; `make clean all` stays in order.
ifeq ($(MAKELEVEL)$(filter -j% --jobs%,$(MAKEFLAGS)),0)
MAKEFLAGS += --jobs=$(JOBS)
endif
ifneq ($(filter clean,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
MAKEFLAGS += --no-print-directory

all:    # the default goal; what it is made of stands below

# ---- libraries ------------------------------------------------------------------------------

PKG_CONFIG ?= pkg-config
MACHINE    := $(shell $(CC) -dumpmachine)
MULTIARCH  := $(subst -pc-,-,$(MACHINE))

first   = $(firstword $(wildcard $(1)))
libname = $(patsubst lib%,%,$(basename $(notdir $(1))))
# -L, -l and rpath for the library file $(2) under the prefix $(1). DT_RPATH rather than DT_RUNPATH,
# because only that also finds the libraries' own libraries, which in an unpacked tree lie
# beside them, or in the lib folder next to usr.
rpath   = $(if $(1),-Xlinker -rpath -Xlinker $(abspath $(1)))
link    = $(if $(2),-L$(abspath $(dir $(2))) -l$(call libname,$(2)) -Xlinker --disable-new-dtags \
            $(call rpath,$(dir $(2))) $(call rpath,$(call first,$(1)/lib/$(MULTIARCH))) \
            $(call rpath,$(call first,$(1)/../lib/$(MULTIARCH))))
# $(1) prefix, $(2) folders and file names, searched in the order given
inc     = $(addprefix -I,$(abspath $(dir $(call first,$(addprefix $(1)/include/,$(2))))))
lib     = $(call link,$(1),$(call first,$(foreach d,lib/$(MULTIARCH) lib64 lib,$(addprefix $(1)/$(d)/,$(2)))))
pkg     = $(shell $(PKG_CONFIG) $(1) $(2) 2>/dev/null)

ifdef LUA_PREFIX
LUA_CFLAGS      ?= $(call inc,$(LUA_PREFIX),lua5.4/lua.h lua-5.4/lua.h lua.h) \
                   $(addprefix -I,$(dir $(call first,$(LUA_PREFIX)/include/$(MULTIARCH)/lua5.4-deb-multiarch.h)))
LUA_LIBS        ?= $(call lib,$(LUA_PREFIX),liblua5.4.so liblua-5.4.so liblua.so liblua5.4.a liblua.a)
else
LUA_CFLAGS      ?= $(call pkg,--cflags,lua5.4)
LUA_LIBS        ?= $(call pkg,--libs,lua5.4)
endif
ifdef OPENBLAS_PREFIX
OPENBLAS_CFLAGS ?= $(call inc,$(OPENBLAS_PREFIX),$(MULTIARCH)/openblas-pthread/cblas.h openblas/cblas.h cblas.h)
OPENBLAS_LIBS   ?= $(call lib,$(OPENBLAS_PREFIX),openblas-pthread/libopenblas.so libopenblas.so)
else
OPENBLAS_CFLAGS ?= $(call pkg,--cflags,openblas)
OPENBLAS_LIBS   ?= $(call pkg,--libs,openblas)
endif
# hdf5-serial, never hdf5: Debian's hdf5.pc may stand for the MPI build.
ifdef HDF5_PREFIX
HDF5_CFLAGS     ?= $(call inc,$(HDF5_PREFIX),hdf5/serial/hdf5.h hdf5.h)
HDF5_LIBS       ?= $(call lib,$(HDF5_PREFIX),hdf5/serial/libhdf5.so libhdf5_serial.so libhdf5.so)
else
HDF5_CFLAGS     ?= $(call pkg,--cflags,hdf5-serial)
HDF5_LIBS       ?= $(call pkg,--libs,hdf5-serial)
endif
ifdef ZLIB_PREFIX
ZLIB_CFLAGS     ?= $(call inc,$(ZLIB_PREFIX),zlib.h)
ZLIB_LIBS       ?= $(call lib,$(ZLIB_PREFIX),libz.so libz.a)
else
ZLIB_CFLAGS     ?= $(call pkg,--cflags,zlib)
ZLIB_LIBS       ?= $(call pkg,--libs,zlib)
endif
ifdef SQLITE_PREFIX
SQLITE_CFLAGS   ?= $(call inc,$(SQLITE_PREFIX),sqlite3.h)
SQLITE_LIBS     ?= $(call lib,$(SQLITE_PREFIX),libsqlite3.so libsqlite3.a)
else
SQLITE_CFLAGS   ?= $(call pkg,--cflags,sqlite3)
SQLITE_LIBS     ?= $(call pkg,--libs,sqlite3)
endif
# Welcome, not needed: a build without libpq has no postgresql: stores, and says so when asked for one.
ifdef PQ_PREFIX
PQ_CFLAGS       ?= $(call inc,$(PQ_PREFIX),postgresql/libpq-fe.h libpq-fe.h)
PQ_LIBS         ?= $(call lib,$(PQ_PREFIX),libpq.so)
else
PQ_CFLAGS       ?= $(call pkg,--cflags,libpq)
PQ_LIBS         ?= $(call pkg,--libs,libpq)
endif
# Asked once, not at every use.
LUA_CFLAGS      := $(strip $(LUA_CFLAGS))
LUA_LIBS        := $(strip $(LUA_LIBS))
OPENBLAS_CFLAGS := $(strip $(OPENBLAS_CFLAGS))
OPENBLAS_LIBS   := $(strip $(OPENBLAS_LIBS))
HDF5_CFLAGS     := $(strip $(HDF5_CFLAGS))
HDF5_LIBS       := $(strip $(HDF5_LIBS))
ZLIB_CFLAGS     := $(strip $(ZLIB_CFLAGS))
ZLIB_LIBS       := $(strip $(ZLIB_LIBS))
SQLITE_CFLAGS   := $(strip $(SQLITE_CFLAGS))
SQLITE_LIBS     := $(strip $(SQLITE_LIBS))
PQ_LIBS         := $(strip $(PQ_LIBS))
PQ_CFLAGS       := $(strip $(if $(PQ_LIBS),-DLURN_POSTGRES $(PQ_CFLAGS)))
MISSING := $(if $(LUA_LIBS),,lua5.4) $(if $(OPENBLAS_LIBS),,openblas) $(if $(HDF5_LIBS),,hdf5-serial) \
           $(if $(ZLIB_LIBS),,zlib) $(if $(SQLITE_LIBS),,sqlite3)
MISSING := $(strip $(MISSING))
DEBIAN   = $(strip $(shell sed -n 's/\#.*//; s/^build *//p' .packages))

# ---- flags ----------------------------------------------------------------------------------

# A row of a table that leaves its last fields out has none of what they say.
WARN  = -Wall -Wextra -Wno-missing-field-initializers
WARN += -Wshadow                # a name means one thing
WARN += -Wundef                 # a misspelt macro in #if is not 0
WARN += -Wstrict-prototypes     # f() is not f(void)
WARN += -Wmissing-prototypes    # what is not static is in a header
WARN += -Wwrite-strings         # literals are const
WARN += -Wvla                   # stack use is known
# Not where sanitizers rewrite the code: gcc then warns of paths that only they have made.
WARN += $(if $(SANITIZE),,$(if $(WERROR),-Werror))

# What a build may not choose, hence after CFLAGS. Same bits on every machine means: no fused
# multiply-add that is not written, no reordering. Math functions need not set errno and
# nobody reads the floating-point exception flags, which changes no result and lets loops with a
# square root or a select be vectorised.
ARITH  = -std=c11 -ffp-contract=off -fno-fast-math -fno-math-errno -fno-trapping-math
# Hidden, so that the f32 and the f64 core, the same names twice, load side by side.
MUST   = $(ARITH) -fPIC -fvisibility=hidden -pthread
INCL   = -Icore -Icore/kernel -Ibindings $(LUA_CFLAGS) $(OPENBLAS_CFLAGS) $(HDF5_CFLAGS) $(ZLIB_CFLAGS) \
         $(SQLITE_CFLAGS) $(PQ_CFLAGS)
SAN    = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL    = $(strip $(CPPFLAGS) $(INCL) $(CFLAGS) $(MUST) $(WARN) $(SAN))
LIBS   = $(OPENBLAS_LIBS) $(HDF5_LIBS) $(SQLITE_LIBS) $(PQ_LIBS) $(MODLIBS)
MODLIBS = $(ZLIB_LIBS) -lm -ldl
# Modules stay mapped when a Lua state closes: OpenBLAS has threads and HDF5 exit handlers in them.
SHARED = -shared -pthread -Wl,-z,nodelete $(LDFLAGS) $(SAN)

# ---- sources (wildcards: a new file needs no line here) ---------------------------------------

X86      := $(filter x86_64-% i386-% i486-% i586-% i686-%,$(MACHINE))
X86_ONLY := core/kernel/isa_avx2.c core/kernel/isa_avx2_map.c core/kernel/isa_avx512.c core/kernel/isa_sha.c
CORE     := $(filter-out $(if $(X86),,$(X86_ONLY)),$(wildcard core/*.c core/*/*.c))
LAUNCHER := $(wildcard bindings/launcher.c)
DRIVER   := $(wildcard bindings/driver.c)
COMPILER := $(wildcard bindings/compile.c)
BIND     := $(filter-out $(LAUNCHER) $(DRIVER) $(COMPILER),$(wildcard bindings/*.c))
CHECKS   := $(basename $(notdir $(wildcard tests/c/check_*.c)))

CORE32 := $(CORE:%.c=$(BUILD)/f32/%.o)
CORE64 := $(CORE:%.c=$(BUILD)/f64/%.o)
BIND32 := $(BIND:%.c=$(BUILD)/f32/%.o)
BIND64 := $(BIND:%.c=$(BUILD)/f64/%.o)
LIB32  := $(BUILD)/lib/liblurn32.a
LIB64  := $(BUILD)/lib/liblurn64.a
MODS   := $(if $(BIND),$(BUILD)/lib/lurn/f32.so $(BUILD)/lib/lurn/f64.so)
# What needs a library lies in a module of its own, which is loaded late (see driver.c): lurn/f32/NAME.so.
DRIVERS        := $(if $(DRIVER),openblas hdf5 sqlite postgres)
openblas_FILES := core/blas.c
hdf5_FILES     := $(wildcard core/hdf5.c core/hdf5_*.c)
sqlite_FILES   := core/sqlite.c
postgres_FILES := core/postgres.c
openblas_LIBS   = $(OPENBLAS_LIBS)
hdf5_LIBS       = $(HDF5_LIBS)
sqlite_LIBS     = $(SQLITE_LIBS)
postgres_LIBS   = $(PQ_LIBS)
LATE           := $(foreach d,$(DRIVERS),$($d_FILES))
DRIVERS32      := $(DRIVERS:%=$(BUILD)/lib/lurn/f32/%.so)
DRIVERS64      := $(DRIVERS:%=$(BUILD)/lib/lurn/f64/%.so)
LUAC   := $(if $(COMPILER),$(patsubst bindings/%.lua,$(BUILD)/lib/%.luac,$(wildcard bindings/lurn/*.lua)))
BIN    := $(if $(LAUNCHER),$(BUILD)/bin/lurn)
CHECKBINS := $(CHECKS:%=$(BUILD)/f32/%) $(CHECKS:%=$(BUILD)/f64/%)

# ---- build ------------------------------------------------------------------------------------

.PHONY: all libs checks force
all: $(LIB32) $(LIB64) $(MODS) $(DRIVERS32) $(DRIVERS64) $(LUAC) $(BIN)
checks: $(CHECKBINS)

# One short line a file, so that a warning is seen; V=1 shows the commands.
say = $(if $(V),,@echo '  $(1)  $@';)

libs:
ifneq ($(MISSING),)
	@printf '%s\n' 'lurn: cannot find: $(MISSING). Either' \
	  '  install them, and pkg-config (Debian: $(DEBIAN)),' \
	  '  or say where they are (LUA_PREFIX=/usr OPENBLAS_PREFIX=/usr HDF5_PREFIX=/usr ZLIB_PREFIX=/usr SQLITE_PREFIX=/usr),' \
	  '  or let "make run" or "make test" install them.' >&2; exit 1
endif

# Notes of what a build is made with and of; each changes its time only when its text changes. Other
# flags: everything is compiled anew. A source that came or went: everything is linked anew.
note = @mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@
$(BUILD)/flags: force | libs
	$(call note,$(CC) $(ALL) $(LIBS) $(LUA_LIBS) $(LDFLAGS))
$(BUILD)/sources: force
	$(call note,$(CORE) $(BIND))

# What only this build can tell a run file: the commit of the sources (a + when they differ from it) and the flags.
COMMIT := $(shell git ls-files --error-unmatch core/base.h >/dev/null 2>&1 && git rev-parse HEAD)
COMMIT := $(addsuffix $(shell git diff --quiet HEAD -- core bindings Makefile 2>/dev/null || echo +),$(COMMIT))
BUILT  = \#define LURN_COMMIT "$(COMMIT)"
FLAGS  = \#define LURN_FLAGS "$(subst ",,$(strip $(notdir $(CC)) $(CPPFLAGS) $(CFLAGS) $(MUST) $(SAN)))"
$(BUILD)/build.h: force | libs
	@mkdir -p $(@D); printf '%s\n' '$(BUILT)' '$(FLAGS)' | cmp -s - $@ || printf '%s\n' '$(BUILT)' '$(FLAGS)' > $@
$(BUILD)/f32/bindings/l_info.o $(BUILD)/f64/bindings/l_info.o: $(BUILD)/build.h
$(BUILD)/f32/bindings/l_info.o $(BUILD)/f64/bindings/l_info.o: OWN = -I$(BUILD)

# Only these files may use more than the baseline; the choice between them is made at run time.
%/core/kernel/isa_avx2.o %/core/kernel/isa_avx2_map.o: ISA = -mavx2 -mfma
%/core/kernel/isa_avx512.o: ISA = -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma
%/core/kernel/isa_sha.o:    ISA = -msha -mssse3 -msse4.1

$(BUILD)/f32/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(ALL) $(ISA) $(OWN) -MMD -MP -c $< -o $@

$(BUILD)/f64/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(ALL) $(ISA) $(OWN) -DLURN_F64 -MMD -MP -c $< -o $@

# Made anew each time: an archive keeps the objects of sources that are gone.
$(LIB32): $(CORE32) $(BUILD)/sources
$(LIB64): $(CORE64) $(BUILD)/sources
$(LIB32) $(LIB64):
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR) $(AR) rcs $@ $(filter %.o,$^)

# Not linked against liblua: the interpreter that loads the module has it.
$(BUILD)/lib/lurn/f32.so: $(BIND32) $(filter-out $(LATE:%.c=$(BUILD)/f32/%.o),$(CORE32)) $(BUILD)/sources
$(BUILD)/lib/lurn/f64.so: $(BIND64) $(filter-out $(LATE:%.c=$(BUILD)/f64/%.o),$(CORE64)) $(BUILD)/sources
$(MODS):
	@mkdir -p $(@D)
	$(call say,LD) $(CC) $(SHARED) $(filter %.o,$^) $(MODLIBS) -o $@

# A driver has what little its files need of core, messages and such, once more.
.SECONDEXPANSION:
$(DRIVERS32): $(BUILD)/lib/lurn/f32/%.so: $(BUILD)/f32/driver/%.o $$(addprefix $(BUILD)/f32/,$$($$*_FILES:.c=.o)) $(LIB32)
$(DRIVERS64): $(BUILD)/lib/lurn/f64/%.so: $(BUILD)/f64/driver/%.o $$(addprefix $(BUILD)/f64/,$$($$*_FILES:.c=.o)) $(LIB64)
$(DRIVERS32) $(DRIVERS64):
	@mkdir -p $(@D)
	$(call say,LD) $(CC) $(SHARED) $^ $($*_LIBS) -lm -ldl -o $@

$(DRIVERS:%=$(BUILD)/f32/driver/%.o): $(BUILD)/f32/driver/%.o: $(DRIVER) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(ALL) -DNAME=$* -MMD -MP -c $< -o $@

$(DRIVERS:%=$(BUILD)/f64/driver/%.o): $(BUILD)/f64/driver/%.o: $(DRIVER) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(ALL) -DNAME=$* -DLURN_F64 -MMD -MP -c $< -o $@

# In the tree the launcher finds the module beside itself: bin/../lib/?.so, and the Lua half in
# bin/../../bindings/?.lua; installed, in bin/../lib/lua/5.4 and bin/../share/lua/5.4.
$(BUILD)/bin/lurn: $(LAUNCHER) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LD) $(CC) $(ALL) -MMD -MP -MF $(BUILD)/launcher.d $(LAUNCHER) $(LDFLAGS) -Wl,-E $(LUA_LIBS) -lm -ldl -o $@

# Lua that is compiled already takes a seventh of the time to read (bindings/compiled.h): beside the modules in C.
$(BUILD)/bin/compile: $(COMPILER) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LD) $(CC) $(ALL) -MMD -MP -MF $(BUILD)/compile.d $(COMPILER) $(LDFLAGS) $(LUA_LIBS) -lm -ldl -o $@

$(BUILD)/lib/%.luac: bindings/%.lua $(BUILD)/bin/compile
	@mkdir -p $(@D)
	$(if $(V),,@)$(BUILD)/bin/compile $< '$(realpath $<)' $@

$(BUILD)/f32/check_%: tests/c/check_%.c $(LIB32) $(BUILD)/flags
	$(call say,LD) $(CC) $(ALL) -MMD -MP -MF $@.d $< $(LIB32) $(LDFLAGS) $(LIBS) -o $@

$(BUILD)/f64/check_%: tests/c/check_%.c $(LIB64) $(BUILD)/flags
	$(call say,LD) $(CC) $(ALL) -DLURN_F64 -MMD -MP -MF $@.d $< $(LIB64) $(LDFLAGS) $(LIBS) -o $@

# A bare interpreter built with the same flags; `make check` needs one that is sanitised itself.
$(BUILD)/bin/host: tests/tools/host.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LD) $(CC) $(ALL) $< $(LDFLAGS) -Wl,-E $(LUA_LIBS) -lm -ldl -o $@

-include $(wildcard $(BUILD)/launcher.d $(BUILD)/compile.d $(BUILD)/f??/*.d $(BUILD)/f??/*/*.d $(BUILD)/f??/*/*/*.d)

# ---- run --------------------------------------------------------------------------------------

.PHONY: run
# A look at what it can do, in a minute or two: 1500 windows of 50 rows of 50 characters, unless ARGS says how long.
# README.md is so short that much less is enough.
SHORT = $(if $(filter --steps% --epochs%,$(ARGS)),,$$(if [ -z '$(TEXT)' ] && grep -q README $(BUILD)/book; \
          then echo --batch 10 --epochs 8; else echo --steps 1500 --eval_every 300; fi))
# Packages are asked for only where the libraries are not found in another way.
run:
	@.ci/packages.sh $(if $(MISSING),build) $(if $(TEXT),,--try book)
	@$(MAKE) all
	@$(if $(TEXT),,$(MAKE) book)
	@set -- $(BUILD)/bin/lurn run scripts/charlm.lua \
	   --data "$$($(if $(TEXT),echo '$(TEXT)',cat $(BUILD)/book))" $(SHORT) $(ARGS); echo "$$*"; "$$@"

# The King James Bible, public domain, from Debian's bible-kjv-text, without its verse labels
# ("Ge1:1 "). Where it cannot be had, a text that is always here. $(BUILD)/book says which.
.PHONY: book
book:
	@mkdir -p $(BUILD)
	@if [ ! -s $(BUILD)/kjv.txt ] && command -v bible >/dev/null 2>&1; then \
	   bible -f 'gen1:1-rev22:21' </dev/null | sed 's/^[^ ]* //' > $(BUILD)/kjv.tmp && \
	   [ $$(wc -c < $(BUILD)/kjv.tmp) -gt 4000000 ] && mv $(BUILD)/kjv.tmp $(BUILD)/kjv.txt; fi; \
	 if [ -s $(BUILD)/kjv.txt ]; then echo $(BUILD)/kjv.txt > $(BUILD)/book; \
	 else echo 'lurn: the book (Debian package bible-kjv) is not here: training on README.md, which is short'; \
	   echo README.md > $(BUILD)/book; fi

# ---- tests ------------------------------------------------------------------------------------

.PHONY: test suite check isa storm store-storm sweep-storm cluster optuna bench count
test:
	@.ci/packages.sh $(if $(MISSING),build) test --try clock picture shells pq server
	@$(MAKE) all checks
	@$(MAKE) suite

# What specs may count on: the module built here, LURN_BIN (the launcher), LURN_BUILD (the folder).
# The _5_4 variables would win over the plain ones.
ENV = env -u LUA_INIT -u LUA_INIT_5_4 -u LUA_PATH_5_4 -u LUA_CPATH_5_4 \
  LUA_PATH='$(CURDIR)/bindings/?.lua;$(CURDIR)/bindings/?/init.lua;;' LUA_CPATH='$(abspath $(BUILD))/lib/?.so;;' \
  LURN_BUILD='$(abspath $(BUILD))' LURN_BIN='$(abspath $(BUILD))/bin/lurn' BUSTED='$(BUSTED)'
SUITE = suite
SPECS = $(sort $(wildcard tests/spec/*_spec.lua))
suite:
	@$(ENV) LUA='$(LUA)' .ci/suite.sh $(SUITE) $(BUILD)/$(SUITE) $(CHECKBINS) -- $(SPECS)

# Both at a time. Leaks count too, except in children the specs start. LURN_CHECK tells specs that run long that
# everything is several times slower here.
ASAN = $(BUILD)/asan
check:
	@.ci/packages.sh $(if $(MISSING),build) test
	@$(MAKE) BUILD=$(ASAN) SANITIZE=address,undefined CFLAGS='-O1 -g' all checks $(ASAN)/bin/host
	@ln -sf host $(ASAN)/bin/lua5.4
	@export ASAN_OPTIONS=detect_leaks=1:detect_odr_violation=0 CHILD_ASAN_OPTIONS=detect_leaks=0; \
	 export UBSAN_OPTIONS=print_stacktrace=1 LURN_CHECK=1; \
	 export LSAN_OPTIONS=suppressions='$(CURDIR)/tests/tools/lsan.supp':print_suppressions=0; \
	 export PATH='$(abspath $(ASAN))/bin':"$$PATH"; \
	 $(MAKE) BUILD=$(ASAN) SUITE=sanitized LUA='$(abspath $(ASAN))/bin/host' suite >$(ASAN)/sanitized.log 2>&1 & one=$$!; \
	 $(MAKE) BUILD=$(ASAN) SUITE=collector CHECKBINS= \
	   LUA='$(abspath $(ASAN))/bin/host $(CURDIR)/tests/tools/collector.lua' suite; b=$$?; \
	 wait $$one; a=$$?; cat $(ASAN)/sanitized.log; \
	 exit $$((a | b))

# Each instruction set in turn, as far as this CPU has them.
ISAS = c $(shell grep -qw fma /proc/cpuinfo && grep -qw avx2 /proc/cpuinfo && echo avx2) \
         $(shell grep -qw avx512vl /proc/cpuinfo && grep -qw avx512dq /proc/cpuinfo && echo avx512)
isa: all checks
	@rc=0; for i in $(ISAS); do LURN_ISA=$$i $(MAKE) SUITE=isa-$$i suite || rc=1; done; exit $$rc

# A process for each script, as many at a time as there are cores.
storm: all
	@$(ENV) $(LUA) tests/tools/storm.lua --list $(ARGS) | \
	  $(ENV) xargs -P $(JOBS) -n 1 $(LUA) tests/tools/storm.lua $(ARGS) --only

# The same for stores of trials: ARGS='--store dir --trials 10000 --workers 16'.
store-storm: all
	@.ci/packages.sh --try server
	@$(ENV) $(LUA) tests/tools/store_storm.lua $(ARGS)

# The same for sweeps: ARGS='--trials 1000 --agents 4 --slots 4'.
sweep-storm: all
	@.ci/packages.sh --try server
	@$(ENV) $(LUA) tests/tools/sweep_storm.lua $(ARGS)

cluster:
	@.ci/packages.sh $(if $(MISSING),build) cluster
	@$(MAKE) all
	@$(ENV) tests/tools/cluster.sh $(ARGS)

# Optuna and its dashboard, in a virtual environment of the build's: with them, specs see them read what lurn writes.
# A browser that needs no screen is welcome too: a spec looks at the dashboard with it.
optuna: $(BUILD)/venv/ready
	@.ci/packages.sh --try browser
$(BUILD)/venv/ready:
	@.ci/packages.sh --try optuna
	python3 -m venv $(BUILD)/venv
	$(BUILD)/venv/bin/pip install -q --retries 1 --timeout 15 optuna optuna-dashboard scikit-learn
	@touch $@

# Peers are welcome, not needed.
bench: all
	@.ci/packages.sh --try bench
	$(BUILD)/bin/lurn bench $(ARGS)

count:
	@.ci/packages.sh $(if $(MISSING),build) count
	@$(MAKE) all
	@$(ENV) CC='$(CC)' CFLAGS='$(CFLAGS)' $(LUA) tests/bench/count.lua $(ARGS)

# ---- lint, arm64 ------------------------------------------------------------------------------

.PHONY: lint arm64
lint:
	@.ci/packages.sh lint
	$(LUA) tests/tools/layers.lua
	luacheck --quiet --no-color $(wildcard bindings scripts datasets tests)

# Compiles core and bindings, both precisions, with a cross compiler, warnings as usual, into
# objects and liblurn32.a, liblurn64.a. It shows that nothing in the sources is x86-only: no
# intrinsics outside the isa files, no x86 headers, no 80-bit assumptions. It does not
# link modules or run anything: that takes arm64 libraries and a machine. Headers of Lua, OpenBLAS,
# HDF5, zlib, SQLite and PostgreSQL are this machine's, which for 64-bit little-endian Linux declare the same; of Lua's,
# the one file that names the architecture is written here.
CROSS = aarch64-linux-gnu
arm64:
	@.ci/packages.sh $(if $(MISSING),build) arm64
	@mkdir -p $(BUILD)/arm64/include
	@echo '#define DEB_HOST_MULTIARCH "$(CROSS)"' > $(BUILD)/arm64/include/lua5.4-deb-multiarch.h
	@$(MAKE) BUILD=$(BUILD)/arm64 CC=$(CROSS)-gcc AR=$(CROSS)-ar CPPFLAGS='-I$(BUILD)/arm64/include' objects
	@$(CROSS)-objdump -f $(BUILD)/arm64/lib/liblurn32.a | grep -q 'elf64-littleaarch64'
	@echo 'arm64: $(words $(CORE)) files of core and $(words $(BIND)) of bindings compile'
.PHONY: objects
objects: $(LIB32) $(LIB64) $(BIND32) $(BIND64) $(DRIVERS:%=$(BUILD)/f32/driver/%.o) \
  $(DRIVERS:%=$(BUILD)/f64/driver/%.o) $(LAUNCHER:%.c=$(BUILD)/f32/%.o) $(COMPILER:%.c=$(BUILD)/f32/%.o)

# ---- install, clean ---------------------------------------------------------------------------

.PHONY: install clean
D = $(DESTDIR)$(PREFIX)
install: all
	install -d '$(D)/bin' '$(D)/lib/lua/5.4/lurn/f32' '$(D)/lib/lua/5.4/lurn/f64' '$(D)/share/lua/5.4/lurn' \
	  '$(D)/include/lurn' '$(D)/share/lurn'
	$(if $(BIN),install -m 755 $(BIN) '$(D)/bin/lurn')
	$(if $(MODS),install -m 755 $(MODS) '$(D)/lib/lua/5.4/lurn/')
	$(if $(DRIVERS),install -m 755 $(DRIVERS32) '$(D)/lib/lua/5.4/lurn/f32/')
	$(if $(DRIVERS),install -m 755 $(DRIVERS64) '$(D)/lib/lua/5.4/lurn/f64/')
	$(if $(LUAC),@for f in bindings/lurn/*.lua; do f=$${f##*/}; \
	  $(BUILD)/bin/compile bindings/lurn/$$f '$(PREFIX)/share/lua/5.4/lurn/'$$f '$(D)/lib/lua/5.4/lurn/'$${f}c; done)
	install -m 644 $(LIB32) $(LIB64) '$(D)/lib/'
	install -m 644 $(wildcard core/*.h core/kernel/kernel.h) '$(D)/include/lurn/'
	@for d in bindings/lurn:share/lua/5.4/lurn scripts:share/lurn/scripts datasets:share/lurn/datasets; do \
	  from=$${d%%:*}; to='$(D)'/$${d#*:}; [ -d $$from ] || continue; \
	  (cd $$from && find . -name '*.lua' -o -name '*.c') | while read -r f; do install -D -m 644 "$$from/$$f" "$$to/$$f"; done; \
	done
	$(if $(BIN),@$(foreach s,bash:bash-completion/completions/lurn zsh:zsh/site-functions/_lurn \
	    fish:fish/vendor_completions.d/lurn.fish,install -d '$(D)/share/$(dir $(lastword $(subst :, ,$s)))'; \
	    $(BIN) completion $(firstword $(subst :, ,$s)) > '$(D)/share/$(lastword $(subst :, ,$s))';) \
	  install -d '$(D)/share/man/man1'; $(BIN) man > '$(D)/share/man/man1/lurn.1'; \
	  for v in $$($(BIN) completion words '' | cut -f1); do \
	    $(BIN) man $$v > '$(D)/share/man/man1/lurn-'$$v.1; done)

clean:
	rm -rf $(BUILD)
