"""The gateway: Envoy's configuration as a pure function of the protos, the policy in them and settings.

It decides nothing itself, and owns no state.
"""
