"""Identity is down, and its keys turn: whoever holds a valid token notices neither."""

import base64
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from google.rpc import code_pb2
from verbund.registry.v1 import project_service_pb2 as pb

from tests.support.dialects import info, status_of_json
from tests.support.home import Up, mesh_up
from tests.support.load import (
    UNLIMITED,
    Load,
    System,
    admitted,
    attempt,
    get_token,
    kill,
    opened,
    pids,
    read_over_grpc,
    read_over_json,
    wait_until,
    writers,
)

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.xdist_group("faults-identity")]

ROTATIONS = 20
# A key is published a second before it signs, and signs for little longer.
PUBLISH_SECONDS, SIGN_SECONDS = 1.0, 1.2
QUICK = {
    "VERBUND_IDENTITY_KEY_PUBLISH_SECONDS": str(PUBLISH_SECONDS),
    "VERBUND_IDENTITY_KEY_ROTATE_DAYS": f"{SIGN_SECONDS / 86_400:.9f}",
    "VERBUND_IDENTITY_TOKENS_PER_MINUTE_MAX": "100000",
}


@contextmanager
def standing_still(up: Up) -> Iterator[None]:
    """Both workers of identity stopped: they take connections and answer nothing, the worst way of being down."""
    stopped = [pid for name, pid in pids(up).items() if name.startswith("identity-")]
    assert len(stopped) == 2
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_valid_tokens_go_on_while_identity_is_down() -> None:
    """Calls are answered, also by a gateway and a worker that start meanwhile; who wants a token is told to wait, and
    gets it when identity is back.
    """
    limit = {"VERBUND_GATEWAY_CALL_SECONDS_MAX": "2"}
    with mesh_up(**UNLIMITED, **limit) as up, admitted(up, bearer="system") as (system,):
        project = system.create("standing")
        pair = writers(system, "down")
        reads = Load(read_over_json(system, project.name), read_over_grpc(system, project.name))
        with standing_still(up):
            with reads, Load(*pair) as writes:
                reads.go_on()
                kill(up, "registry-0")
                reads.go_on(50)
                writes.go_on()
            assert reads.failures == []
            assert writes.reasons <= {"UNAVAILABLE"}
            refused = status_of_json(system.anonymous.post("/oauth2/token", data={"grant_type": "client_credentials"}))
            assert (refused.code, info(refused).metadata["retry"]) == (code_pb2.DEADLINE_EXCEEDED, "true")
            kill(up, "gateway")
            read = read_over_json(system, project.name)
            wait_until(lambda: attempt(read) is None, "a gateway that starts while identity is down refuses")
        wait_until(lambda: attempt(get_token(system)) is None, "identity does not come back")


class Fresh:
    """Gets a new token in each turn, and reads with it at once."""

    def __init__(self, system: System, project: pb.Project) -> None:
        self.kids: set[str] = set()
        self._system = system
        self._project = project
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """One token."""
        token = self._system.new_tokens().token()
        header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
        with self._lock:
            self.kids.add(header["kid"])
        with self._system.http_with(token) as http:
            opened(http.get(f"/v1/{self._project.name}"))


def test_twenty_key_rotations_refuse_no_valid_request() -> None:
    """Tokens from before the first rotation, and those that are signed the moment a key takes over, are good at the
    gateway and at both workers, all the time.
    """
    with mesh_up(**UNLIMITED, **QUICK) as up, admitted(up, bearer="system") as (system,):
        project = system.create("standing")
        fresh = Fresh(system, project)
        held = (read_over_json(system, project.name), read_over_grpc(system, project.name))
        with Load(*held, fresh, fresh, pause_seconds=0.05) as load:
            wait_until(
                lambda: load.failures or len(fresh.kids) > ROTATIONS,
                lambda: f"only {len(fresh.kids)} keys have signed",
                seconds_max=150,
            )
        assert load.failures == []
        assert len(fresh.kids) > ROTATIONS
