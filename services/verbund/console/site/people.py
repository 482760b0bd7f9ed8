"""What the person who reads a page is called."""

from collections.abc import Callable

from verbund.console.site.kept import Kept
from verbund.console.site.peers import Asking
from verbund.identity.v1.person_service_pb2 import GetPersonRequest
from verbund.identity.v1.person_service_pb2_grpc import PersonServiceStub
from verbund.sdk.refusals import Refused
from verbund.serving.call import Principal

NAME_SECONDS = 30.0


class People:
    """The names of those who read pages, each told to nobody but themselves: to whose verified token names them.

    Identity is asked once in 30 s and not for every page. Who is erased reads no page any more, because their tokens
    end with the erasure; their name is shown to nobody else, and after these 30 s not held either: the next name that
    is kept takes it away.
    """

    def __init__(self, names: Kept[str] | None = None) -> None:
        self._names = names or Kept(NAME_SECONDS)

    def naming(self, asking: Asking, principal: Principal) -> Callable[[], str]:
        """Begins to ask, where that is needed; what is returned waits for the name. It is empty where the mesh does
        not know it, or cannot say it at present: a page without the name is worth more than none.
        """
        name = principal.person
        if name is None:
            return str
        known = self._names.get(name)
        if known is not None:
            return lambda: known
        request = GetPersonRequest(name=name)
        later = asking.later("identity", lambda channel: PersonServiceStub(channel).GetPerson, request)

        def told() -> str:
            try:
                found = later.result_if_known()
            except Refused:
                return ""
            called: str = found.display_name if found else ""
            self._names.keep(name, called)
            return called

        return told
