"""The warehouse of the embedded cloud: the Redshift Data API over DuckDB. How faithful: docs/redshift-local.md."""
