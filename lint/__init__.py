"""Boxcar's own checks: what the team agreed on, where no tool off the shelf finds it. `make lint` runs them all."""
