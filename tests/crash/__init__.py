"""Proof that nothing acknowledged is lost: a server that is killed all the time, and clients that keep books.

`python -m tests.crash --kills 300 --seed N` (`make crash-test`) serves a directory with the real command, lets eight
writers and twenty watchers loose on it, kills the process, starts it again, and compares what is there with what was
acknowledged. Then it does that again.

zygote     a process that has imported the server and forks one whenever asked, because starting Python takes longer
           than anything else here
server     the command `serve` in such a fork, with a clock that the test sets and, if asked, a point at which it kills
           itself
points     the names of these points, and how they are put around the log, the journal and the snapshots: the server's
           own code knows nothing of them
traffic    what writers send: commits of several tables, transfers, questions of tests/world
writer     a connection that writes, and what it does not know the outcome of when the server dies
definer    the same for tables and sessions
follower   a watch that goes on with its token, and its joined recording
books      every acknowledged commit by its version; the naive oracle over them says what is true at any version
round      some kills of one directory; run counts over all rounds

What is compared after every start: the versions (each is a commit that somebody sent and was told, none is missing),
whole tables, every session by QuerySession, every mirror, every recording by the validators of the promises, and the
memory of request ids.
"""
