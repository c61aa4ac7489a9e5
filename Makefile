# `make serve` and `make test` need nothing but Python 3.11 or newer and the package registries.
# Variables: PYTHON (interpreter), VENV (environment), PIP_ARGS (as --extra-index-url for another torch build), EXTRAS (what
# `make serve` installs beside the least: openvino makes a CPU faster, video writes MP4; EXTRAS= leaves them out,
# EXTRAS=openvino,video,postgres adds), WORKERS (processes that run the tests, each file in one; 0: this one alone).

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
EXTRAS ?= openvino,video
WORKERS ?= 2
CONSTRAINTS := .ci/constraints.txt
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c $(CONSTRAINTS)

.PHONY: audit serve test lint check doctor examples cards bench drill-overload drill-slow drill-stop drill-kill drill-fuzz drill-api performance clean

serve: $(VENV)/.serve
	$(VENV)/bin/facemix serve

test: $(VENV)/.test test-tools lint
	FACEMIX_TEST_BROWSER=required FACEMIX_TEST_POSTGRES=required FACEMIX_TEST_RAY=required $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

# Asks the vulnerability services about every pinned version. Status 1: something is known against one; 3 (make says "Error 3"):
# no service answered about all of them.
audit: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.audit

doctor: $(VENV)/.serve
	$(VENV)/bin/facemix doctor

# The pictures and figures of README.md, from the shipped checkpoint. DATA=folder adds the faces of its test split.
examples: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.examples $(if $(DATA),--data $(DATA))
	$(VENV)/bin/python -m benchmarks.figures
	$(VENV)/bin/python -m benchmarks.screens

# The model card, the data sheet, the training curve and the pictures of the page /models, from the shipped checkpoint's folder.
# DATA=folder counts the data set again (PHOTOS=folder: its photographs' sizes, too) and draws the failures.
cards: $(VENV)/.test
	$(if $(DATA),$(VENV)/bin/python -m benchmarks.dataset $(DATA) $(if $(PHOTOS),--photos $(PHOTOS)))
	$(if $(DATA),$(VENV)/bin/python -m benchmarks.failures $(DATA))
	$(VENV)/bin/python -m benchmarks.curve
	$(VENV)/bin/python -m benchmarks.cards
	$(VENV)/bin/python -m benchmarks.pictures

# Measures everything again and writes docs/performance.md and docs/scaling.md; about 20 minutes, with nothing else running.
# LITSERVE: an interpreter that can import litserve beside facemix. Ray is compared where it is installed.
bench: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.bench_model --out benchmarks/results/model.json
	$(VENV)/bin/python -m benchmarks.bench_photos --out benchmarks/results/photos.json
	$(VENV)/bin/python -m benchmarks.bench_serve $(if $(LITSERVE),--litserve $(LITSERVE))
	$(VENV)/bin/python -m benchmarks.bench_scrub
	$(VENV)/bin/python -m benchmarks.bench_scale
	$(VENV)/bin/python -m benchmarks.bench_detail --out benchmarks/results/detail.json
	$(VENV)/bin/python -m benchmarks.performance

# Ten minutes of twice the capacity, on loopback.
drill-overload: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.drills overload --seconds 600

# Slow headers, bodies and readers beside an honest client, on loopback.
drill-slow: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.drill_slow --clients 1200 --seconds 45

# An hour of broken files against the decoding of uploads. ATHERIS=--atheris lets libFuzzer choose them (pip install atheris).
drill-fuzz: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.fuzz_decoder --seconds 3600 $(ATHERIS)

# Ten thousand made-up requests against every address of the interface; no answer may be a server error. A few minutes.
drill-api: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.drill_api --cases 10000

# A server that is killed a hundred times while it answers; every answer has to be in the ledger once. About 20 minutes.
drill-kill: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.drill_kill --rounds 100

# The kill switch on two servers under load: how many seconds until nobody is given a face.
drill-stop: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.drill_stop --servers 2 --rounds 5

performance: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks.performance

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	sh .ci/make-venv "$(PYTHON)" "$(VENV)"

# torch first and by itself: its version decides which build is taken.
$(VENV)/.torch: $(VENV)/bin/python $(CONSTRAINTS)
	$(PIP) torch
	touch $@

$(VENV)/.serve: $(VENV)/.torch pyproject.toml
	$(PIP) --editable '.$(if $(EXTRAS),[$(EXTRAS)])'
	touch $@

$(VENV)/.test: $(VENV)/.torch pyproject.toml
	$(PIP) --editable '.[test]'
	touch $@

.PHONY: test-tools
test-tools:
	sh .ci/test-tools
