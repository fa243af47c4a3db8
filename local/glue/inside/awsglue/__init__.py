"""As much of AWS Glue's own package as Python shell jobs use."""
