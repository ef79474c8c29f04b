"""Between the engine's values and the messages of the wire.

`twin` has the message classes; `encode` and `decode` carry rows; `values`, `schemas`, `queries`, `writes` and `changes`
carry single values, definitions, questions, commits and what watches deliver. Everything here is pure: bytes and
messages in, engine values out, and back.
"""
