"""AWS Batch: compute environments, queues, definitions, and jobs that run as processes."""
