"""The command `tesseract-grpc`.

One module a command (`serve`, `demo`, `tables`, `query`, `watch`, `import_file`, `version`), and one for each
thing that several of them need: the connection, conditions, sort keys, output, errors. The commands that talk to a
server use the public Python client and nothing below it; only `serve` imports the server, and only when it runs.
"""
