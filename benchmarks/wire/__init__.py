"""The wire: a server in a process of its own, and clients that speak nothing but the protocol to it.

`server` starts the server and reads its CPU time and memory; `blotter` makes the table and a session there; `crowd` is
many watchers of one session in one event loop. Each scenario is a file of its own.

The clients use the generated messages, not the Python client, so that a figure is the server's cost and not that of a
client's mirror. What a client costs shows in the in-process tests of the client.
"""
