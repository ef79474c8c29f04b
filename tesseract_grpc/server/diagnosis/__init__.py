"""What a hub can say of a table: what is in it, what it takes, how it is used, and what could be better.

`reading` takes the rows of one version while commits go on, `costs` reads off what sessions cost, `facts` puts
together all that is known, and `issues` judges it by rules, each of which looks at facts and at nothing else. `encode`
makes messages. `performance` measures on a copy, in a process of its own.
"""
