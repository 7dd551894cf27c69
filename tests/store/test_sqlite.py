"""The contract of stores, on SQLite."""

from __future__ import annotations

from server.store.sqlite import sqlite3
from tests.store.contract import StoreContract
from tests.store.contract_invitations import InvitationStoreContract
from tests.store.contract_sessions import SessionStoreContract


class TestSqlite(StoreContract, InvitationStoreContract, SessionStoreContract):
    integrity_errors = (sqlite3.IntegrityError,)
