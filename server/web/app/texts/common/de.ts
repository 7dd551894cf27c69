import type en from "./en";

export default {
  loading: "Wird geladen …",
  tryAgain: "Noch einmal versuchen",
  retryIn: "In {time} können Sie es noch einmal versuchen.",
  cancel: "Abbrechen",
  close: "Schließen",
  signIn: "Anmelden",
  signOut: "Abmelden",
  language: "Sprache",
  signedInAs: "Angemeldet als {name}",
  organizationRoles: { admin: "Admin", member: "Mitglied" },
  reasons: {
    UNREACHABLE: "Der Dienst hat nicht geantwortet. Prüfen Sie Ihre Verbindung und versuchen Sie es noch einmal.",
  },
} satisfies typeof en;
