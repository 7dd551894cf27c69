// The connect-node twin: `node connect_node_twin.mjs http1|http2` prints its address when it listens. The database
// stands in DATABASE, the contract as a descriptor set (`buf build`) in DESCRIPTORS. Statements run on Node's one thread.
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import Database from "better-sqlite3";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";

const [wire] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(process.env.DESCRIPTORS)));

const db = new Database(process.env.DATABASE, { timeout: 5000 });
const pragmas = ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"];
for (const pragma of [...pragmas, "mmap_size = 268435456"]) {
  db.pragma(pragma);
}
const parts = readFileSync(new URL("statements.sql", import.meta.url), "utf8").split(/^-- name: (\w+)\n/m).slice(1);
const sql = {};
for (let at = 0; at < parts.length; at += 2) {
  sql[parts[at]] = db.prepare(parts[at + 1]);
}

const DAY_MICROS = 86_400_000_000;
const MAIL_LIMIT = 10;
const MAIL_WINDOW_MICROS = 600_000_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const ROLES = { admin: 1, member: 2 };
const STATUSES = { active: 1, left: 3 };
const callerKey = createContextKey(undefined);

const sha256 = (text) => createHash("sha256").update(text).digest();
const linkHash = (inviteId) => sha256(`invite-link\0${inviteId.toLowerCase()}`);
const micros = () => Date.now() * 1000;
const moment = (value) => ({ seconds: BigInt(Math.floor(value / 1e6)), nanos: (value % 1e6) * 1000 });
const provider = (issuer) => issuer.split("://").at(-1);

function refuse(message, code) {
  throw new ConnectError(message, code);
}

function requireUuid(value, field) {
  if (!UUID.test(value)) {
    refuse(`${field} must be a UUID`, Code.InvalidArgument);
  }
}

// Finds the caller of each call by their access token.
const identify = (next) => (request) => {
  const authorization = request.header.get("authorization");
  if (authorization === null || !authorization.startsWith("Bearer ")) {
    refuse("an access token is needed", Code.Unauthenticated);
  }
  const caller = sql.caller.get({ hash: sha256(authorization.slice(7)) });
  const dead = (row) => row.revoked_at !== null || (row.expires_at !== null && row.expires_at <= micros());
  if (caller === undefined || dead(caller)) {
    refuse("the access token isn't valid", Code.Unauthenticated);
  }
  request.contextValues.set(callerKey, caller);
  return next(request);
};

function memberOf(caller, organization) {
  const reaches = caller.organization_id === null || caller.organization_id === organization;
  const member = reaches ? sql.membership.get({ organization, account: caller.id }) : undefined;
  if (member?.status !== "active") {
    refuse("there is no such organization", Code.NotFound);
  }
  return member;
}

function adminOf(caller, organization) {
  if (caller.read_only) {
    refuse("the token may only read", Code.PermissionDenied);
  }
  const member = memberOf(caller, organization);
  if (member.role !== "admin") {
    refuse("only admins may do this", Code.PermissionDenied);
  }
  return member;
}

function summaryOf(inviteId) {
  return sql.summary.get({ hash: linkHash(inviteId) }) ?? refuse("there is no such invite", Code.NotFound);
}

const memberOut = (row) => ({
  userId: row.user_id,
  role: ROLES[row.role],
  memberSince: moment(row.joined_at),
  avatarUrl: row.avatar_url,
  fullName: row.full_name,
  email: row.email,
  status: STATUSES[row.status],
  loginProvider: row.login_provider,
});

const createLink = db.transaction((caller, organization) => {
  const member = adminOf(caller, organization);
  const inviteId = randomUUID();
  sql.put_link.run({ organization, id: randomUUID(), hash: linkHash(inviteId), user: member.user_id, now: micros() });
  return inviteId;
});

const join = db.transaction((caller, inviteId) => {
  const organization = summaryOf(inviteId).id;
  const known = sql.membership.get({ organization, account: caller.id });
  if (known?.status === "active") {
    return known;
  }
  const member = {
    user_id: known?.user_id ?? randomUUID(),
    role: "member",
    status: "active",
    joined_at: micros(),
    full_name: caller.name,
    email: caller.email,
    avatar_url: caller.avatar_url,
    login_provider: provider(caller.issuer),
  };
  if (known) {
    sql.return_member.run({ user: member.user_id, now: member.joined_at });
  } else {
    sql.add_member.run({
      user: member.user_id,
      organization,
      account: caller.id,
      now: member.joined_at,
      name: caller.name,
      name_key: caller.name.toLowerCase(),
      email: caller.email,
      email_key: caller.email.toLowerCase(),
      avatar: caller.avatar_url,
      provider: member.login_provider,
    });
  }
  sql.count_member.run({ organization });
  return member;
});

