"""One contract for all stores, and what is each engine's own."""

import pytest

pytest.register_assert_rewrite("tests.store.contract", "tests.store.contract_invitations")
