"""Signs tokens with the key whose turn it is, and verifies them for those who hand them back."""

import json
import re
import threading
from collections.abc import Mapping
from typing import Any

import structlog
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from verbund.database.database import Database
from verbund.identity.keys.sealing import Seal, SealError
from verbund.identity.keys.store import KeyStore
from verbund.identity.tokens import compact
from verbund.identity.tokens.domain import AccessToken
from verbund.serving.call import Call
from verbund.serving.refusals import Down

ALGORITHM = "ES256"
TYPE = "at+jwt"
THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
OPEN_KEYS_MAX = 4
TOKEN_BYTES_MAX = 8 * 1024

log = structlog.get_logger(__name__)


class Signer:
    """Holds the few keys that were opened, by thumbprint. Which of them signs is read with every client."""

    def __init__(self, *, database: Database, keys: KeyStore, seal: Seal) -> None:
        self._database = database
        self._keys = keys
        self._seal = seal
        self._lock = threading.Lock()
        self._open: dict[str, ECKey] = {}

    def sign(self, token: AccessToken) -> str:
        """The token as it is sent; raises Down where no key may sign yet."""
        return self.sign_claims(token.claims(), kid=token.signing_kid, kind=TYPE)

    def sign_claims(self, claims: Mapping[str, Any], *, kid: str | None, kind: str) -> str:
        """Any claims as a token of a kind; raises Down where no key may sign yet."""
        if kid is None:
            raise Down
        header = {"typ": kind, "alg": ALGORITHM, "kid": kid}
        key, algorithm = self._key(kid), JWSRegistry.algorithms[ALGORITHM]
        return compact.write(header, claims, lambda signed: algorithm.sign(signed, key))

    def verify(self, token: str, kind: str = TYPE) -> Mapping[str, Any] | None:
        """The claims of a token of ours, whatever its age; None where it is none of that kind."""
        try:
            read = jws.extract_compact(token.encode("ascii")) if len(token) <= TOKEN_BYTES_MAX else None
            header = read.headers() if read else {}
            if not isinstance(header, dict) or header.get("typ") != kind or not THUMBPRINT.fullmatch(header["kid"]):
                return None
            with self._database.read(Call.internal("identity.tokens.verify")) as rows:
                public = self._keys.public(rows, header["kid"])
            return jwt.decode(token, ECKey.import_key(json.loads(public)), [ALGORITHM]).claims if public else None
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def _key(self, kid: str) -> ECKey:
        """The private key; opened once."""
        found = self._open.get(kid)
        if found is not None:
            return found
        with self._database.read(Call.internal("identity.tokens.sign")) as rows:
            sealed = self._keys.sealed(rows, kid)
        if sealed is None:
            raise Down
        try:
            opened = self._seal.open(sealed)
        except SealError as error:
            log.exception("signing key", remedy="restore the key file, or run: verbund identity rotate-keys")
            raise Down from error
        with self._lock:
            while len(self._open) >= OPEN_KEYS_MAX:
                self._open.pop(next(iter(self._open)))
            self._open[kid] = opened
        return opened
