"""Turns the signing keys by their schedule. Any number of workers may try; one does it."""

import json
from datetime import datetime

from joserfc.jwk import ECKey

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.database.rows import Transaction
from verbund.identity.keys.domain import Due, KeyState, Schedule, due
from verbund.identity.keys.sealing import Seal
from verbund.identity.keys.store import KeyStore
from verbund.serving.call import Call


class Rotation:
    """Makes, turns and forgets signing keys."""

    def __init__(self, *, database: Database, keys: KeyStore, seal: Seal, schedule: Schedule, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._seal = seal
        self._schedule = schedule
        self._clock = clock

    def run(self) -> bool:
        """Does what is due, and tells whether anything was; looks without a lock first, since mostly nothing is."""
        call = Call.internal("identity.keys.rotate")
        with self._database.read(call) as rows:
            if not due(self._keys.all(rows), self._schedule, at=self._clock()).anything:
                return False
        with self._database.transaction(call) as tx:
            self._keys.lock(tx)
            now = self._clock()
            self._carry_out(tx, due(self._keys.all(tx), self._schedule, at=now), at=now)
        return True

    def begin(self) -> bool:
        """Makes the next key now, whatever the age of the present one; False where one waits for its turn already."""
        with self._database.transaction(Call.internal("identity.keys.rotate")) as tx:
            self._keys.lock(tx)
            if any(key.state is KeyState.PUBLISHED for key in self._keys.all(tx)):
                return False
            self._create(tx, at=self._clock())
            return True

    def _carry_out(self, tx: Transaction, todo: Due, *, at: datetime) -> None:
        if todo.drop:
            self._keys.drop(tx, todo.drop)
        if todo.sign is not None:
            self._keys.retire_signing(tx, at=at)
            self._keys.sign_with(tx, todo.sign, at=at)
        if todo.create:
            self._create(tx, at=at)

    def _create(self, tx: Transaction, *, at: datetime) -> None:
        private = ECKey.generate_key("P-256")
        kid = private.thumbprint()
        public = private.as_dict(private=False) | {"kid": kid, "use": "sig", "alg": "ES256"}
        self._keys.insert(
            tx, kid=kid, jwk=json.dumps(public, sort_keys=True), sealed_key=self._seal.close(private), at=at
        )
