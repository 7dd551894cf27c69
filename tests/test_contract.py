"""The contract in proto/ is Gitpod's, by name and number; gen/ is made from it; all of it is explained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import protovalidate
import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodOptions,
)
from protobuf import Oneof
from protobuf.wkt import Duration
from protovalidate._gen.buf.validate import validate_pb

from gen.gitpod.v1 import organization_pb, pagination_pb, user_pb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protobuf import Message

ROOT = Path(__file__).resolve().parent.parent

# As published in the descriptors of gitpod-sdk 1.2.0: number, name, type; [] is repeated, ? is explicit presence.
MESSAGES = """\
Account: 1 id string, 2 name string, 3 avatar_url string, 4 email string, 5 created_at Timestamp,
    6 updated_at Timestamp, 7 memberships AccountMembership[], 8 joinables JoinableOrganization[],
    9 public_email_provider bool, 10 organization_id string?
AccountMembership: 1 user_id string, 2 user_role OrganizationRole, 3 organization_id string,
    4 organization_name string, 5 organization_member_count int32, 6 organization_tier OrganizationTier
CountRequest: 1 include bool
CountResponse: 1 value int32, 2 relation CountResponseRelation
CreateOrganizationInviteRequest: 1 organization_id string
CreateOrganizationInviteResponse: 1 invite OrganizationInvite
CreateOrganizationRequest: 1 name string, 2 join_organization bool,
    3 invite_accounts_with_matching_domain bool
CreateOrganizationResponse: 1 organization Organization, 2 member OrganizationMember
CreatePersonalAccessTokenRequest: 1 user_id string, 2 description string, 3 valid_for Duration,
    4 read_only bool
CreatePersonalAccessTokenResponse: 1 token string
DeleteOrganizationRequest: 1 organization_id string
DeleteOrganizationResponse:
DeletePersonalAccessTokenRequest: 1 personal_access_token_id string
DeletePersonalAccessTokenResponse:
GetAccountRequest:
GetAccountResponse: 1 account Account
GetAuthenticatedIdentityRequest:
GetAuthenticatedIdentityResponse: 1 subject Subject, 2 organization_id string, 3 organization_tier string
GetAuthenticatedUserRequest:
GetAuthenticatedUserResponse: 1 user User
GetOrganizationInviteRequest: 1 organization_id string
GetOrganizationInviteResponse: 1 invite OrganizationInvite
GetOrganizationInviteSummaryRequest: 1 invite_id string
GetOrganizationInviteSummaryResponse: 1 organization_id string, 2 organization_name string,
    3 organization_member_count int32
GetOrganizationRequest: 1 organization_id string
GetOrganizationResponse: 1 organization Organization
GetPersonalAccessTokenRequest: 1 personal_access_token_id string
GetPersonalAccessTokenResponse: 1 pat PersonalAccessToken
GetUserRequest: 1 user_id string
GetUserResponse: 1 user User
InviteDomains: 1 domains string[]
JoinOrganizationRequest: 1 organization_id string, 2 invite_id string
JoinOrganizationResponse: 1 member OrganizationMember
JoinableOrganization: 1 organization_id string, 2 organization_name string,
    3 organization_member_count int32
LeaveOrganizationRequest: 1 user_id string
LeaveOrganizationResponse:
ListJoinableOrganizationsRequest: 1 pagination PaginationRequest
ListJoinableOrganizationsResponse: 1 joinable_organizations JoinableOrganization[],
    2 pagination PaginationResponse
ListMembersRequest: 1 pagination PaginationRequest, 2 organization_id string,
    3 filter ListMembersRequest.Filter, 4 sort ListMembersRequest.Sort, 5 count CountRequest
ListMembersRequest.Filter: 1 search string, 2 statuses UserStatus[], 3 roles OrganizationRole[],
    4 user_ids string[], 5 exclude_group_ids string[], 6 exclude_members_in_any_team bool, 7 email string,
    8 login_provider LoginProviderKind
ListMembersRequest.Sort: 1 field ListMembersRequest.SortField, 2 order SortOrder
ListMembersResponse: 1 pagination PaginationResponse, 2 members OrganizationMember[],
    3 count CountResponse
ListPersonalAccessTokensRequest: 1 pagination PaginationRequest,
    2 filter ListPersonalAccessTokensRequest.Filter
