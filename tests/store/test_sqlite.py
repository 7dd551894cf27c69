"""The contract of stores, on SQLite."""

from __future__ import annotations

from server.store.sqlite import sqlite3
from tests.store.contract import StoreContract
from tests.store.contract_invitations import InvitationStoreContract


class TestSqlite(StoreContract, InvitationStoreContract):
    integrity_errors = (sqlite3.IntegrityError,)
