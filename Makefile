# chunkwise: everything a newcomer needs. Nothing is installed outside this checkout, except
# Debian packages that a test says it misses (chromium), and only where we may (root).

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

# How many processes share the tests; what belongs together stays in one of them (tests/groups.py). 'make test' has two
# more, since three begin with what mostly waits: for Galaxy, for pages in a browser, for Slurm.
WORKERS ?= 2

# What pytest makes of the tests' files is kept, also where nothing else is to be: each of its processes reads them all.
test test-fast test-galaxy test-cluster: export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup demo test test-fast test-published test-slow test-interop bench lint faces galaxy galaxy-down cluster cluster-down test-galaxy test-cluster lock clean train-nuclei accuracy

help: ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## make .venv with the package and the command in it

$(VENV)/.ready: requirements.lock pyproject.toml CMakeLists.txt $(wildcard src/kernels/*)
	@bash deploy/setup.sh $(VENV)
	@touch $@

demo: setup ## run the main job on a real microscopy image, and make a page about it
	@$(BIN)/python demo/demo.py

lint: setup ## ruff, mypy strict, the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

faces: setup ## write what is made from the declarations: Galaxy's tools, tables of the docs
	@$(BIN)/python deploy/faces.py

test-fast: setup ## the inner loop: what needs no server
	$(BIN)/python -m pytest -q -m "not alone and not slow and not galaxy and not cluster and not s3 and not browser and not interop" -n $(WORKERS)

test: lint ## every test, including those in a real Galaxy
	@bash deploy/browser.sh
	@bash deploy/node.sh
	$(BIN)/python -m pytest -q -m "alone and not slow" $$(grep -rl --include='*.py' 'mark\.alone' tests)
	$(BIN)/python -m pytest -m "not alone and not slow and not interop" -n $$(($(WORKERS) + 2)) --maxfail=10 --durations=15

test-published: setup ## run published workflows, and the published cases of galaxy-image-analysis; say how many come out as expected (part of 'make test')
	$(BIN)/python -m pytest -q tests/published
	@grep -oE '[0-9]+ of [0-9]+\*\* are what' docs/published.md | sed 's/\*\* are what/ published cases are what their authors expect/'
	@grep -oE '[0-9]+ of [0-9]+ workflows' docs/published.md

test-slow: setup ## large volumes: minutes
	$(BIN)/python -m pytest -m slow --durations=15

test-interop: setup ## test chunkwise against other programs that read and write OME-Zarr, and write docs/interop.md: minutes
	@bash deploy/interop/setup.sh $(VENV)-interop
	$(BIN)/python -m pytest -m interop tests/interop --durations=15

bench: setup ## measure chunkwise and other programs, and write docs/performance.md: an hour or two on a quiet machine
	@bash benchmarks/all.sh

$(VENV)-train/.ready: training/requirements.lock training/requirements-cuda.lock training/setup.sh | setup
	@bash training/setup.sh $(VENV)-train
	@touch $@

TRAIN := $(VENV)-train/bin/python training
DATA ?= ../shared/data/dsb2018_train
MINUTES ?= 100

train-nuclei: $(VENV)-train/.ready ## train and export models/nuclei: hours on two cores, minutes on a GPU (DATA, MINUTES)
	OMP_WAIT_POLICY=PASSIVE $(TRAIN)/train.py --data $(DATA) --run .training/nuclei --minutes $(MINUTES) \
	  --batch 4 --steps 30000 --every 1000
	OMP_WAIT_POLICY=PASSIVE $(TRAIN)/train.py --data $(DATA) --run .training/nuclei-all --minutes $(shell expr $(MINUTES) / 4) \
	  --batch 4 --steps 8000 --start .training/nuclei/best.pt --all --rate 1e-3 --seed 20261124
	$(TRAIN)/tune.py --data $(DATA) --run .training/nuclei
	$(TRAIN)/export.py --data $(DATA) --run .training/nuclei-all --tuned .training/nuclei

accuracy: $(VENV)-train/.ready ## measure segmentations against ground truth, and write docs/accuracy.md and its pictures
	$(BIN)/python benchmarks/accuracy/tiled.py
	$(VENV)-train/bin/python benchmarks/accuracy/score.py

galaxy: setup ## start a real Galaxy on loopback with the tools in it
	@bash deploy/galaxy/up.sh

galaxy-down: ## stop it
	@bash deploy/galaxy/down.sh

cluster: setup ## start a real Slurm, two Pulsars and the Galaxy connected to them, on loopback (root)
	@bash deploy/cluster/up.sh

cluster-down: ## stop all of them
	@bash deploy/cluster/down.sh

test-galaxy: setup ## planemo lint and planemo test of every tool and workflow
	$(BIN)/python -m pytest -m galaxy --durations=15

test-cluster: setup ## every test that needs the real Slurm, Pulsar or both
	$(BIN)/python -m pytest -m "cluster and not slow" --durations=15

lock: setup ## resolve the dependencies again
	$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-header -q --upgrade -o requirements.lock

clean: cluster-down ## remove what the other targets made
	rm -rf $(VENV) $(VENV)-train $(VENV)-interop .galaxy .cluster demo-output
