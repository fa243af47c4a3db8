"""AWS Glue jobs: Python shell scripts that run as processes. The Data Catalog is MiniStack's."""
