"""SageMaker: jobs that really run, a model registry, and the events that AWS sends about them."""
