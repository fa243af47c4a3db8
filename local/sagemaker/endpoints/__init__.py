"""Endpoints that really answer: configurations, fleets of instances, deployments, invocations, the async backlog."""
