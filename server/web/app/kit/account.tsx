import type { SignedIn } from "../gen/invitations/v1/session_pb";
import { choose, LANGUAGES, type Language, language } from "../language";
import { common } from "../texts/common";
import { Avatar } from "./controls";

/** The account that a person acts as: its name, and its address beside. */
export function Person({ who }: { who: Pick<SignedIn, "name" | "email"> }) {
  return (
    <span class="person">
      <Avatar name={who.name || who.email} />
      <span class="person-text">
        <bdi class="person-name">{who.name || who.email}</bdi>
        {who.name && who.email && <bdi class="person-email">{who.email}</bdi>}
      </span>
    </span>
  );
}

/** Lets the person choose the language; the page is loaded anew in it. */
export function LanguageChoice() {
  return (
    <select
      class="language"
      aria-label={common().language}
      value={language}
      onChange={({ currentTarget }) => choose(currentTarget.value as Language)}
    >
      {Object.entries(LANGUAGES).map(([tag, name]) => (
        <option key={tag} value={tag} lang={tag}>
          {name}
        </option>
      ))}
    </select>
  );
}
