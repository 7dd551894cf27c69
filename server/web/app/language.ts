// The language of the pages: the person's choice, or the first of the browser's languages that we have.

export const LANGUAGES = { en: "English", de: "Deutsch", es: "Español", zh: "中文" } as const;

export type Language = keyof typeof LANGUAGES;

const KEPT = "language";

const isLanguage = (tag: string | null | undefined): tag is Language => Object.hasOwn(LANGUAGES, tag ?? "");

function kept(): string | null {
  try {
    const asked = new URLSearchParams(location.search).get("lang");
    if (isLanguage(asked)) localStorage.setItem(KEPT, asked);
    return asked ?? localStorage.getItem(KEPT);
  } catch {
    return null; // Storage may be forbidden; then the browser's languages decide.
  }
}

function chosen(): Language {
  const wished = [kept(), ...navigator.languages].map((tag) => tag?.toLowerCase().split("-")[0]);
  return wished.find(isLanguage) ?? "en";
}

export const language: Language = chosen();

/** The browser's own tag of our language where it has one (en-GB for en), so that dates look as they do elsewhere. */
export const locale: string =
  navigator.languages.find((tag) => tag.toLowerCase().split("-")[0] === language) ?? language;

/** Shows the page in another language, and keeps that. */
export function choose(wished: Language): void {
  const url = new URL(location.href);
  url.searchParams.delete("lang");
  try {
    localStorage.setItem(KEPT, wished);
  } catch {
    url.searchParams.set("lang", wished);
  }
  location.replace(url);
  if (url.href === location.href) location.reload();
}

/** What a catalog holds in another language than the English one: not every language has a form for one. */
export type Texts<T> = {
  [K in keyof T]: T[K] extends { one: string }
    ? { one?: string; other: string }
    : T[K] extends object
      ? Texts<T[K]>
      : T[K];
};

type Loads<T> = Record<Language, () => Promise<{ default: T }>>;

const catalogs: (() => Promise<void>)[] = [];

/**
 * Gives the texts of one part of the pages. Each language is a file of its own, loaded only where it is spoken; the
 * English one says what texts there are. They may be asked for once `loadTexts` is done.
 */
export function catalog<T>(loads: Loads<T>): () => T {
  let texts: T | undefined;
  catalogs.push(async () => {
    texts = (await loads[language]()).default;
  });
  return () => {
    if (texts === undefined) throw new Error("texts are asked for before they are loaded");
    return texts;
  };
}

/** Loads every catalog that was made so far. */
export async function loadTexts(): Promise<void> {
  await Promise.all(catalogs.map((load) => load()));
}

const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(locale);
const days = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const dates = new Intl.DateTimeFormat(locale, { dateStyle: "long" });
const clocks = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const times = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short" });

/** Gives the form for a count, with {count} filled in. */
export function plural(count: number, forms: { one?: string; other: string }): string {
  const form = (plurals.select(count) === "one" && forms.one) || forms.other;
  return form.replace("{count}", numbers.format(count));
}

export const number = (value: number): string => numbers.format(value);
/** A date where there is little room. */
export const day = (value: Date): string => days.format(value);
export const date = (value: Date): string => dates.format(value);
export const clock = (value: Date): string => clocks.format(value);
export const time = (value: Date): string => times.format(value);

/** Says how long that is, in the largest unit that fits: "in 5 minutes" without the "in". */
export function duration(seconds: number): string {
  const [unit, length] =
    seconds >= 5400 ? (["hour", 3600] as const) : seconds >= 90 ? (["minute", 60] as const) : (["second", 1] as const);
  const format = new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" });
  return format.format(Math.max(1, Math.ceil(seconds / length)));
}
