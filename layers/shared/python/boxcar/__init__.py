"""The domain of Boxcar: families, plans, jobs, verdicts, registry, alarms. No I/O happens at import."""
