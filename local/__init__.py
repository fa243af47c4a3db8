"""The embedded cloud: one process that is the AWS the stack needs. It knows nothing of Boxcar's own code."""
