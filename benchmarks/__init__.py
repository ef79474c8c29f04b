"""Benchmarks: the workloads of a live blotter, run by this engine and by its peers in the same run.

The model, from the inside out:

* `trades` makes the data: one table of trades with a fixed seed, and the random updates on it.
* A `Contestant` is one engine (ours, or a peer) behind the few verbs that the workloads need. What a contestant does in
  `prepare_*` is not timed: each gets the same rows in the form that it takes best.
* A `Workload` is a function that drives any contestant and returns figures. It is written once, so that all are
  measured by the same loop.
* Each pair of workload and contestant runs in a fresh process (`child`), several times; the `runner` takes the median.
* `results` merges the figures into results.json; `report` prints them with their ratios.

Workloads over the wire (`wire`) have one contestant: the server, in a process of its own.
"""