function page(caller, organization, size, token) {
  const limit = Math.min(size || 25, 100);
  const [afterKey, afterId] = token ? JSON.parse(Buffer.from(token, "base64url").toString()) : ["", ""];
  const own = memberOf(caller, organization);
  const first = token ? [] : [own];
  const room = limit - first.length;
  const rows = sql.members.all({
    organization,
    caller: own.user_id,
    after_key: afterKey,
    after_id: afterId,
    limit: room + 1,
  });
  const members = [...first, ...rows.slice(0, room)];
  if (rows.length <= room) {
    return { members, nextToken: "" };
  }
  const last = room ? [rows[room - 1].name_key, rows[room - 1].user_id] : ["", ""];
  return { members, nextToken: Buffer.from(JSON.stringify(last)).toString("base64url") };
}

const invite = db.transaction((caller, organization, email, role, sendEmail) => {
  const email_key = email.toLowerCase();
  const now = micros();
  adminOf(caller, organization);
  if (sql.member_by_email.get({ organization, email_key })) {
    refuse("somebody with this address is a member", Code.AlreadyExists);
  }
  const pending = sql.pending_invitation.get({ organization, email_key });
  if (pending && pending.expires_at > now) {
    refuse("the address has a pending invitation", Code.AlreadyExists);
  }
  const since = now - MAIL_WINDOW_MICROS;
  if (sendEmail && sql.count_mails.get({ email_key, since })["count(*)"] >= MAIL_LIMIT) {
    refuse("too many mails to this address", Code.ResourceExhausted);
  }
  if (pending) {
    sql.expire_invitation.run({ id: pending.id, now });
  }
  const token = `orgsvcinv_${randomBytes(32).toString("base64url")}`;
  const id = randomUUID();
  const expires = now + 30 * DAY_MICROS;
  sql.add_invitation.run({
    id,
    organization,
    email,
    email_key,
    role,
    inviter: caller.id,
    inviter_name: caller.name,
    inviter_key: caller.name.toLowerCase(),
    delivery: sendEmail ? "queued" : "not_requested",
    hash: sha256(token),
    now,
    expires,
  });
  if (sendEmail) {
    sql.queue_mail.run({ id: randomUUID(), organization, invitation: id, email_key, now });
  }
  const invitation = {
    id,
    organizationId: organization,
    email,
    role,
    status: 1,
    inviterAccountId: caller.id,
    inviterName: caller.name,
    createdAt: moment(now),
    updatedAt: moment(now),
    expiresAt: moment(expires),
    publicMetadata: {},
    privateMetadata: {},
    deliveryState: sendEmail ? 2 : 1,
  };
  return { invitation, token: sendEmail ? "" : token };
});

function routes(router) {
  router.service(registry.getService("gitpod.v1.OrganizationService"), {
    getOrganizationInviteSummary({ inviteId }) {
      requireUuid(inviteId, "invite_id");
      const row = summaryOf(inviteId);
      return { organizationId: row.id, organizationName: row.name, organizationMemberCount: row.member_count };
    },
    createOrganizationInvite({ organizationId }, { values }) {
      requireUuid(organizationId, "organization_id");
      return { invite: { inviteId: createLink.immediate(values.get(callerKey), organizationId) } };
    },
    joinOrganization({ joinId }, { values }) {
      requireUuid(joinId.value, "invite_id");
      const caller = values.get(callerKey);
      if (caller.user_id !== null || caller.read_only) {
        refuse("this needs a token of the account that may write", Code.PermissionDenied);
      }
      return { member: memberOut(join.immediate(caller, joinId.value)) };
    },
    listMembers({ organizationId, pagination }, { values }) {
      requireUuid(organizationId, "organization_id");
      const found = page(values.get(callerKey), organizationId, pagination?.pageSize, pagination?.token);
      return { pagination: { nextToken: found.nextToken }, members: found.members.map(memberOut) };
    },
  });
  router.service(registry.getService("invitations.v1.InvitationService"), {
    createInvitation({ organizationId, invitation }, { values }) {
      requireUuid(organizationId, "organization_id");
      if (invitation.email.length < 3 || invitation.email.length > 320 || !invitation.email.includes("@")) {
        refuse("email must be an address", Code.InvalidArgument);
      }
      const role = invitation.role || "member";
      const caller = values.get(callerKey);
      return invite.immediate(caller, organizationId, invitation.email, role, invitation.sendEmail ?? true);
    },
  });
}

const handler = connectNodeAdapter({ routes, interceptors: [identify] });
const server = wire === "http2" ? createHttp2Server(handler) : createServer(handler);
// Node closes connections that it finds idle after having been busy for longer than this itself; 5 s by default.
server.keepAliveTimeout = 75_000;
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
