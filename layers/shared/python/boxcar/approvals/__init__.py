"""Approvals: a run that asks a person about a version, and waits. See docs/approvals.md."""
