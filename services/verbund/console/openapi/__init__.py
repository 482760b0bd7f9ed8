"""The OpenAPI document, made from the descriptors. `make generate` writes it; nothing here runs while it is served."""
