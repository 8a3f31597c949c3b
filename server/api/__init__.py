"""The documented HTTP APIs over the batch half: their routes, and what describes them."""
