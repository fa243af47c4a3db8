"""Alarms: what went wrong, told once, to those who can mend it. See docs/alarms.md."""
