// The link of a mailed invitation. What opens it stands in the fragment, which browsers send to no server. From there it
// goes out of the address bar at once, and is kept for this tab alone: beside the entry in the history, so that going
// back finds the link that was open then, and in the tab's storage, so that it survives signing in.

const KEPT = "invitation";

export type Link = { case: "token"; value: string } | { case: "invitationId"; value: string };

function stored(given: string): string {
  try {
    if (given) sessionStorage.setItem(KEPT, given);
    return given || (sessionStorage.getItem(KEPT) ?? "");
  } catch {
    return given; // Storage may be forbidden; then signing in loses the link, and the page asks to open it again.
  }
}

/** Takes the link out of the address bar, and gives it; null where there is none. Whether it is one, the service says. */
export function takeLink(): Link | null {
  const beside: unknown = history.state?.[KEPT];
  const fragment = stored(location.hash.slice(1) || (typeof beside === "string" ? beside : ""));
  if (!fragment) return null;
  history.replaceState({ [KEPT]: fragment }, "", location.pathname + location.search);
  const byId = fragment.startsWith("id=");
  return byId ? { case: "invitationId", value: fragment.slice(3) } : { case: "token", value: fragment };
}
