"""The port for browsers and curl: the same services over Connect and gRPC-Web on HTTP/1.1.

A request passes through these files, in this order: `port` listens; `connection` reads HTTP and writes it; `site` knows
what a path is and which pages may ask; `rpc` finds the method, its caller's role and the request's format; `requests`
takes messages out of the body; then the very handler that gRPC calls gets them, with a `context` in the place of
gRPC's; `framing` makes the answer's bytes, once for all who are told the same, and `ending` says how it ended.

Nothing is decided here that a service decides: limits, refusals, watches, metrics, records and drain are those of gRPC.
"""
