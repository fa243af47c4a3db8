"""What Python shell jobs find on their path; not imported by the cloud itself."""
