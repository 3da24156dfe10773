# make demo: everything end to end on videos that it makes itself.   make test: all tests.
# Both are the first command of a fresh clone; neither needs more than Python and a package index.

VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test lint types unit docs bench clean

demo: $(STAMP)
	$(BIN)/pytorchvideo demo --out demo

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/python -m pytest --durations=15 $(PYTEST_ARGS)

docs: $(STAMP)
	$(BIN)/python docs/make_model_zoo.py

bench: $(STAMP)
	$(BIN)/python benchmarks/decode.py ../shared/data/clips

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[deploy,dev,hf,kornia,serve,torchcodec]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo runs build *.egg-info .mypy_cache .pytest_cache .ruff_cache
