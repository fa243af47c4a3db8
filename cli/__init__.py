"""The `boxcar` command."""
