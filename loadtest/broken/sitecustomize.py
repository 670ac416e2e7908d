"""Break a gateway on purpose: `make race BROKEN=1` puts this folder on the path of the processes it starts.

Facts of consents and holds are kept for a second and believed, as a cache in front of the database would have it: the
guarded statement's version check and hold check are taken out with it, because they are what such a cache leaves out.
Nothing of the product reads a switch: a deployment would have to add this folder to its own Python path.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

BROKEN_MODULE: Final = "gateway.store"
KEPT_S: Final = 1.0
_VERSION: Final = "AND c.version = ($31::bigint[])[array_position($30::uuid[], c.consent_id)]"
_HOLDS: Final = (
    "AND NOT EXISTS (SELECT 1 FROM subject_hold AS h WHERE h.pseudonym = u.pseudonym AND h.lifted_at IS NULL)"
)


def break_store(store: Any) -> None:
    """Let the store believe what it read a second ago. Raises RuntimeError where the statement is another by now."""
    if _VERSION not in store.ADMIT or _HOLDS not in store.ADMIT:
        raise RuntimeError("the admission's statement has changed: break it anew in loadtest/broken")
    # The version stays a parameter, so that the statement takes the same ones.
    store.ADMIT = store.ADMIT.replace(_VERSION, "AND ($31::bigint[]) IS NOT NULL").replace(_HOLDS, "")
    truth = store.read
    consents: dict[Any, tuple[float, Any]] = {}
    holds: dict[str, tuple[float, Any]] = {}

    async def believed(*args: Any, **names: Any) -> Any:
        facts = await truth(*args, **names)
        now = time.monotonic()
        old = {key: _kept(consents, key, value, now) for key, value in facts.consents.items()}
        seen = {name: _kept(holds, name, facts.holds.get(name, frozenset()), now) for name in names["pseudonyms"]}
        return replace(facts, consents=old, holds={name: kinds for name, kinds in seen.items() if kinds})

    store.read = believed


def _kept(cache: dict[Any, tuple[float, Any]], key: Any, value: Any, now: float) -> Any:
    kept = cache.get(key)
    if kept is None or now - kept[0] > KEPT_S:
        cache[key] = kept = (now, value)
    return kept[1]


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != BROKEN_MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        break_store(module)


sys.meta_path.insert(0, _Finder())
