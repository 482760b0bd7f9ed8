"""Keycloak as the provider at which people sign in: obtained, started on the embedded PostgreSQL, and set up."""
