"""The jobs API: what API Gateway hands in, which route answers it, and the document that describes them all."""
