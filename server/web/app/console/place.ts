// Where the person is in the console. The path says which view, the query what a list is narrowed to, and the history's
// state which page of it. Links are plain <a>; those that stay within the console are taken over here.

import { useEffect, useState } from "preact/hooks";
import { ROOT } from "../api";

const BASE = new URL("console", ROOT).pathname;

const ORGANIZATION = /^\/organizations\/([^/]+)(?:\/(members|invitations\/new|invitations|link|settings))?$/;

export type OrganizationView = "members" | "invitations" | "invitations/new" | "link" | "settings";

export type View =
  | { name: "organizations" | "tokens" | "nowhere" }
  | { name: OrganizationView; organizationId: string };

export interface Place {
  path: string;
  query: URLSearchParams;
  /** The tokens of the pages of a list from the second to the one that is shown. */
  trail: readonly string[];
}

export const ORGANIZATIONS = BASE;
export const TOKENS = `${BASE}/tokens`;

export function organizationPath(organizationId: string, view: OrganizationView = "members"): string {
  return `${BASE}/organizations/${organizationId}/${view}`;
}

export function viewAt(path: string): View {
  const below = path.slice(BASE.length).replace(/\/$/, "");
  if (below === "") return { name: "organizations" };
  if (below === "/tokens") return { name: "tokens" };
  const [, organizationId, name = "members"] = ORGANIZATION.exec(below) ?? [];
  return organizationId ? { name: name as OrganizationView, organizationId } : { name: "nowhere" };
}

function here(): Place {
  const trail: unknown = history.state?.trail;
  return {
    path: location.pathname,
    query: new URLSearchParams(location.search),
    trail: Array.isArray(trail) ? trail : [],
  };
}

let place = here();
let arrivals = 0;
const watchers = new Set<(place: Place) => void>();

function arrive(): void {
  const before = place;
  place = here();
  if (place.path !== before.path) arrivals += 1;
  for (const watch of watchers) watch(place);
}

interface Going {
  /** Whether going back leads past where the person is now. */
  instead?: boolean;
  trail?: readonly string[];
}

export function go(url: string, { instead = false, trail = [] }: Going = {}): void {
  const leaves = new URL(url, location.href).pathname !== location.pathname;
  history[instead ? "replaceState" : "pushState"]({ trail }, "", url);
  arrive();
  if (leaves) scrollTo(0, 0);
}

/** Goes to another page of the list that is shown. */
export function turnTo(trail: readonly string[], { instead = false } = {}): void {
  go(location.pathname + location.search, { instead, trail });
}

/** Narrows or orders the list that is shown, from its first page on; empty values are left out of the address. */
export function narrow(changes: Readonly<Record<string, string>>, going: Going = {}): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const asked = query.toString();
  go(location.pathname + (asked && `?${asked}`), going);
}

export function usePlace(): Place {
  const [now, setNow] = useState(place);
  useEffect(() => {
    watchers.add(setNow);
    setNow(place);
    return () => {
      watchers.delete(setNow);
    };
  }, []);
  return now;
}

/** Gives how often the person went from one view to another: what appears after that may take the focus. */
export const timesMoved = (): number => arrivals;

function follow(event: MouseEvent): void {
  const special = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (special || event.defaultPrevented || !link || link.target || link.hasAttribute("download") || link.hash) return;
  const within = link.pathname === BASE || link.pathname.startsWith(`${BASE}/`);
  if (link.origin !== location.origin || !within) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

addEventListener("popstate", arrive);
document.addEventListener("click", follow);
