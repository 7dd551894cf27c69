/** How many invitations one request may hold, by the contract (invitation.proto). */
export const BATCH = 1000;

/**
 * Reads addresses out of what was pasted: divided by lines, commas, semicolons or tabs, each alone or as
 * `Name <address>`. Whether they are addresses is for the service to say.
 */
export function addressesIn(text: string): string[] {
  return text
    .split(/[\n\r,;\t]+/)
    .map((part) => (/<([^<>]*)>\s*$/.exec(part)?.[1] ?? part).trim())
    .filter((part) => part !== "");
}
