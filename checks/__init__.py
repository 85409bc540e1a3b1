"""Asset checks and the pure decisions behind them: data quality, the release standard, monitoring, experiments."""
