// The link of a mailed invitation. What opens it stands in the fragment, which browsers send to no server. From there it
// goes out of the address bar at once, and is kept for this tab alone: beside the entry in the history, so that going
// back finds the link that was open then, and in the tab's storage, so that it survives signing in.

const KEPT = "invitation";

export type Link = { case: "token"; value: string } | { case: "invitationId"; value: string };

/** Gives what a fragment names, null where it names nothing that could be. */
function parsed(fragment: string): Link | null {
  const id = /^id=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.exec(fragment)?.[1];
  if (id) return { case: "invitationId", value: id };
  return /^[\x21-\x7e]{1,256}$/.test(fragment) && !fragment.startsWith("id=")
    ? { case: "token", value: fragment }
    : null;
}

function stored(given: string): string {
  try {
    if (given) sessionStorage.setItem(KEPT, given);
    return given || (sessionStorage.getItem(KEPT) ?? "");
  } catch {
    return given; // Storage may be forbidden; then signing in loses the link, and the page asks to open it again.
  }
}

/** Takes the link out of the address bar. Gives "none" where there is none, and "incomplete" where it can't be one. */
export function takeLink(): Link | "none" | "incomplete" {
  const beside: unknown = history.state?.[KEPT];
  const fragment = stored(location.hash.slice(1) || (typeof beside === "string" ? beside : ""));
  if (!fragment) return "none";
  history.replaceState({ [KEPT]: fragment }, "", location.pathname + location.search);
  return parsed(fragment) ?? "incomplete";
}
