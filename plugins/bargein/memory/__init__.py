"""What has to outlive a call: receipts, and messages that were not heard in full."""

from .archive import Archive
from .receipt import Receipt, Undelivered
from .records import Records, StoreError
from .shelf import Shelf
from .sqlite import SqliteStore
from .store import MemoryStore, Store, open_store
from .writer import PATIENCE_S, Writer

__all__ = [
    "PATIENCE_S",
    "Archive",
    "MemoryStore",
    "Receipt",
    "Records",
    "Shelf",
    "SqliteStore",
    "Store",
    "StoreError",
    "Undelivered",
    "Writer",
    "open_store",
]
