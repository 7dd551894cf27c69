// Who is signed in: asked once when a page opens, and kept for all its parts.

import { useEffect, useState } from "preact/hooks";
import { type Refusal, ROOT, refusalOf, sessions } from "./api";
import type { SignedIn, SignInMethods } from "./gen/invitations/v1/session_pb";

export type Session =
  | { state: "loading" }
  | { state: "failed"; refusal: Refusal }
  | { state: "ready"; signedIn: SignedIn | undefined; methods: SignInMethods | undefined };

let session: Session = { state: "loading" };
const watchers = new Set<(session: Session) => void>();

function tell(now: Session): void {
  session = now;
  for (const watch of watchers) watch(now);
}

/** Asks anew who is signed in. */
export async function refreshSession(): Promise<void> {
  try {
    const { signedIn, methods } = await sessions.getSession({});
    tell({ state: "ready", signedIn, methods });
  } catch (thrown) {
    tell({ state: "failed", refusal: refusalOf(thrown) });
  }
}

export function useSession(): Session {
  const [now, setNow] = useState(session);
  useEffect(() => {
    watchers.add(setNow);
    setNow(session);
    return () => {
      watchers.delete(setNow);
    };
  }, []);
  return now;
}

/** Gives the address of the page that signs in and comes back to where the person is. */
export function signInUrl(): string {
  const url = new URL("sign-in", ROOT);
  url.searchParams.set("return", location.pathname + location.search);
  return url.href;
}

/** Signs out and loads the page anew, as nobody. */
export async function signOut(): Promise<void> {
  await sessions.signOut({});
  location.reload();
}

void refreshSession();
