# `make demo` hears a recording on this machine, `make lab` sets up what trains and exports models, `make test` checks all.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo lab test check clean

demo: .venv/edge.done
	$(BIN)/asit-edge demo

lab: .venv/lab.done

test: check
	scripts/run-tests $(BIN)/python

check: .venv/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

# What runs on a device, and the embedded broker; no torch.
.venv/edge.done: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

# The same, torch for the lab, and the exporter.
.venv/lab.done: pyproject.toml scripts/install-lab | .venv/bin/python
	scripts/install-lab $(BIN)/python demo,train,export
	touch $@ .venv/edge.done

# Everything: also what checks the code.
.venv/dev.done: pyproject.toml scripts/install-lab | .venv/bin/python
	scripts/install-lab $(BIN)/python demo,train,export,rtx,dev
	touch $@ .venv/lab.done .venv/edge.done

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .hypothesis
