"""The client that a department installs: `pip install verbund`, and nothing of the server.

It refuses to trust anything but the mesh's own CA. A file is sent like this, `home` being the mesh's directory:

    from verbund.sdk import Client, Refused

    with Client.from_home(home, "organisations/city-department/systems/records") as client:
        try:
            sent = client.send(
                "order.pdf", to="organisations/city-lab/mailboxes/projects", subject="Project order"
            )
        except Refused as refused:
            raise SystemExit(f"{refused.reason}: {refused.remedy}")
        print(sent.name, sent.documents[0].sha256)

Calling it again sends nothing twice. On another machine `Client("https://…", ca=…, client_id=…, key=…)` says what
ready.json says here; `token=` or `home_token=` stand for a person or for a token from elsewhere. The receiver:

    with Client.from_home(home, "organisations/city-lab/systems/portal") as client:
        inbox = client.inbox("organisations/city-lab/mailboxes/projects")
        for delivery in inbox:  # what waits there, then what arrives
            inbox.claim(delivery)
            for document in delivery.documents:
                client.download(document, "received/")
            inbox.accept(delivery)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verbund.sdk.client import Client
    from verbund.sdk.refusals import Damaged, NotReady, Refused, TokenRefused, VerbundError
    from verbund.sdk.transfer import File

__all__ = ["Client", "Damaged", "File", "NotReady", "Refused", "TokenRefused", "VerbundError"]

PLACES = {"Client": "client", "File": "transfer"}


def __getattr__(name: str) -> Any:
    """Imports what is asked for, now: `verbund --help` asks for nothing, and gRPC takes half a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PLACES.get(name, 'refusals')}"), name)
