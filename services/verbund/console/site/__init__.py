"""The pages for people: what waits for them, the projects, the deliveries. A client of the services."""
