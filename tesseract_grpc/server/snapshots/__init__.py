"""Snapshots of hubs: written while the hub is served, restored before it is."""
