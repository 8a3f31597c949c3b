"""Measures what a caller feels: latency, capacity and cost of a Voxline server, against the floor its engines set.

Run `python -m loadtest --help`. Every figure is taken in one run on one machine beside its own yardstick (the bare
engine, or an engine that does nothing), so what it yields is a ratio; the absolute times are this machine's only.
"""
