# The only interface: every verb that a person or a CI needs. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

export PYTHONPATH :=
export PYTHONDONTWRITEBYTECODE := 1
export ORT_DISABLE_TELEMETRY := 1
export SAM_CLI_TELEMETRY := 0

BIN = .venvs/$(1)/bin

# `make model PATH=…` names a model; what the shell calls PATH has to go on working.
ifeq ($(origin PATH),command line)
MODEL_PATH := $(PATH)
override PATH := /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin
endif

# What the stack is built for. They reach SAM's makefile builds, which run the targets at the end, by the environment.
export ARCH ?= arm64
export RUNTIME ?= 3.13
export MODEL ?= layer/nano
export ALSO ?=

##@ Start here

.PHONY: help
help: ## List the verbs
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: .build/local/.ready-$(subst /,-,$(MODEL)) .venvs/infra/.ready .venvs/lambda/.ready ## Rank an example in Lambda's own emulator (EXAMPLE=file.json MODEL=folder)
	$(call BIN,build)/python -m tests.integration.demo $(EXAMPLE)

.PHONY: serve
serve: .venvs/test/.ready ## Serve the HTTP application on this machine, open to it alone (PORT=8000 MODEL=folder)
	RERANK_MODEL_DIR=$(MODEL) RERANK_AUTH_MODE=$(or $(AUTH),None) $(call BIN,test)/uvicorn handler.asgi:app --host 127.0.0.1 --port $(or $(PORT),8000)

##@ Develop

.PHONY: check
check: .venvs/test/.ready ## Formatting, lint, types, and the contract against the code and the last release
	$(call BIN,test)/ruff format --check .
	$(call BIN,test)/ruff check .
	$(call BIN,test)/mypy
	$(call BIN,test)/python -m infra.openapi --check

.PHONY: test
test: check .build/local/.ready-layer-nano .venvs/infra/.ready .venvs/lambda/.ready .venvs/batch/.ready ## Check, then every test that needs nothing but the package registries (T=path narrows)
	$(call BIN,test)/python -m pytest $(T)

.PHONY: test-clients
test-clients: .venvs/clients/.ready .venvs/clients-pinned/.ready tests/clients/node_modules/.ready .build/local/.ready-layer-nano .venvs/infra/.ready .venvs/lambda/.ready ## Hold the service against the real SDKs of PyPI and npm
	$(call BIN,clients)/python -m pytest tests/clients -W default
	$(call BIN,clients-pinned)/python -m pytest tests/clients -W default
	RERANK_FRONT=emulator $(call BIN,clients)/python -m pytest tests/clients -W default -k "cohere/ or voyageai or boto3 or TEI or sdk"

.PHONY: record-clients
record-clients: .venvs/clients/.ready .venvs/clients-pinned/.ready tests/clients/node_modules/.ready ## Write down what each of them sends, for the quick suite
	$(call BIN,clients)/python -W ignore -m tests.clients.record
	$(call BIN,clients-pinned)/python -W ignore -m tests.clients.record

tests/clients/node_modules/.ready: tests/clients/package-lock.json
	npm ci --prefix tests/clients --silent
	@touch $@

.PHONY: openapi
openapi: .venvs/test/.ready ## Write infra/openapi.yaml and the request validator from the code
	$(call BIN,test)/python -m infra.openapi

.PHONY: test-readme
test-readme: .venvs/test/.ready .build/local/.ready-layer-nano .venvs/infra/.ready ## Run every command of the README, also those that take minutes, and check its output blocks
	README=all $(call BIN,test)/python -m pytest tests/readme

.PHONY: test-browser
test-browser: .venvs/browser/.ready ## The playground in Chromium: every control, error and screen (SCREENSHOTS=folder)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && apt-get install -qqy --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1 || true
	@if ! command -v chromium >/dev/null; then \
		echo 'Skipped: Chromium is not installed, and only root on Debian can install it here (apt-get install chromium).'; \
	else RERANK_MODEL_DIR=$(MODEL) SCREENSHOTS=$(SCREENSHOTS) $(call BIN,browser)/python -m pytest tests/browser -s; fi

