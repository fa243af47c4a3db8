"""Versions of models: the models table, SageMaker's Model Registry, and how both are kept in agreement."""
