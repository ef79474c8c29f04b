"""Debug mode: what a hub does, as structured records that can be listed and followed while it runs.

    guards, journal, services, streams ──► Recorder ──► Ring ──► ListDebugRecords, WatchDebugRecords
                                             ▲ None while the mode is off

Off, it costs one attribute test at each place that could record something. On, every record is a small object in a ring
of bounded size; what is dear (the plan of a slow query) is made aside. No record holds a value of a row, a key, a
filter or an expression unless that was asked for: what is recorded are names, counts, times and reasons, and texts are
made here and not taken from clients or errors.

Settings and records belong to the process: neither is in the log of a hub.
"""