.PHONY: test-arm64
test-arm64: .build/arm64/.ready .build/local/.ready-layer-nano .venvs/lambda/.ready .venvs/test/.ready ## Run the arm64 layers by qemu as bare as on Lambda; the scores must agree
	$(call BIN,test)/python -m pytest tests/arm64 -rsP

.PHONY: format
format: .venvs/test/.ready ## Format and mend what can be mended mechanically
	$(call BIN,test)/ruff format .
	$(call BIN,test)/ruff check --fix .

.PHONY: lock
lock: .venvs/build/.ready ## Pin the newest versions with their hashes (GROUP= for one group's lock)
	$(call BIN,build)/python -m layer.lock $(GROUP)

.PHONY: clean
clean: ## Remove what was built (the environments stay: rm -r .venvs)
	rm -rf .aws-sam .build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venvs/*' -prune -exec rm -rf {} +

##@ Whole data sets

.PHONY: batch
batch: .venvs/batch/.ready ## Rank a data set by the batch state machine (INPUT=file|folder OUTPUT=folder; TREC=tag TOP_N= RUN= CONCURRENCY= AWS=1)
	@$(if $(and $(INPUT),$(OUTPUT)),,$(error make batch INPUT=file-or-folder OUTPUT=folder))
	RERANK_MODEL_DIR=$(MODEL) $(call BIN,batch)/python -m infra.batch "$(INPUT)" "$(OUTPUT)" $(if $(AWS),--stack $(STACK)) \
		$(if $(TREC),--trec "$(TREC)") $(if $(RUN),--run "$(RUN)") $(if $(NAME),--name "$(NAME)") $(if $(TOP_N),--top-n $(TOP_N)) \
		$(if $(CONCURRENCY),--concurrency $(CONCURRENCY)) $(if $(RANGE_BYTES),--range-bytes $(RANGE_BYTES)) \
		$(if $(TOLERATED),--tolerated $(TOLERATED))

.PHONY: batch-cost
batch-cost: .venvs/build/.ready ## Time and price of ranking a data set (PAIRS="1e6 1e9" WORKERS="100 1000" MEMORY= MS_PER_PAIR= ARCH=)
	@$(call BIN,build)/python -m infra.batch_cost $(or $(PAIRS),1e6 1e9) --concurrency $(or $(WORKERS),100 1000) \
		--memory $(or $(MEMORY),1769) --architecture $(ARCH) $(if $(MS_PER_PAIR),--ms-per-pair $(MS_PER_PAIR))

.PHONY: bench-batch
bench-batch: .venvs/batch/.ready ## The batch worker's throughput against the direct path, and its memory (ROUNDS=7 JSON=file)
	RERANK_MODEL_DIR=$(MODEL) $(call BIN,batch)/python -m tests.bench.batch --rounds $(or $(ROUNDS),7) $(if $(JSON),--json $(JSON))

##@ Build

.PHONY: build
build: .venvs/infra/.ready .venvs/build/.ready ## Build the stack for deployment (ARCH=arm64|x86_64 RUNTIME=3.13 MODEL=folder ALSO=folders)
	$(call BIN,infra)/sam build --parameter-overrides Architecture=$(ARCH) Runtime=python$(RUNTIME)

.PHONY: package
package: .venvs/build/.ready ## Pack layers and function into reproducible zips with their sha256 (ARCH= RUNTIME= MODEL=)
	$(call BIN,build)/python -m layer.package --architecture $(ARCH) --python $(RUNTIME) --model $(MODEL)

.PHONY: verify
verify: .venvs/infra/.ready ## Check artefacts against their manifests (WHAT=folder, zip or layer ARN; default: what was built)
	$(call BIN,infra)/python -m layer.verify $(or $(WHAT),$(addprefix .aws-sam/build/,DependencyLayer ModelLayer RerankFunction))

# The root template, and the nested ones beside the contract and the state machines.
TEMPLATES = template.yaml infra/rest-api.yaml infra/observability.yaml

.PHONY: validate
validate: .venvs/infra/.ready .venvs/test/.ready .venvs/audit/.ready .venvs/batch/.ready tests/asl/node_modules/.ready ## Lint and audit the templates, their transforms and the state machines
	$(call BIN,infra)/sam validate --lint
	$(call BIN,infra)/cfn-lint $(TEMPLATES)
	$(call BIN,test)/python -m tests.template.lint
	$(call BIN,test)/python -m tests.asl.check
	$(call BIN,batch)/python -m tests.asl.specification
	$(call BIN,audit)/checkov --skip-download --quiet --compact --framework cloudformation \
		$(addprefix --file ,$(TEMPLATES) .build/transformed/everything.json)

tests/asl/node_modules/.ready: tests/asl/package-lock.json
	npm ci --prefix tests/asl --silent
	@touch $@

##@ Deploy and operate

# The environment (dev, staging, prod; none is `default`) picks the table of samconfig.toml and names the stack.
CONFIG = $(or $(ENV),default)
STACK = lambda-rerank$(if $(ENV),-$(ENV))
OVERRIDES = Architecture=$(ARCH) Runtime=python$(RUNTIME) $(if $(KEY_DIGESTS),KeyDigests=$(KEY_DIGESTS)) $(PARAMETERS)

.PHONY: key
key: .venvs/build/.ready ## Make a bearer key and the digest that the stack gets
	@$(call BIN,build)/python -m infra.key

.PHONY: deploy
deploy: build ## Build and deploy (ENV=dev|staging|prod KEY_DIGESTS=… PARAMETERS="MemorySize=2048 …" ARCH= RUNTIME=)
	@$(call BIN,infra)/python -m infra.deploy $(CONFIG) $(OVERRIDES)

.PHONY: url
url: .venvs/infra/.ready ## Print the address of the deployed API (ENV=)
	@$(call BIN,infra)/python -m infra.stack url $(STACK)

.PHONY: smoke
smoke: .venvs/build/.ready ## Ask a deployed API what a caller would ask first (URL=… KEY=…)
	@$(call BIN,build)/python -m infra.smoke "$(URL)" "$(KEY)"

.PHONY: tail
tail: .venvs/infra/.ready ## Follow the deployed function's log (ENV=)
	@$(call BIN,infra)/python -m infra.stack logs $(STACK)

.PHONY: power
power: .venvs/infra/.ready ## Sweep memory sizes of the deployed function, with times and prices (ENV=)
	@$(call BIN,infra)/python -m infra.stack power $(STACK)

.PHONY: cost
cost: .venvs/build/.ready ## Estimate a month in US dollars (REQUESTS=1000000 PASSAGES=50 MEMORY=1769 ARCH=)
	@$(call BIN,build)/python -m infra.cost $(or $(REQUESTS),1000000) $(or $(PASSAGES),50) --memory $(or $(MEMORY),1769) \
		--architecture $(ARCH) $(if $(MS_PER_PASSAGE),--ms-per-passage $(MS_PER_PASSAGE)) \
		$(if $(OVERHEAD_MS),--overhead-ms $(OVERHEAD_MS)) $(if $(PROVISIONED),--provisioned $(PROVISIONED))

.PHONY: delete
delete: .venvs/infra/.ready ## Delete the deployed stack, after asking (ENV=)
	$(call BIN,infra)/sam delete --config-env $(CONFIG) --stack-name $(STACK)

# What `sam build` calls for the resources of template.yaml that are built by make.
.PHONY: build-DependencyLayer build-ModelLayer build-RerankFunction build-BatchFunction
build-DependencyLayer: ARTEFACT = dependencies
build-ModelLayer: ARTEFACT = model
build-RerankFunction build-BatchFunction: ARTEFACT = function
build-DependencyLayer build-ModelLayer build-RerankFunction build-BatchFunction: .venvs/build/.ready
	$(call BIN,build)/python -m layer.build $(ARTEFACT) "$(ARTIFACTS_DIR)" --architecture $(ARCH) --python $(RUNTIME) --model $(MODEL) --also $(ALSO)

LOCAL_SOURCES = $(shell find handler layer/locks $(MODEL) -type f -not -name '*.pyc') $(wildcard layer/*.py layer/prune.toml)

# The arm64 artefacts, to be run by qemu.
.build/arm64/.ready: .venvs/build/.ready $(LOCAL_SOURCES)
	for artefact in dependencies model function; do $(call BIN,build)/python -m layer.build $$artefact \
		.build/arm64/$$artefact --architecture arm64 --python 3.13 --model $(MODEL); done
	@touch $@

# The same artefacts for this machine, for `make run` and the integration suite.
.build/local/.ready-%: .venvs/build/.ready $(LOCAL_SOURCES)
	@rm -f .build/local/.ready-*
	for artefact in dependencies model function; do \
		$(call BIN,build)/python -m layer.build $$artefact .build/local/$$artefact --model $(MODEL) --also $(ALSO); done
	@touch $@

##@ Model

.PHONY: model
model: .venvs/$(if $(EXPORT),family/.torch,model/.ready) ## Make a model directory (NAME=catalogue name or list, or PATH=folder or zip; EXPORT=1 for weights alone)
	@test -n "$(NAME)$(MODEL_PATH)" || { echo 'model: NAME=… (make model NAME=list) or PATH=…' >&2; exit 2; }
	$(call BIN,$(if $(EXPORT),family,model))/python -m layer.convert \
		$(if $(NAME),--name "$(NAME)",--path "$(MODEL_PATH)") $(if $(OUT),--out "$(OUT)") $(if $(FP32),--fp32)

.PHONY: eval-cascade
eval-cascade: .venvs/test/.ready ## Quality against time of two models one after the other (SECOND=folder MODEL=folder DATA= CUTS= QUERIES=)
	@test -n "$(SECOND)" || { echo 'eval-cascade: name the second model: make eval-cascade SECOND=folder' >&2; exit 2; }
	$(call BIN,test)/python -m tests.quality.cascade "$(or $(DATA),$(DEV_SETS))" --first "$(MODEL)" --second "$(SECOND)" \
		$(if $(CUTS),--cuts $(CUTS)) $(if $(QUERIES),--queries $(QUERIES))

.PHONY: test-family
test-family: .venvs/family/.torch ## Hold every architecture against its reference library, and print the table
	$(call BIN,family)/python -m pytest tests/architectures $(T)

.venvs/family/.torch: .venvs/family/.ready
	$(call BIN,family)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@touch $@

DEV_SETS ?= ../shared/data/dev
TRAIN_SETS ?= ../shared/data/train

# What was measured last, and the pictures of it that the README shows.
RESULTS = .build/results
FIGURES ?= tests/bench/figures

.PHONY: bench
bench: .build/local/.ready-layer-nano .venvs/bench/.ready .venvs/lambda/.ready ## Time it against FlashRank and others, cold, warm and in memory (JSON=file ROUNDS=9 ONLY=warm,cold,memory TRANSFORMERS=python)
	$(call BIN,bench)/python -m tests.bench --model "$(MODEL)" --json "$(or $(JSON),$(RESULTS)/bench.json)" $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(TRANSFORMERS),--transformers "$(TRANSFORMERS)")

.PHONY: two-stage
two-stage: .venvs/figures/.ready ## From a corpus to a ranking: BM25 and FAISS, then our function over HTTP (DATA=BEIR folder URL= QUERIES=)
	@test -n "$(DATA)" || { echo 'two-stage: name a set in BEIR layout: make two-stage DATA=folder' >&2; exit 2; }
	$(call BIN,figures)/python -m tests.quality.two_stage "$(DATA)" --model "$(MODEL)" --json $(RESULTS)/two-stage.json \
		$(if $(URL),--url "$(URL)") $(if $(QUERIES),--queries $(QUERIES))
	@$(MAKE) figures

.PHONY: figures
figures: .venvs/figures/.ready $(RESULTS)/times.json ## Draw what bench, eval and two-stage measured last (FIGURES=folder)
	$(call BIN,figures)/python -m tests.bench.plots $(RESULTS) --out "$(FIGURES)"

$(RESULTS)/times.json: .venvs/test/.ready $(MODEL)/model.onnx
	$(call BIN,test)/python -m tests.bench.times --model "$(MODEL)" --json $@

.PHONY: eval
eval: .venvs/test/.ready ## Rerank a first-stage run and measure it (DATA=BEIR folder RUN=run MODEL=folder JSON=file; default: the dev sets)
	@test -e "$(or $(DATA),$(DEV_SETS))" || { echo 'eval: name a set in BEIR layout: make eval DATA=folder' >&2; exit 2; }
	$(call BIN,test)/python -m tests.quality.evaluate "$(or $(DATA),$(DEV_SETS))" --model "$(MODEL)" \
		$(if $(RUN),--run "$(RUN)") --json "$(or $(JSON),$(RESULTS)/eval$(and $(DATA),-$(notdir $(DATA:/=))).json)"
	$(if $(DATA),,@$(MAKE) figures)

.PHONY: eval-answers
eval-answers: .venvs/test/.ready ## Compare chunk sizes and modes, or fusions, by nDCG@10 (WHAT=chunking|fusion DATA="folder …" QUERIES= DEPTH= AMONG=)
	@test -n "$(DATA)" || { echo 'eval-answers: name sets in BEIR layout: make eval-answers DATA=folder' >&2; exit 2; }
	$(call BIN,test)/python -m tests.quality.answers $(or $(WHAT),chunking) $(DATA) --model "$(MODEL)" \
		$(if $(QUERIES),--queries $(QUERIES)) $(if $(DEPTH),--depth $(DEPTH)) $(if $(AMONG),--among $(AMONG))

.PHONY: bench-dialects
bench-dialects: .venvs/test/.ready ## Time what each wire format costs beside the scoring
	$(call BIN,test)/python -m tests.bench.dialects

.PHONY: bench-features
bench-features: .venvs/test/.ready ## Time each option of a request against the plain one, and how deadlines are kept (ROUNDS=40 WALL=1)
	$(call BIN,test)/python -m tests.bench.features --model "$(MODEL)" $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(WALL),--wall)

# torch is in no lock, for its wheels differ by index: the registry's own holds CUDA libraries, a CPU index serves
# `2.13.0+cpu`, and no list of hashes fits both. Which one pip takes is the machine's pip configuration.
TORCH = torch==2.13.0

.PHONY: train
train: .venvs/train/.torch ## Train the nano model into .build/train/nano (DATA=folder adds sets in BEIR layout; OPTIONS="--distillation 500 …")
	@test -e "$(TRAIN_SETS)" -o -n "$(DATA)" || { echo 'train: name a set in BEIR layout: make train DATA=folder' >&2; exit 2; }
	$(call BIN,train)/python -m layer.train $(wildcard $(TRAIN_SETS)) $(DATA) $(OPTIONS)

.venvs/train/.torch: .venvs/train/.ready
	$(call BIN,train)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@touch $@

# An environment per group of pyproject.toml, from its hash-pinned lock.
.PRECIOUS: .venvs/%/.ready
.venvs/%/.ready: tests/locks/%.txt
	@python=$$($(find-python)); \
	case "$$python" in \
		'') echo 'No Python from 3.11 on with venv and ensurepip was found (Debian: apt-get install python3-venv).' >&2; exit 1;; \
		*3.13) ;; \
		*) echo "Python 3.13 was not found: taking $$python";; \
	esac; \
	echo "Installing .venvs/$* ($$(grep -c == $<) packages; minutes at the first time)"; \
	$(call BIN,$*)/python -c '' 2>/dev/null || "$$python" -m venv --clear .venvs/$*
	@PYTHONDONTWRITEBYTECODE= $(call BIN,$*)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

# Interpreters are tried by running them: a shim on PATH may stand for a version that is not installed.
PYTHON_HOMES = $(wildcard $(foreach home,$(HOME)/.pyenv/versions/$(1).* $(HOME)/.local/share/uv/python/cpython-$(1).* \
	$(HOME)/.local/share/mise/installs/python/$(1).* $(HOME)/.asdf/installs/python/$(1).* /opt/homebrew /usr/local \
	/Library/Frameworks/Python.framework/Versions/$(1),$(home)/bin/python$(1)))
PYTHON_CANDIDATES = $(PYTHON) $(foreach minor,3.13 3.12 3.11,python$(minor) $(call PYTHON_HOMES,$(minor))) python3
find-python = for candidate in $(PYTHON_CANDIDATES); do \
	"$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$candidate" && break; done; true
