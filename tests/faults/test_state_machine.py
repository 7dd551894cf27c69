"""The service equals the model of the checker, call by call, in whatever order Hypothesis thinks of."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from werkzeug.test import Client

from server.domain.secrets import SecretKeys
from server.main import build_service
from server.service.invitations import InvitationPolicy
from server.store.sqlite import SqliteStore
from server.wires import build_edge
from tests.conftest import KEY, GivenClock
from tests.faults.model import ADMIN, ALL, EACH, MEMBER, REFUSE, RENEW, REPLACE, Call, Organization, start
from tests.faults.recording import (
    LOGTO,
    PEOPLE,
    Reply,
    Request,
    as_listed,
    asked_for,
    gather,
    listing_of_tokens,
    logto_reason,
    understood,
)
from tests.faults.wishes import HOUR, Wish
from tests.reasons import json_reason

SEATS = 4
DAY = 24 * HOUR
INVITED_SECONDS = 30 * DAY
person = st.sampled_from(PEOPLE)
role = st.sampled_from((ADMIN, MEMBER))
place = st.integers(0, 3)
"""Which of the latest links, invitations or tokens."""


class InProcess(RuleBasedStateMachine):
    """One organization, its model, and the service on a fresh file."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(prefix="organization-service-")
        self.clock = GivenClock(datetime.now(UTC))
        self.store = SqliteStore(Path(self.directory.name) / "organizations.db", self.clock)
        keys = SecretKeys([KEY])
        service = build_service(self.store, keys, clock=self.clock, policy=InvitationPolicy(most_members=SEATS))
        self.wire = Client(build_edge(service), use_cookies=False)
        # What a token says is remembered for a second of this clock.
        service.authentication._monotonic = lambda: self.clock.now.timestamp()
        self.crowd = gather(service, [], places=1, seed=0)
        self.crowd.clock = lambda: self.clock.now.timestamp()
        (self.place,) = self.crowd.places
        self.specification, self.state = Organization(SEATS), start(PEOPLE[0])

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    def ask(self, what: str, who: str, *asked: str, lasts_seconds: float | None = None) -> None:
        """Ask the service and the model; they must agree."""
        wish = Wish(what, who, asked, lasts_seconds)
        request = asked_for(self.crowd, self.place, wish)
        if request is None:
            return
        now = self.clock.now.timestamp()
        ends = request.message.get("expiresAt", 1000 * (now + INVITED_SECONDS)) / 1000
        asking, reply = Call(0, what, who, asked, now, now, expires_at=ends), self.send(request)
        if what == "make_token" and reply.content:
            asking, reply = as_listed(self.place, asking, request, reply, self.send(listing_of_tokens(request)))
            assert asking.expires_at == now + (lasts_seconds or INVITED_SECONDS)
        call = understood(self.crowd, self.place, asking, reply)
        assert call is not None
        self.state, answer = self.specification.perform(self.state, call, now)
        assert call.answer == answer
        assert self.place.wrong == []
        self.place.known.learn(call)

    def send(self, request: Request) -> Reply:
        headers = {"authorization": f"Bearer {request.bearer}"} if request.bearer else {}
        answer = self.wire.post(f"/{request.method}", json=request.message, headers=headers)
        content = json.loads(answer.data)
        if answer.status_code < 300:
            return Reply(content)
        return Reply(reason=(logto_reason if request.service == LOGTO else json_reason)(content))

    def of(self, known: Sequence[Any], number: int) -> Any:
        return known[-1 - number % len(known)] if known else None

    @rule(time=st.sampled_from((timedelta(seconds=2), timedelta(minutes=20), timedelta(hours=2), timedelta(days=29))))
    def wait(self, time: timedelta) -> None:
        self.clock.forward(time)

    @rule(what=st.sampled_from(("members", "create_link", "disable_link", "get_link", "invitations")), who=person)
    def about_all(self, what: str, who: str) -> None:
        self.ask(what, who)

    @rule(who=person, number=place)
    def join(self, who: str, number: int) -> None:
        link = self.of(self.place.known.links, number)
        if link is not None:
            self.ask("join", who, link)
            self.ask("summary", "", link)

    @rule(who=person, other=person, to=role)
    def set_role(self, who: str, other: str, to: str) -> None:
        self.ask("set_role", who, other, to)

    @rule(who=person, other=person)
    def leave(self, who: str, other: str) -> None:
        self.ask("leave", who, other)

    @rule(who=person, other=person, to=role, if_pending=st.sampled_from((REFUSE, RENEW, REPLACE)))
    def invite(self, who: str, other: str, to: str, if_pending: str) -> None:
        self.ask("invite", who, other, to, if_pending)

    @rule(other=person, minutes=st.integers(5, 60))
    def invite_briefly(self, other: str, minutes: int) -> None:
        self.ask("invite", "", other, MEMBER, REFUSE, lasts_seconds=60.0 * minutes)

    @rule(
        how=st.sampled_from((EACH, ALL)),
        who=person,
        to=role,
        if_pending=st.sampled_from((REFUSE, REPLACE)),
        people=st.lists(person, min_size=1, max_size=4, unique=True),
    )
    def invite_many(self, how: str, who: str, to: str, if_pending: str, people: list[str]) -> None:
        self.ask("invite_many", who, how, to, if_pending, *people)

    @rule(
        what=st.sampled_from(("resend", "revoke", "remove_invitation", "accept_own", "invitation")),
        who=person,
        number=place,
    )
    def by_invitation(self, what: str, who: str, number: int) -> None:
        found = self.of(self.place.known.invitations, number)
        if found is not None:
            self.ask(what, who, found[0])

    @rule(what=st.sampled_from(("accept", "decline")), who=person, number=place)
    def by_token(self, what: str, who: str, number: int) -> None:
        token = self.of(self.place.known.invitation_tokens, number)
        if token is not None:
            self.ask(what, who, token)
            self.ask("preview", "", token)

    @rule(who=person, lasts_seconds=st.sampled_from((None, 0.5, 0.5 * HOUR, 3 * HOUR, 60 * DAY)))
    def make_token(self, who: str, lasts_seconds: float | None) -> None:
        self.ask("make_token", who, lasts_seconds=lasts_seconds)

    @rule(number=place)
    def use_token(self, number: int) -> None:
        found = self.of(self.place.known.tokens, number)
        if found is not None:
            secret, owner = found
            self.ask("use_token", owner, secret)

    @rule(who=person, number=place, own=st.booleans())
    def revoke_token(self, who: str, number: int, own: bool) -> None:
        found = self.of(self.place.known.tokens, number)
        if found is not None:
            secret, owner = found
            self.ask("revoke_token", owner if own else who, secret)
            self.ask("use_token", owner, secret)

    @rule(who=person, sure=st.integers(0, 9))
    def delete(self, who: str, sure: int) -> None:
        if not sure:
            self.ask("delete", who)


def test_the_service_equals_the_model() -> None:
    run_state_machine_as_test(
        InProcess, settings=settings(max_examples=40, stateful_step_count=30, deadline=None, print_blob=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("what", ["leave", "use_token"])
def test_a_model_that_differs_is_told_apart(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    forgetful: Callable[..., Any] = lambda self, state, call, now: (state, None)  # noqa: E731
    monkeypatch.setattr(Organization, what, forgetful)
    # One example in ten or fewer comes upon it, and the first that does ends the search; it isn't made smaller.
    only = settings(
        max_examples=300,
        stateful_step_count=30,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(InProcess, settings=only)
