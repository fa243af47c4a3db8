"""Serving: approved versions on endpoints. See docs/release.md."""