ListPersonalAccessTokensRequest.Filter: 3 user_ids string[]
ListPersonalAccessTokensResponse: 1 pagination PaginationResponse,
    2 personal_access_tokens PersonalAccessToken[]
Organization: 1 id string, 2 name string, 3 created_at Timestamp, 4 updated_at Timestamp,
    5 invite_domains InviteDomains, 6 tier OrganizationTier
OrganizationInvite: 1 invite_id string
OrganizationMember: 1 user_id string, 2 role OrganizationRole, 3 member_since Timestamp,
    4 avatar_url string, 5 full_name string, 6 email string, 7 status UserStatus, 8 login_provider string
PaginationRequest: 1 page_size int32, 2 token string
PaginationResponse: 1 next_token string
PersonalAccessToken: 1 id string, 2 user_id string, 3 description string, 4 creator Subject,
    5 created_at Timestamp, 6 expires_at Timestamp, 7 last_used Timestamp, 8 read_only bool
SetRoleRequest: 1 organization_id string, 2 user_id string, 3 role OrganizationRole
SetRoleResponse:
Subject: 1 id string, 2 principal Principal
UpdateOrganizationRequest: 1 organization_id string, 2 name string?, 3 invite_domains InviteDomains?
UpdateOrganizationResponse: 1 organization Organization
User: 1 id string, 2 organization_id string, 3 name string, 4 avatar_url string, 5 created_at Timestamp,
    6 status UserStatus, 7 email string
"""

ENUMS = """\
CountResponseRelation: 0 COUNT_RESPONSE_RELATION_UNSPECIFIED, 1 COUNT_RESPONSE_RELATION_EQ,
    2 COUNT_RESPONSE_RELATION_GTE
ListMembersRequest.SortField: 0 SORT_FIELD_UNSPECIFIED, 1 SORT_FIELD_NAME, 2 SORT_FIELD_DATE_JOINED
LoginProviderKind: 0 LOGIN_PROVIDER_KIND_UNSPECIFIED, 1 LOGIN_PROVIDER_KIND_SSO,
    2 LOGIN_PROVIDER_KIND_GITHUB, 3 LOGIN_PROVIDER_KIND_GOOGLE, 4 LOGIN_PROVIDER_KIND_MAGICLINK
OrganizationRole: 0 ORGANIZATION_ROLE_UNSPECIFIED, 1 ORGANIZATION_ROLE_ADMIN, 2 ORGANIZATION_ROLE_MEMBER
OrganizationTier: 0 ORGANIZATION_TIER_UNSPECIFIED, 1 ORGANIZATION_TIER_FREE,
    2 ORGANIZATION_TIER_ENTERPRISE, 3 ORGANIZATION_TIER_CORE, 4 ORGANIZATION_TIER_FREE_ONA
Principal: 0 PRINCIPAL_UNSPECIFIED, 1 PRINCIPAL_ACCOUNT, 2 PRINCIPAL_USER, 3 PRINCIPAL_RUNNER,
    4 PRINCIPAL_ENVIRONMENT, 5 PRINCIPAL_SERVICE_ACCOUNT, 6 PRINCIPAL_RUNNER_MANAGER
SortOrder: 0 SORT_ORDER_UNSPECIFIED, 1 SORT_ORDER_ASC, 2 SORT_ORDER_DESC
UserStatus: 0 USER_STATUS_UNSPECIFIED, 1 USER_STATUS_ACTIVE, 2 USER_STATUS_SUSPENDED, 3 USER_STATUS_LEFT
"""

READS = """
GetOrganization ListMembers GetOrganizationInviteSummary GetAccount ListJoinableOrganizations
GetAuthenticatedIdentity GetAuthenticatedUser GetUser GetPersonalAccessToken ListPersonalAccessTokens
"""

OTHERS = """
CreateOrganization UpdateOrganization DeleteOrganization JoinOrganization LeaveOrganization SetRole
CreateOrganizationInvite GetOrganizationInvite CreatePersonalAccessToken DeletePersonalAccessToken
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileDescriptorProto]:
    """Every file of proto/ and third_party/proto, compiled from source, by its path."""
    image = tmp_path_factory.mktemp("contract") / "image.binpb"
    buf = Path(sys.executable).with_name("buf")
    subprocess.run([buf, "build", "--as-file-descriptor-set", "-o", image], cwd=ROOT, check=True)
    return {file.name: file for file in FileDescriptorSet.FromString(image.read_bytes()).file}


