"""The tests of the whole project."""

import os

# Tests start programs while they hold gRPC channels; gRPC would bring its threads up again in each child before it
# becomes the program, and take the child down with them. Nothing here calls gRPC in a forked child.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
