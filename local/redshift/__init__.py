"""The warehouse of the embedded cloud: the Redshift Data API over DuckDB. docs/redshift-local.md says how faithful it is."""
