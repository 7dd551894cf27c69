export default {
  loading: "Loading …",
  tryAgain: "Try again",
  retryIn: "You can try again in {time}.",
  cancel: "Cancel",
  close: "Close",
  signIn: "Sign in",
  signOut: "Sign out",
  language: "Language",
  signedInAs: "Signed in as {name}",
  organizationRoles: { admin: "Admin", member: "Member" },
  /** By the reasons of the service's catalog (docs/errors.md); the holes are those of its sentences. */
  reasons: {
    UNREACHABLE: "The service didn't answer. Check your connection and try again.",
  },
};
