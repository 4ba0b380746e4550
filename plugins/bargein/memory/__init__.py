"""What has to outlive a call: receipts, and messages that were not heard in full."""

from .archive import Archive
from .receipt import Receipt, Undelivered
from .records import Records, StoreError
from .sqlite import SqliteStore
from .store import MemoryStore, Store, open_store

__all__ = [
    "Archive",
    "MemoryStore",
    "Receipt",
    "Records",
    "SqliteStore",
    "Store",
    "StoreError",
    "Undelivered",
    "open_store",
]
