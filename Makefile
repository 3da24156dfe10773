# make demo: everything end to end on videos that it makes itself.   make test: all tests but the slow.   make slow: those.   make quick: the first minutes of them.
# make matrix: the oldest and the newest Python, with the oldest and the newest of all packages (MATRIX=full: all, and the extras).
# Each is the first command of a fresh clone; none needs more than Python and a package index.

VENV   := .venv
PYTHON ?= python3
MATRIX ?= short
JOBS   ?= 2
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test slow quick matrix lint types unit docs bench clean

demo: $(STAMP)
	$(BIN)/pytorchvideo demo --out demo

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

TESTS := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations=15

unit: $(STAMP)
	$(TESTS) -m "not slow" $(PYTEST_ARGS)

# What takes more than about five seconds each: whole trainings, full depth, processes that are killed, all real clips.
slow: $(STAMP)
	$(TESTS) -m slow $(PYTEST_ARGS)

# What breaks most often: reading, sampling, transforms, one model, and what the package promises as a whole.
QUICK := tests/data/test_encoded_video.py tests/data/test_clip_sampling.py tests/transforms/test_functional.py \
	tests/models/test_registry.py tests/test_package.py tests/test_matrix.py

quick: lint $(STAMP)
	$(BIN)/python -m pytest -q -m "not slow" $(QUICK) $(PYTEST_ARGS)

matrix: $(STAMP)
	$(BIN)/python tests/matrix.py $(MATRIX)

docs: $(STAMP)
	$(BIN)/python docs/make_model_zoo.py
	rm -rf docs/api/generated
	$(BIN)/python -m sphinx -W --keep-going docs build/site

bench: $(STAMP)
	$(BIN)/python benchmarks/decode.py ../shared/data/clips

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[deploy,dev,docs,hf,kornia,serve,torchcodec]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo runs build *.egg-info .mypy_cache .pytest_cache .ruff_cache
