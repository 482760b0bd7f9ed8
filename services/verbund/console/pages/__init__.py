"""The manual's pages, made from the OpenAPI document and from nothing else."""
