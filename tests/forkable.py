"""What servers and workers import, for the process that those of the tests are forked from (see ``tests.forked``)."""

import gc
from importlib import import_module

for name in ("server.cli", "server.commands.serve", "server.worker", "tests.batch.half", "tests.engines_scripted"):
    import_module(name)
gc.collect()
gc.freeze()  # what is here stays: a collection in a server need not look at it, and would copy every page
