// Who is signed in: asked once when a page opens, and kept for all its parts.

import { create } from "@bufbuild/protobuf";
import { useEffect, useState } from "preact/hooks";
import { type Refusal, ROOT, refusalOf, sessions } from "./api";
import { type SignedIn, type SignInMethods, SignInMethodsSchema } from "./gen/invitations/v1/session_pb";

export interface Who {
  /** Who is signed in; undefined for nobody. */
  signedIn: SignedIn | undefined;
  /** The ways to sign in that there are. */
  methods: SignInMethods;
}

export type Session = { state: "loading" } | { state: "failed"; refusal: Refusal } | ({ state: "ready" } & Who);

let session: Session = { state: "loading" };
let asked: Promise<Who> | null = null;
const watchers = new Set<(session: Session) => void>();

function tell(now: Session): void {
  session = now;
  for (const watch of watchers) watch(now);
}

async function ask(): Promise<Who> {
  try {
    const { signedIn, methods } = await sessions.getSession({});
    const who = { signedIn, methods: methods ?? create(SignInMethodsSchema) };
    if (signedIn) keepSignedOut(false);
    tell({ state: "ready", ...who });
    return who;
  } catch (thrown) {
    asked = null;
    tell({ state: "failed", refusal: refusalOf(thrown) });
    throw thrown;
  }
}

/** Tells who is signed in; asks the service the first time, and again after it couldn't tell. */
export function currentSession(): Promise<Who> {
  asked ??= ask();
  return asked;
}

/** Asks anew who is signed in. */
export function refreshSession(): Promise<Who> {
  asked = null;
  return currentSession();
}

/** The same for a component, which is drawn again when it changes. */
export function useSession(): Session {
  const [now, setNow] = useState(session);
  useEffect(() => {
    watchers.add(setNow);
    setNow(session);
    // What goes wrong is told as a state.
    currentSession().catch(() => {});
    return () => {
      watchers.delete(setNow);
    };
  }, []);
  return now;
}

/** Gives a path of this service (`/console`) as an address: the service may stand below a path of its host. */
export const urlOf = (path: string): string => new URL(`.${path}`, ROOT).href;

/** Gives the address of the page that signs in and comes back to where the person is. */
export function signInUrl(): string {
  const here = location.pathname.slice(ROOT.pathname.length - 1) + location.search;
  return urlOf(`/sign-in?${new URLSearchParams({ return: here })}`);
}

const SIGNED_OUT = "signed-out";

/** Tells whether somebody signed out in this tab: then the provider, which still knows them, has to ask who comes. */
export function signedOutHere(): boolean {
  try {
    return sessionStorage.getItem(SIGNED_OUT) !== null;
  } catch {
    return false;
  }
}

function keepSignedOut(kept: boolean): void {
  try {
    if (kept) sessionStorage.setItem(SIGNED_OUT, "");
    else sessionStorage.removeItem(SIGNED_OUT);
  } catch {
    // Storage may be forbidden; then the provider decides by itself whether it asks.
  }
}

async function endSession(everywhere: boolean): Promise<void> {
  await sessions.signOut({ everywhere });
  keepSignedOut(true);
}

/** Signs out, here or everywhere, and loads the page anew, as nobody. */
export async function signOut({ everywhere = false } = {}): Promise<void> {
  await endSession(everywhere);
  location.reload();
}

/** Signs out and goes to sign in as somebody else, to come back to where the person is. */
export async function changeAccount(): Promise<void> {
  await endSession(false);
  location.assign(signInUrl());
}
