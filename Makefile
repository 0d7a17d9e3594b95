# Each target only calls bootstrap.py, which also works where there is no make:
#   make demo ARGS="name=mine"      python3 bootstrap.py demo name=mine
#   make test ARGS="-k tokenize"    python3 bootstrap.py test -k tokenize
PYTHON ?= python3
ARGS ?=

.PHONY: install demo test

install:
	$(PYTHON) bootstrap.py install $(ARGS)

demo:
	$(PYTHON) bootstrap.py demo $(ARGS)

test:
	$(PYTHON) bootstrap.py test $(ARGS)
