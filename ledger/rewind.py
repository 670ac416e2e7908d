"""Is this still the log that was signed? Asked of a restored backup before anything is sealed or served."""

from __future__ import annotations

from core.errors import BashuError, Reason, Turn
from database import Statements
from ledger import store
from ledger.merkle import TileHashes, TreeError, root_nodes, tiles_of
from ledger.note import Checkpoint

OLDER = (
    "数据库早于已签署的日志（疑为旧备份）：恢复更新的备份或继续重放 WAL，此前不封存、不服务。"
    "The tree is smaller than one already signed: an older database was restored; nothing is sealed or served until it "
    "has caught up (docs/restore.md)"
)
FORKED = (
    "数据库中的日志不是已签署的那一份：不封存、不服务。"
    "The tree is not the one already signed; nothing is sealed or served (docs/restore.md)"
)


class OlderTree(BashuError):  # noqa: N818 - says what was found, like LockLost
    """The tree is smaller than one already signed or seen (LEDGER_INCONSISTENT)."""

    def __init__(self, *, tree_size: int, signed_size: int) -> None:
        sizes = {"tree_size": str(tree_size), "signed_size": str(signed_size)}
        super().__init__(Reason.LEDGER_INCONSISTENT, OLDER, turn=Turn.OPERATOR, metadata=sizes)


async def refuse_older(db: Statements, head: store.Head, mark: Checkpoint) -> None:
    """Raise LEDGER_INCONSISTENT (:class:`OlderTree` for its size) unless ``head`` begins with the tree of ``mark``."""
    sizes = {"tree_size": str(head.size), "signed_size": str(mark.size)}
    if head.size < mark.size:
        raise OlderTree(tree_size=head.size, signed_size=mark.size)
    tiles = await store.tiles(db, tiles_of([root_nodes(mark.size)]))
    try:
        is_same = TileHashes(tiles).root(mark.size) == mark.root
    except TreeError as error:
        raise store.inconsistent("tiles of a signed tree are missing", **sizes) from error
    if not is_same:
        raise store.inconsistent(FORKED, **sizes)
