# What users need only calls bootstrap.py, which also works where there is no make:
#   make demo ARGS="name=mine"      python3 bootstrap.py demo name=mine
#   make test ARGS="-k tokenize"    python3 bootstrap.py test -k tokenize
PYTHON ?= python3
ARGS ?=

.PHONY: install demo test check slow xla faults bench-peers

install:
	$(PYTHON) bootstrap.py install $(ARGS)

demo:
	$(PYTHON) bootstrap.py demo $(ARGS)

test:
	$(PYTHON) bootstrap.py test $(ARGS)

# Before each commit: format, lint, types and the unit tests, in 90 seconds
check:
	$(PYTHON) bootstrap.py check $(ARGS)

# The tests that take minutes, which `make test` leaves out
slow:
	$(PYTHON) bootstrap.py test -m slow $(ARGS)

# The tests of device=xla, in an environment of their own (7 GB): torch_xla works with the torch of its own version alone
xla:
	$(PYTHON) -m venv .venv-xla
	.venv-xla/bin/pip install -q -c constraints.txt torch . pytest hypothesis
	.venv-xla/bin/pip install -q torch==2.9.1 torch_xla==2.9.0
	PJRT_DEVICE=CPU .venv-xla/bin/python -m pytest tests/unit/test_xla.py $(ARGS)

# What breaks a training, in full: kills, damaged checkpoints, a disk that fails at every write. Half an hour and more.
faults:
	YAYA_FAULTS=full $(PYTHON) bootstrap.py test tests/faults $(ARGS)

# Training speed beside other projects, whose folder is PEERS: bench/peers/README.md
bench-peers: install
	.venv/bin/python bench/peers $(PEERS) $(ARGS)
