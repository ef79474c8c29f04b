"""What the server can be watched by: counters that cost next to nothing, and an optional HTTP port that shows them.

`meters` are what busy paths count into: plain integers, and histograms without locks, for one thread owns them.
`catalogue` names every metric, `sample` reads them all at one moment on the event loop, and `endpoint` serves them to
Prometheus from a thread of its own, which can neither hold up the loop nor be held up by it for long.
"""
