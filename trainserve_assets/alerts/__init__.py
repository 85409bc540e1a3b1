"""How what asset checks find reaches people: read from Dagster, kept in the lake until delivered, sent to receivers."""
