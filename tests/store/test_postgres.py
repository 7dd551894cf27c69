"""PostgreSQL passes the contract."""

from __future__ import annotations

import psycopg
import pytest

from server.domain.errors import ServiceError
from tests.store.contract import StoreContract
from tests.store.contract_invitations import InvitationStoreContract


class TestPostgres(StoreContract, InvitationStoreContract):
    # The store tells some of them as CONFLICT, so that work which met another's is tried again.
    integrity_errors = (psycopg.errors.IntegrityError, ServiceError)

    @pytest.fixture
    def engine(self) -> str:
        return "postgres"
