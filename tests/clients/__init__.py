"""The clients in other languages, built, tested and run against this server.

`python -m tests.clients` (`make clients-test`) reads `clients/<language>/commands.json`, builds each client and runs
its checks, its tests and its samples. What they run against is the *stage*: a process with a control port, over which
tests in any language ask for what they need:

* a *player*, which plays the conformance vectors of `tests/vectors`, right or wrong on purpose;
* a *server*, the real command over a directory, which can be killed and started again, frozen and thawed, with or
  without a proxy before it that can swallow everything or break all connections;
* the *errors* of that server: calls that must be refused, with what a client must show of each refusal.

`stage.py` has all routes of the control port.
"""
