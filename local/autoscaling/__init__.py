"""Application Auto Scaling: the instance counts of endpoint variants follow metrics."""
