"""Backups as files: what they hold, how each format is written and read, and what a restore makes of them.

    incoming      the stream of a server's backup, checked as it comes
    new_file      a file that is there when it is whole, and not before
    container, parquet_file, json_file, csv_file, json_lines    the formats
    inference     the columns of a file that does not tell them
    plan          under which names and in which order things come back

Nothing here speaks with a server: `client/aio/backup.py` and `client/aio/restore.py` do.
"""