def of_gitpod(compiled: dict[str, FileDescriptorProto]) -> list[FileDescriptorProto]:
    return [file for file in compiled.values() if file.package == "gitpod.v1"]


def table(text: str) -> dict[str, set[str]]:
    """`Name: entry, entry` by line; indented lines continue."""
    rows = text.strip().replace("\n    ", " ").split("\n")
    pairs = (row.split(":") for row in rows)
    return {name: {entry.strip() for entry in entries.split(",") if entry.strip()} for name, entries in pairs}


def messages(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """Messages of a file, the nested too, each by its name within the package."""
    waiting = [(message.name, message) for message in file.message_type]
    for name, message in waiting:
        yield name, message
        waiting += [(f"{name}.{nested.name}", nested) for nested in message.nested_type]


def enums(file: FileDescriptorProto) -> Iterator[tuple[str, EnumDescriptorProto]]:
    yield from ((enum.name, enum) for enum in file.enum_type)
    for name, message in messages(file):
        yield from ((f"{name}.{enum.name}", enum) for enum in message.enum_type)


def entry(field: FieldDescriptorProto) -> str:
    scalar = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    named = field.type_name.removeprefix(".gitpod.v1.").removeprefix(".google.protobuf.")
    many = "[]" if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    return f"{field.number} {field.name} {named or scalar}{many}{'?' if field.proto3_optional else ''}"


def test_every_message_has_gitpods_fields(compiled: dict[str, FileDescriptorProto]) -> None:
    ours = {
        name: {entry(field) for field in message.field}
        for file in of_gitpod(compiled)
        for name, message in messages(file)
    }

    assert ours == table(MESSAGES)


def test_every_enum_has_gitpods_values(compiled: dict[str, FileDescriptorProto]) -> None:
    ours = {
        name: {f"{value.number} {value.name}" for value in enum.value}
        for file in of_gitpod(compiled)
        for name, enum in enums(file)
    }

    assert ours == table(ENUMS)


def test_the_two_ways_to_join_are_one_choice(compiled: dict[str, FileDescriptorProto]) -> None:
    join = dict(messages(compiled["gitpod/v1/organization.proto"]))["JoinOrganizationRequest"]

    assert [oneof.name for oneof in join.oneof_decl] == ["join_id"]
    assert [(field.HasField("oneof_index"), field.oneof_index) for field in join.field] == [(True, 0), (True, 0)]


def test_only_what_gitpod_opens_to_get_is_open_to_get(compiled: dict[str, FileDescriptorProto]) -> None:
    levels = {
        method.name: method.options.idempotency_level
        for file in of_gitpod(compiled)
        for service in file.service
        for method in service.method
    }

    reads = dict.fromkeys(READS.split(), MethodOptions.NO_SIDE_EFFECTS)
    others = dict.fromkeys(OTHERS.split(), MethodOptions.IDEMPOTENCY_UNKNOWN)
    assert levels == reads | others


def test_every_method_has_messages_of_its_own_name(compiled: dict[str, FileDescriptorProto]) -> None:
    for file in of_gitpod(compiled):
        for method in (method for service in file.service for method in service.method):
            assert method.input_type == f".gitpod.v1.{method.name}Request"
            assert method.output_type == f".gitpod.v1.{method.name}Response"
            assert (method.client_streaming, method.server_streaming) == (False, False)


def uncommented(file: FileDescriptorProto) -> list[str]:
    """Names of what has no comment before it: package, services, methods, messages, fields, oneofs, enums, values."""
    commented = {
        tuple(location.path) for location in file.source_code_info.location if location.leading_comments.strip()
    }
    return [name for path, name in parts(file) if path not in commented]


def parts(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Everything in a file that wants a comment, by the path that SourceCodeInfo gives it."""
    yield (2,), f"package in {file.name}"
    for i, message in enumerate(file.message_type):
        yield from message_parts((4, i), message)
    for i, enum in enumerate(file.enum_type):
        yield from enum_parts((5, i), enum)
    for i, service in enumerate(file.service):
        yield (6, i), service.name
        for j, method in enumerate(service.method):
            yield (6, i, 2, j), method.name


def message_parts(path: tuple[int, ...], message: DescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    if message.options.map_entry:
        return
    yield path, message.name
    for i, field in enumerate(message.field):
        yield (*path, 2, i), f"{message.name}.{field.name}"
    for i, nested in enumerate(message.nested_type):
        yield from message_parts((*path, 3, i), nested)
    for i, enum in enumerate(message.enum_type):
        yield from enum_parts((*path, 4, i), enum)
    optional = {field.oneof_index for field in message.field if field.proto3_optional}
    for i, oneof in enumerate(message.oneof_decl):
        if i not in optional:
            yield (*path, 8, i), f"{message.name}.{oneof.name}"


def enum_parts(path: tuple[int, ...], enum: EnumDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, enum.name
    for i, value in enumerate(enum.value):
        yield (*path, 2, i), value.name


def test_everything_in_our_contracts_has_a_comment(compiled: dict[str, FileDescriptorProto]) -> None:
    ours = [str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto")]

    assert ours
    assert {name: missing for name in ours if (missing := uncommented(compiled[name]))} == {}


def test_the_rules_we_compile_against_are_those_we_check_by(compiled: dict[str, FileDescriptorProto]) -> None:
    wheel = FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())

    assert facts(compiled["buf/validate/validate.proto"]) == facts(wheel)


def facts(file: FileDescriptorProto) -> dict[str, object]:
    """Names, numbers, labels, types, oneofs, defaults and reserved ranges, whatever their order."""
    known: dict[str, object] = {"import": set(file.dependency)}
    known |= {field.name: (field.extendee, field_facts(field, [])) for field in file.extension}
    for name, message in messages(file):
        known[name] = (
            {field_facts(field, [oneof.name for oneof in message.oneof_decl]) for field in message.field},
            {(reserved.start, reserved.end) for reserved in message.reserved_range},
            {(extensions.start, extensions.end) for extensions in message.extension_range},
            set(message.reserved_name),
        )
    for name, enum in enums(file):
        known[name] = (
            {(value.name, value.number) for value in enum.value},
            {(reserved.start, reserved.end) for reserved in enum.reserved_range},
            set(enum.reserved_name),
        )
    return known


def field_facts(field: FieldDescriptorProto, oneofs: list[str]) -> tuple[object, ...]:
    oneof = oneofs[field.oneof_index] if field.HasField("oneof_index") else ""
    type_ = (field.label, field.type, field.type_name)
    return (field.name, field.number, *type_, oneof, field.default_value, field.options.deprecated)


def test_health_is_grpcs_contract(compiled: dict[str, FileDescriptorProto]) -> None:
    file = compiled["grpc/health/v1/health.proto"]
    (service,) = file.service

    assert {(method.name, method.server_streaming) for method in service.method} == {
        ("Check", False),
        ("List", False),
        ("Watch", True),
    }
    assert {name: {(f.number, f.name) for f in message.field} for name, message in messages(file)} == {
        "HealthCheckRequest": {(1, "service")},
        "HealthCheckResponse": {(1, "status")},
        "HealthListRequest": set(),
        "HealthListResponse": {(1, "statuses")},
        "HealthListResponse.StatusesEntry": {(1, "key"), (2, "value")},
    }
    ((_, status),) = enums(file)
    assert [value.name for value in status.value] == ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]
    assert [value.number for value in status.value] == [0, 1, 2, 3]


UUID = "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
CREATE = organization_pb.CreateOrganizationRequest
UPDATE = organization_pb.UpdateOrganizationRequest
JOIN = organization_pb.JoinOrganizationRequest
SET_ROLE = organization_pb.SetRoleRequest
LIST = organization_pb.ListMembersRequest
ROLE = organization_pb.OrganizationRole
PAGE = pagination_pb.PaginationRequest
TOKEN = user_pb.CreatePersonalAccessTokenRequest


def domains(*names: str) -> organization_pb.InviteDomains:
    return organization_pb.InviteDomains(domains=list(names))


@pytest.mark.parametrize(
    "message",
    [
        CREATE(name="abc"),
        CREATE(name="n" * 256),
        UPDATE(organization_id=UUID),
        UPDATE(organization_id=UUID, name="abc", invite_domains=domains()),
        domains("a.io", "mail.example.com"),
        JOIN(join_id=Oneof("invite_id", UUID)),
        SET_ROLE(organization_id=UUID, user_id=UUID, role=ROLE.MEMBER),
        LIST(organization_id=UUID, filter=LIST.Filter(statuses=[user_pb.UserStatus.UNSPECIFIED])),
        PAGE(),
        PAGE(page_size=100, token="t" * 2048),
        TOKEN(user_id=UUID),
        TOKEN(user_id=UUID, valid_for=Duration()),
        TOKEN(user_id=UUID, valid_for=Duration(seconds=7_776_000)),
    ],
)
def test_a_request_within_the_limits_passes(message: Message) -> None:
    protovalidate.validate(message)


@pytest.mark.parametrize(
    ("message", "at"),
    [
        (CREATE(), "name"),
        (CREATE(name="ab"), "name"),
        (CREATE(name="n" * 257), "name"),
        (UPDATE(organization_id="", name="abc"), "organization_id"),
        (UPDATE(organization_id=UUID, name=""), "name"),
        (UPDATE(organization_id=UUID, name="n" * 257), "name"),
        (UPDATE(organization_id=UUID, invite_domains=domains("a.io", "a.io")), "invite_domains.domains"),
        (domains("a.io", "no_domain"), "domains[1]"),
        (domains("a.b"), "domains[0]"),
        (domains(f"{'a.' * 126}io"), "domains[0]"),
        (JOIN(), "join_id"),
        (JOIN(join_id=Oneof("invite_id", "")), "invite_id"),
        (JOIN(join_id=Oneof("organization_id", "no-uuid")), "organization_id"),
        (SET_ROLE(organization_id=UUID, user_id=UUID), "role"),
        (SET_ROLE.from_json(json.dumps({"organizationId": UUID, "userId": UUID, "role": 7})), "role"),
        (SET_ROLE(organization_id=UUID, user_id="no-uuid", role=ROLE.ADMIN), "user_id"),
        (LIST(organization_id=UUID, filter=LIST.Filter(search="s" * 257)), "filter.search"),
        (LIST(organization_id=UUID, filter=LIST.Filter(user_ids=[UUID] * 26)), "filter.user_ids"),
        (LIST(organization_id=UUID, filter=LIST.Filter(email="e" * 321)), "filter.email"),
        (LIST.from_json(json.dumps({"organizationId": UUID, "filter": {"statuses": [9]}})), "filter.statuses[0]"),
        (LIST.from_json(json.dumps({"organizationId": UUID, "filter": {"roles": [9]}})), "filter.roles[0]"),
        (LIST.from_json(json.dumps({"organizationId": UUID, "sort": {"order": 9}})), "sort.order"),
        (PAGE(page_size=101), "page_size"),
        (PAGE(page_size=-1), "page_size"),
        (PAGE(token="t" * 2049), "token"),
        (TOKEN(), "user_id"),
        (TOKEN(user_id=UUID, description="d" * 257), "description"),
        (TOKEN(user_id=UUID, valid_for=Duration(seconds=-1)), "valid_for"),
        (TOKEN(user_id=UUID, valid_for=Duration(seconds=7_776_001)), "valid_for"),
    ],
)
def test_a_request_beyond_a_limit_is_told_the_field(message: Message, at: str) -> None:
    with pytest.raises(protovalidate.ValidationError) as refusal:
        protovalidate.validate(message)

    assert str(refusal.value).startswith(f"{at}: ")


def test_the_generated_code_is_fresh() -> None:
    command = [sys.executable, "tools/generate.py", "--check"]
    check = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")


def test_a_program_with_plain_grpcio_imports_its_stubs() -> None:
    program = (
        "from gitpod.v1 import account_pb2_grpc, identity_pb2_grpc, organization_pb2_grpc, user_pb2_grpc\n"
        "from grpc_health.v1 import health_pb2_grpc\n"
        "import grpc\n"
        "channel = grpc.insecure_channel('localhost:1')\n"
        "print(organization_pb2_grpc.OrganizationServiceStub(channel).JoinOrganization is not None)\n"
        "print(health_pb2_grpc.HealthStub(channel).Check is not None)\n"
    )
    client = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT / "docs",
        env={"PYTHONPATH": str(ROOT / "gen/grpcio")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (client.stdout, client.stderr) == ("True\nTrue\n", "")
