"""The prediction log: its records, the spool that makes them durable, and the shipper that moves them into Delta."""
