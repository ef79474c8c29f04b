"""Planted bugs. A test suite is worth what it catches, so we plant bugs and count.

`plants.py` lists them: one changed line of the package each, with what a user would see. `runner.py` makes a copy of
the package with one bug in it and lets the histories of the state machine loose on it, in a process of its own, until
the law breaks or the budget ends. `python -m tests.mutants` plants all and publishes k of n.
"""
