// A page of somebody's web application that calls the service. browser.py bundles it; tests call what it puts into
// `window`. Both functions answer with plain values, which the tests hold against what they should be.

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { OrganizationRole, OrganizationService } from "../../server/web/app/gen/gitpod/v1/organization_pb";
import { ErrorInfoSchema } from "../../server/web/app/gen/google/rpc/error_details_pb";

const TRANSPORTS = {
  "Connect with JSON": (options) => createConnectTransport({ ...options, useHttpGet: true }),
  "Connect with binary messages": (options) =>
    createConnectTransport({ ...options, useHttpGet: true, useBinaryFormat: true }),
  "gRPC-Web": createGrpcWebTransport,
};

/** Gives a client that calls with a token, or without one. */
function clientOf({ url, protocol }, token) {
  const withToken = (next) => (request) => {
    if (token) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return createClient(OrganizationService, TRANSPORTS[protocol]({ baseUrl: url, interceptors: [withToken] }));
}

/** Waits for a call that must fail, and tells what the page can read of its error. */
async function refusalOf(call) {
  try {
    await call;
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const [info] = error.findDetails(ErrorInfoSchema);
    return {
      code: Code[error.code],
      message: error.rawMessage,
      reason: info?.reason ?? null,
      domain: info?.domain ?? null,
      requestId: error.metadata.get("x-request-id"),
      shouldRetry: error.metadata.get("x-should-retry"),
    };
  }
  return null;
}

/** An organization is made, a second person joins by its link, and the link is replaced. */
window.liveTogether = async ({ ada, bob, ...service }) => {
  const [asAda, asBob, asNobody] = [ada, bob, null].map((token) => clientOf(service, token));

  let requestId = null;
  const { organization, member: first } = await asAda.createOrganization(
    { name: "Acme", joinOrganization: true },
    {
      // Beside what the transports send themselves, these headers need to be allowed.
      timeoutMs: 20_000,
      headers: { "x-request-id": "made-by-the-page" },
      onHeader: (headers) => {
        requestId = headers.get("x-request-id");
      },
    },
  );
  const organizationId = organization.id;
  const { invite } = await asAda.createOrganizationInvite({ organizationId });
  const summary = await asNobody.getOrganizationInviteSummary({ inviteId: invite.inviteId });

  const join = (inviteId) => asBob.joinOrganization({ joinId: { case: "inviteId", value: inviteId } });
  const { member: second } = await join(invite.inviteId);
  const { members } = await asAda.listMembers({ organizationId });

  const { invite: replaced } = await asAda.createOrganizationInvite({ organizationId });
  const oldLink = await refusalOf(join(invite.inviteId));
  const oldSummary = await refusalOf(asNobody.getOrganizationInviteSummary({ inviteId: invite.inviteId }));
  const notAdmin = await refusalOf(asBob.createOrganizationInvite({ organizationId }));
  const withoutToken = await refusalOf(asNobody.getOrganization({ organizationId }));
  const { organization: read } = await asBob.getOrganization({ organizationId });

  return {
    requestId,
    organization: { id: organizationId, name: organization.name },
    firstUserId: first.userId,
    invites: [invite.inviteId, replaced.inviteId],
    summary: {
      id: summary.organizationId,
      name: summary.organizationName,
      members: summary.organizationMemberCount,
    },
    secondUserId: second.userId,
    members: members.map(({ userId, fullName, role }) => ({ userId, fullName, role: OrganizationRole[role] })),
    read: { id: read.id, name: read.name },
    refusals: { oldLink, oldSummary, notAdmin, withoutToken },
  };
};

/** Tries everything that a page of a strange origin could, even one that got hold of an admin's token. */
window.intrude = async ({ url, ada, organizationId, userId, inviteId }) => {
  const refusals = {};
  for (const protocol of Object.keys(TRANSPORTS)) {
    const [asAda, asNobody] = [ada, null].map((token) => clientOf({ url, protocol }, token));
    const role = OrganizationRole.ADMIN;
    refusals[protocol] = [
      await refusalOf(asAda.createOrganization({ name: "Intruded", joinOrganization: true })),
      await refusalOf(asAda.createOrganizationInvite({ organizationId })),
      await refusalOf(asAda.setRole({ organizationId, userId, role })),
      await refusalOf(asAda.deleteOrganization({ organizationId })),
      await refusalOf(asAda.getOrganization({ organizationId })),
      // Over Connect this one goes out without a preflight and is answered, but the page may not read the answer.
      await refusalOf(asNobody.getOrganizationInviteSummary({ inviteId })),
    ];
  }

  // What browsers send to anybody without asking first. The answer is closed to the page; the sending isn't.
  const path = `${url}/gitpod.v1.OrganizationService/DeleteOrganization`;
  const body = JSON.stringify({ organizationId });
  const headers = { authorization: `Bearer ${ada}` };
  const blind = await fetch(path, { method: "POST", mode: "no-cors", credentials: "include", headers, body });
  const beacon = navigator.sendBeacon(path, body);
  return { refusals, blind: { type: blind.type, status: blind.status }, beacon };
};
