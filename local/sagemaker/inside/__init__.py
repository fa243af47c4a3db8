"""What runs inside a job's environment. Standard library only; nothing here is imported by the service."""
