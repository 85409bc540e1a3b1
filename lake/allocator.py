"""Polars' allocator, jemalloc: for how long memory that is free stays with the process."""

import os

_SETTINGS = "_RJEM_MALLOC_CONF"


def keep_free_memory() -> None:
    """Give free memory back to the system after some ten seconds; to be called before Polars is first imported.

    Polars has it given back after half a second. Who works in batches with a pause between them would have each page from the
    system anew for every batch, which was seen to take a fifth of the time. Whoever runs the process may say otherwise in its
    environment.
    """
    os.environ.setdefault(_SETTINGS, "dirty_decay_ms:10000,muzzy_decay_ms:0")
