"""The page and the figures that a run leaves behind: `reports/<run>/index.html` and `report.json`."""
