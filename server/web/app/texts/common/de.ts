import type en from "./en";

export default {
  service: "Organization Service",
  loading: "Wird geladen …",
  tryAgain: "Noch einmal versuchen",
  retryIn: "In {time} können Sie es noch einmal versuchen.",
  cancel: "Abbrechen",
  copy: "Kopieren",
  copied: "Kopiert",
  close: "Schließen",
  signIn: "Anmelden",
  signOut: "Abmelden",
  language: "Sprache",
  signedInAs: "Angemeldet als {name}",
  otherAccount: "Anderes Konto verwenden",
  organizationRoles: { admin: "Admin", member: "Mitglied" },
  reasons: {
    UNREACHABLE: "Der Dienst hat nicht geantwortet. Prüfen Sie Ihre Verbindung und versuchen Sie es noch einmal.",
    INVALID_REQUEST: "Der Dienst kann die Eingabe nicht annehmen. Prüfen Sie sie und versuchen Sie es noch einmal.",
    PAGE_TOKEN_INVALID: "Diese Seite der Liste gibt es nicht mehr. Beginnen Sie auf der ersten Seite.",
    REQUEST_TOO_LARGE: "Das ist zu viel auf einmal. Senden Sie es in kleineren Teilen.",
    REQUEST_TOO_SLOW: "Die Anfrage kam zu langsam an. Prüfen Sie Ihre Verbindung und versuchen Sie es noch einmal.",
    CREDENTIALS_MISSING: "Sie sind nicht mehr angemeldet. Melden Sie sich wieder an, um fortzufahren.",
    CREDENTIALS_INVALID: "Sie sind nicht mehr angemeldet. Melden Sie sich wieder an, um fortzufahren.",
    SAME_ORIGIN_REQUIRED:
      "Das geht nur auf den eigenen Seiten des Dienstes. Laden Sie die Seite neu und versuchen Sie es noch einmal.",
    ISSUER_UNAVAILABLE: "Der Anmeldedienst ist gerade nicht erreichbar. Versuchen Sie es gleich noch einmal.",
    SIGN_IN_UNAVAILABLE:
      "Dieser Weg der Anmeldung ist hier nicht eingerichtet. Nehmen Sie einen anderen oder fragen Sie den Betreiber dieses Dienstes.",
    SIGN_IN_CODE_WRONG:
      "Dieser Code stimmt nicht oder gilt nicht mehr. Nehmen Sie den aus der neuesten Mail oder fordern Sie einen anderen an.",
    SIGN_IN_EXPIRED:
      "Diese Anmeldung wurde in einem anderen Browser begonnen, hat länger als zehn Minuten gedauert oder ist schon beendet. Beginnen Sie noch einmal.",
    SIGN_IN_REFUSED:
      "Der Anmeldedienst hat nicht gesagt, wer Sie sind: Die Anmeldung wurde abgebrochen oder abgelehnt. Versuchen Sie es noch einmal.",
    ADMIN_REQUIRED: "Das darf nur ein Admin der Organisation. Fragen Sie einen von ihnen.",
    NOT_YOURS: "Das dürfen Sie nur für sich selbst.",
    ORGANIZATION_NOT_FOUND: "Diese Organisation gibt es nicht, oder Sie sind nicht Mitglied.",
    USER_NOT_FOUND: "Diese Person ist nicht mehr in der Organisation.",
    INVITE_NOT_FOUND:
      "Dieser Einladungslink wurde durch einen neueren ersetzt, abgeschaltet oder ist unvollständig. Bitten Sie einen Admin der Organisation um den aktuellen Link.",
    NO_LIVE_INVITE: "Die Organisation hat gerade keinen Einladungslink.",
    INVITE_KEY_UNAVAILABLE: "Dieser Link kann nicht mehr gezeigt werden. Erzeugen Sie einen neuen.",
    ACCESS_TOKEN_NOT_FOUND: "Dieses Zugangstoken gibt es nicht mehr.",
    LAST_ADMIN: "Eine Organisation behält mindestens einen Admin. Machen Sie zuerst ein anderes Mitglied zum Admin.",
    ORGANIZATION_FULL:
      "Die Organisation ist voll: Sie hat so viele Mitglieder, wie sie haben darf ({limit}). Bitten Sie einen ihrer Admins, Platz zu machen, und versuchen Sie es noch einmal.",
    EMAIL_NOT_VERIFIED: "Dafür braucht es eine Mailadresse, die Ihr Anmeldedienst bestätigt hat.",
    ADDRESS_INVALID: "„{email}“ ist keine Mailadresse. Schreiben Sie eine wie alice@example.com.",
    INVITATION_NOT_FOUND:
      "Diese Einladung gibt es nicht, oder eine neuere hat sie ersetzt. Suchen Sie die neueste Mail, oder bitten Sie um eine neue Einladung.",
    INVITATION_PENDING: "{email} hat schon eine offene Einladung.",
    ALREADY_MEMBER: "{email} ist schon die Adresse eines Mitglieds.",
    INVITATION_ALREADY_ACCEPTED:
      "Die Einladung von {email} wurde schon angenommen. Wenn Sie das waren, sind Sie Mitglied.",
    INVITATION_DECLINED:
      "Die Einladung von {email} wurde abgelehnt. Wer es sich anders überlegt hat, braucht eine neue: Bitten Sie darum.",
    INVITATION_REVOKED: "Die Einladung von {email} wurde zurückgezogen. Es braucht eine neue: Bitten Sie darum.",
    INVITATION_EXPIRED:
      "Die Einladung von {email} ist abgelaufen. Bitten Sie einen Admin der Organisation, sie noch einmal zu senden.",
    INVITATION_WRONG_ACCOUNT:
      "Die Einladung ist für {email}; dieses Konto hat eine andere Adresse. Verwenden Sie das Konto mit jener Adresse, oder öffnen Sie den Link in der Mail.",
    EMAIL_NOT_VERIFIED_FOR_INVITATION:
      "Ihr Anmeldedienst hat {email} nicht bestätigt. Bestätigen Sie die Adresse dort, oder öffnen Sie den Link in der Mail.",
    REDIRECT_NOT_ALLOWED: "Die Adresse, zu der es danach gehen soll, hat der Betreiber dieses Dienstes nicht erlaubt.",
    MAIL_LIMIT: "An {email} gingen in kurzer Zeit zu viele Mails.",
    RATE_LIMITED: "Das war zu viel in kurzer Zeit.",
    ROLE_NOT_FOUND: "Die Rolle „{role}“ gibt es nicht.",
    IDEMPOTENCY_KEY_REUSED:
      "Das wurde schon einmal mit anderen Angaben gesendet. Laden Sie die Seite neu, um den Stand zu sehen.",
    METHOD_NOT_IMPLEMENTED: "Diese Seite und der Dienst passen nicht mehr zusammen. Laden Sie die Seite neu.",
    DEADLINE_PASSED: "Das hat zu lange gedauert, und nichts wurde geändert. Versuchen Sie es noch einmal.",
    OVERLOADED: "Der Dienst hat gerade mehr zu tun, als er kann. Versuchen Sie es gleich noch einmal.",
    STORE_BUSY: "Der Dienst ist beschäftigt. Versuchen Sie es gleich noch einmal.",
    STORE_UNAVAILABLE: "Der Dienst ist gerade nicht verfügbar. Versuchen Sie es gleich noch einmal.",
    OUTCOME_UNKNOWN:
      "Ob das geschehen ist, lässt sich gerade nicht sagen. Versuchen Sie es noch einmal: Es kann nicht zweimal geschehen.",
    CONFLICT:
      "Jemand hat dasselbe zur selben Zeit geändert. Sehen Sie noch einmal nach, und versuchen Sie es dann erneut.",
    INTERNAL:
      "Beim Dienst ist etwas schiefgegangen. Versuchen Sie es noch einmal; wenn es so bleibt, sagen Sie es dem Betreiber.",
  },
} satisfies typeof en;
