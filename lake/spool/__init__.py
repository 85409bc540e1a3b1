"""The local durable log: each worker appends to a slot of its own, and a record counts once it is fsynced."""
