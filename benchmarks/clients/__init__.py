"""How fast the clients of all languages are, beside their stubs: clients/BENCH.md says what is measured and how."""
