"""Backups: the definitions and rows of tables, all at one version, sent while the hub is served."""
