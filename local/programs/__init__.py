"""Programs of users as processes: what the services that run containers and scripts (Batch, Glue) have in common."""
