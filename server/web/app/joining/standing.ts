// Who the person is, and whether they are in the organization already.

import { useEffect } from "preact/hooks";
import { accounts, isSignedOut, refusalOf } from "../api";
import { currentSession, refreshSession, urlOf, type Who } from "../session";

export interface Standing extends Who {
  member: boolean;
}

export async function standingIn(organizationId: string): Promise<Standing> {
  const who = await currentSession();
  if (!who.signedIn) return { ...who, member: false };
  try {
    const { account } = await accounts.getAccount({});
    const member = account?.memberships.some((membership) => membership.organizationId === organizationId) ?? false;
    return { ...who, member };
  } catch (thrown) {
    // The session ended between the two questions.
    if (!isSignedOut(refusalOf(thrown))) throw thrown;
    return { ...(await refreshSession()), member: false };
  }
}

/** Gives where an organization is shown to its members. */
export const consoleUrl = (organizationId: string): string => urlOf(`/console/organizations/${organizationId}`);

/** Calls `changed` when the person comes back to this tab as somebody else: other tabs share the session. */
export function useOtherAccount(accountId: string | undefined, changed: () => void): void {
  useEffect(() => {
    const look = async () => {
      if (document.visibilityState !== "visible") return;
      const { signedIn } = await refreshSession();
      if (signedIn?.accountId !== accountId) changed();
    };
    // Who can't be asked now is asked by whatever the person does next.
    const watch = () => void look().catch(() => {});
    document.addEventListener("visibilitychange", watch);
    return () => document.removeEventListener("visibilitychange", watch);
  }, [accountId, changed]);
}
