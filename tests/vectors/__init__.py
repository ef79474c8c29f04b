"""Conformance vectors: what a server says and what every client must make of it, in files that any language can read.

A vector (`data/*.json`, proto3 JSON inside) has two halves. The first is what happens: the options of a server, what
is set up, what a client asks to watch, and steps: commits, edits, disconnects, restarts, time. A real server goes
through them (`record.py`), and the responses that it sends are recorded as the `streams` of the vector, the answers to
one watch call after the other, each with the request that a client must have made. The second half, `expect`, is what a
client must show for that: its rows in order, counts and versions at every consistent point, its states, why it was
interrupted, and the error with which it ended.

Some things no server of ours ever does: a gap, a version that goes back, a digest that is not that of the rows. There
the recorder damages what the server said, and the vector says what a client must do: not believe it, and come back.

`player.py` is a server on a real socket that plays the recorded streams to a client, whatever its language, and ends
the call of a client that asks for something else than it must. A client proves a vector by watching the session of that
name with its ordinary mirror and comparing what it has shown with `expect`.

What chance decides is written the same way in every recording: epochs are "epoch-1" and so on, names of streams
"watch-1", tokens "token-1", in the order in which they are first seen; the clock of the server stands at 0.

    python -m tests.vectors record       writes data/ anew
    python -m tests.vectors play         serves them on a port, which it prints
"""
