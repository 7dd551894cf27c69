// The one way from the pages to the service: its own contract over Connect with JSON. Whatever a call throws is told by
// `refusalOf`; what people read about it stands in texts/common.

import { type CallOptions, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AccountService } from "./gen/gitpod/v1/account_pb";
import { OrganizationService } from "./gen/gitpod/v1/organization_pb";
import { UserService } from "./gen/gitpod/v1/user_pb";
import { ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb";
import { InvitationService } from "./gen/invitations/v1/invitation_pb";
import { InviteLinkService } from "./gen/invitations/v1/invite_link_pb";
import { SessionService } from "./gen/invitations/v1/session_pb";

/** Where the service is: this script is one of its `assets/`. Ends with a slash. */
export const ROOT = new URL("../", import.meta.url);

/** The session's cookie counts only beside this header, which no page of another origin can send. */
const inSession: Interceptor = (next) => (request) => {
  request.header.set("x-session", "cookie");
  return next(request);
};

let signedOut: (() => void) | null = null;

/** Says what a page does where its session has ended meanwhile. Without it the call is refused like any other. */
export function onSignedOut(leave: () => void): void {
  signedOut = leave;
}

const noticingTheEnd: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (thrown) {
    if (!signedOut || !(thrown instanceof ConnectError) || thrown.code !== Code.Unauthenticated) throw thrown;
    signedOut();
    // The page is being left: whoever waits for the answer has nothing more to show.
    return new Promise(() => {});
  }
};

const transport = createConnectTransport({
  baseUrl: ROOT.href.replace(/\/$/, ""),
  interceptors: [noticingTheEnd, inSession],
  defaultTimeoutMs: 40_000,
});

export const sessions = createClient(SessionService, transport);
export const accounts = createClient(AccountService, transport);
export const organizations = createClient(OrganizationService, transport);
export const users = createClient(UserService, transport);
export const invitations = createClient(InvitationService, transport);
export const inviteLinks = createClient(InviteLinkService, transport);

/** Why a call didn't do what was asked. */
export interface Refusal {
  /** Reason of the service's catalog (docs/errors.md); UNREACHABLE where there was no answer of the service's. */
  reason: string;
  /** Facts of this case, by the names that the catalog uses. */
  metadata: Readonly<Record<string, string>>;
  /** The service's own sentence; English. Empty where there is none. */
  sentence: string;
  /** How long to wait before trying again; null where the service doesn't say. */
  retryAfterSeconds: number | null;
  /** Whether it may have been done after all, or trying the same again may help. */
  passing: boolean;
}

const PASSING: ReadonlySet<Code> = new Set([
  Code.Aborted,
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unavailable,
  Code.Unknown,
]);

/** Tells what was thrown by a call. A mistake of the pages' own, which is no answer of the service, is thrown on. */
export function refusalOf(thrown: unknown): Refusal {
  if (!(thrown instanceof ConnectError)) throw thrown;
  const info = thrown.findDetails(ErrorInfoSchema)[0];
  const delay = thrown.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    reason: info?.reason ?? "UNREACHABLE",
    metadata: info?.metadata ?? {},
    sentence: info ? thrown.rawMessage : "",
    retryAfterSeconds: delay ? Number(delay.seconds) + delay.nanos / 1e9 : null,
    passing: PASSING.has(thrown.code),
  };
}

/** The keys of what the service hasn't answered for good yet, by what is asked. */
const keys = new Map<string, string>();

const withoutBigInts = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}` : value);

/**
 * Sends a request that changes something under an Idempotency-Key. Until the service has answered for good the same
 * request goes out under the same key, so whoever tries again after a lost answer does it once.
 */
export async function once<Request, Response>(
  method: string,
  call: (request: Request, options: CallOptions) => Promise<Response>,
  request: Request,
): Promise<Response> {
  const what = JSON.stringify([method, request], withoutBigInts);
  const key = keys.get(what) ?? newKey();
  keys.set(what, key);
  try {
    const response = await call(request, { headers: { "idempotency-key": key } });
    keys.delete(what);
    return response;
  } catch (thrown) {
    if (!refusalOf(thrown).passing) keys.delete(what);
    throw thrown;
  }
}

function newKey(): string {
  // crypto.randomUUID isn't there where a page comes over plain HTTP.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether the call was refused because nobody is signed in, or not any more. */
export const isSignedOut = ({ reason }: Refusal): boolean =>
  reason === "CREDENTIALS_MISSING" || reason === "CREDENTIALS_INVALID";
