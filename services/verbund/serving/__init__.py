"""How any service of the mesh is served: server, interceptors, `Call`, refusals, telemetry, watches.

It knows no area.
"""
