"""Jobs: submit them, launch them when there is capacity, watch them end. See docs/jobs.md."""
