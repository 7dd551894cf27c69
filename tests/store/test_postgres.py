"""PostgreSQL passes the contract."""

from __future__ import annotations

import psycopg
import pytest

from server.domain.errors import ServiceError
from tests.store.contract import StoreContract
from tests.store.contract_invitations import InvitationStoreContract
from tests.store.contract_sessions import SessionStoreContract


class TestPostgres(StoreContract, InvitationStoreContract, SessionStoreContract):
    # The store tells some of them as CONFLICT, so that work which met another's is tried again.
    integrity_errors = (psycopg.errors.IntegrityError, ServiceError)

    @pytest.fixture
    def engine(self) -> str:
        return "postgres"
