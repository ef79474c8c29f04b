"""The soak: a real server under churn for a long time, and whether it is afterwards what it was before.

`make soak MINUTES=20` starts a server in a process of its own and a crowd of client processes (`herd`) whose watchers
connect, read or never read, and leave. Meanwhile whole processes are stopped, so that their connections stay and nobody
reads, and killed. A writer commits all the time. Once a second the server is looked at from outside (`probe`): resident
memory, file descriptors, threads, and through its metrics tasks, watches, open calls.

The verdict (`verdict`): after a warm-up the memory's slope, by a regression that outliers do not move, stays below a
bound; and when everybody has gone, tasks, watches, calls, sessions and file descriptors are what they were before the
first came. A run with too little churn proves nothing and is void.
"""
