# Two commands do everything: `make demo` hears a recording on this machine, `make test` checks all of it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check clean

demo: .venv/edge.done
	$(BIN)/asit-edge demo

test: check
	scripts/run-tests $(BIN)/python

check: .venv/lab.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

# What runs on a device, and the embedded broker; no torch.
.venv/edge.done: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

# Everything: torch for the lab, the exporter, the tools that check the code.
.venv/lab.done: pyproject.toml scripts/install-lab | .venv/bin/python
	scripts/install-lab $(BIN)/python
	touch $@ .venv/edge.done

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .hypothesis
