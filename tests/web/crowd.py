"""An organization as large and as mixed as real ones are, written by the use cases before a server starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.domain.account import Account
from server.domain.organization import Role
from server.domain.secrets import SecretKeys
from server.main import Service, build_service, new_id, open_store
from server.service.call import Call
from server.service.invitations import NewInvitation
from server.service.organizations import admit
from server.settings import Settings

ADDRESS = "ada@analytical.example"
NAME = "Analytical Engines"
MEMBERS = 200

GIVEN = (
    "Grace Hopper", "王小明", "José María Fernández de la Vega y Sánchez-Guerrero", "محمد الخطيب", "Zoë Müller",
    "佐藤 花子", "Nguyễn Thị Minh Khai", "נועה כהן", "Søren Aabye", "Ольга Иванова", "김민준", "Ελένη Παπαδοπούλου",
    "Bo", "Linus Pauling", "Hubert Wolfeschlegelsteinhausenbergerdorff", "Mary O’Hara-Smith",
)  # fmt: skip
FAMILY = (
    "",
    "Okafor",
    "Lindqvist",
    "de Souza",
    "Haddad",
    "Tanaka",
    "Nowak",
    "Murphy",
    "Schmidt",
    "Rossi",
    "陈",
    "Yıldız",
)


@dataclass(frozen=True)
class Crowd:
    """What was written: the organization, and an access token of its admin, Ada."""

    organization_id: str
    token: str


def crowd(database_url: str, *, members: int = MEMBERS, now: datetime | None = None) -> Crowd:
    """Write an organization with members who joined over two years, and invitations in most states."""
    now = now or datetime.now(UTC)
    settings = Settings.from_environ({"DATABASE_URL": database_url})
    keys = SecretKeys(settings.secret_keys())
    store = open_store(settings)
    try:

        def at(days_ago: float) -> Service:
            return build_service(store, keys, clock=_clock(now - timedelta(days=days_ago)))

        ada = at(0).authentication.local_account(ADDRESS, "Ada Lovelace")
        token, _ = at(0).tokens.issue(ada, description="made for the tests", expires_at=None)
        call = Call(at(0).authentication.who(token))
        organization, _ = at(730).organizations.create(call, NAME)
        at(0).organizations.update(call, organization.id, invite_domains=("analytical.example", "engines.example"))
        people = [_person(at(0), number) for number in range(members - 1)]
        with store.transaction() as tx:
            tx.hold_organization(organization.id)
            for number, person in enumerate(people):
                found = tx.organization(organization.id)
                assert found is not None
                role = Role.ADMIN if number % 23 == 3 else Role.MEMBER
                admit(tx, found, person, role, ids=new_id, clock=_clock(now - timedelta(days=3.6 * number)))
        _invite(at, call, organization.id)
        for name in (
            "Königlich Bayerische Gesellschaft für Rechenmaschinen und Verwandte Apparate e. V.",
            "東京解析機関",
        ):
            at(30).organizations.create(call, name)
        user_id = next(
            m.member.user_id for m in at(0).organizations.list_own(call) if m.organization.id == organization.id
        )
        for number, description in enumerate(("Deployment of the nightly build", "Laptop", "تقارير")):
            service = at(20 * number)
            read_only = number == 1
            month = timedelta(days=30)
            service.tokens.create_personal(call, user_id, description=description, valid_for=month, read_only=read_only)
    finally:
        store.close()
    return Crowd(organization.id, token)


def _clock(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def _person(service: Service, number: int) -> Account:
    given, family = GIVEN[number % len(GIVEN)], FAMILY[number // len(GIVEN) % len(FAMILY)]
    return service.authentication.local_account(f"person{number}@example.com", f"{given} {family}".strip())


def _invite(at: Callable[[float], Service], call: Call, organization_id: str) -> None:
    """Invite people at different times: pending ones, expired ones, revoked ones, with and without mail."""
    names = (
        "linnea",
        "tomás.garcía-ñúñez",
        "wang.xiaoming",
        "a-very-long-local-part-that-some-systems-make-up",
        "omar",
    )
    for number, name in zip(range(40), itertools.cycle(names)):
        new = NewInvitation(f"{name}{number}@partner.example", send_email=number % 4 != 1, ttl=timedelta(days=30))
        service = at(1.5 * number)
        made = service.invitations.create(call, organization_id, new).invitation
        if number % 7 == 5:
            service.invitations.revoke(call, made.id)
