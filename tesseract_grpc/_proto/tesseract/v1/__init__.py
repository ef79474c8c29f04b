"""Generated from protos/ by tools/generate_proto.py. Never edit: run `make proto`."""
