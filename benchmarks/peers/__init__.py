"""The peers: what users would pick instead, each behind the verbs of a contestant."""
