"""A sealer's process that freezes itself (SIGSTOP) while it holds the head row's lock, and goes on when thawed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from core.errors import BashuError
from database import open_database
from ledger.highwater import HighWater
from ledger.sealer import Sealer
from ledger.signer import load_signer

NAME = "freezing-sealer"
WHERE = ("integrating", "signing")


def freeze():
    print("freezing", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)


class Freezing(Sealer):
    """Freezes before the round's commit."""

    async def _integrate(self, tx, old):
        new = await super()._integrate(tx, old)
        freeze()
        return new


class FreezingSigner:
    """Freezes with the signature made and not stored yet."""

    def __init__(self, inner):
        self._inner = inner
        self.name, self.vkey, self.signers = inner.name, inner.vkey, (self,)

    def follow(self, vkeys):
        self._inner.follow(vkeys)

    def sign(self, text):
        signature = self._inner.sign(text)
        freeze()
        return signature


async def main(where, dsn, key, mark):
    db = await open_database(dsn, min_size=1, max_size=2, application_name=NAME)
    signer = load_signer(Path(key), name="log.example/frozen")
    parts = {"db": db, "high_water": HighWater(path=Path(mark))}
    one = Freezing(signer=signer, **parts) if where == "integrating" else Sealer(signer=FreezingSigner(signer), **parts)
    try:
        await one.run_round()
        print("its round ended as if nothing had been", flush=True)
    except BashuError as error:
        print(f"its round failed: {error.reason}", flush=True)
    sealed = await Sealer(signer=signer, **parts).run_round()
    print(f"its next round sealed {sealed}", flush=True)
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
