import { useRef, useState } from "preact/hooks";
import { invitations, once, type Refusal } from "../api";
import type { AccountMembership } from "../gen/gitpod/v1/account_pb";
import { IfPending, type BatchCreateInvitationsResponse_Outcome as Outcome } from "../gen/invitations/v1/invitation_pb";
import { useAction } from "../kit/calls";
import { Button, ButtonLink } from "../kit/controls";
import { fill } from "../kit/filled";
import { Checkbox, CopyButton, CopyField, Select, TextArea } from "../kit/forms";
import { RefusalNotice, RefusalText, toast } from "../kit/notices";
import { LANGUAGES, language, number, plural } from "../language";
import { common } from "../texts/common";
import { consoleTexts } from "../texts/console";
import { addressesIn, BATCH } from "./addresses";
import { Heading } from "./heading";
import { tokenLink } from "./invitations";
import { Table } from "./list";
import { organizationPath } from "./place";
import { Badge } from "./words";

const DAYS = [1, 7, 14, 30, 90, 365];
const DAY_SECONDS = 86_400;
/** The tags of the mails' languages where they aren't those of the pages. */
const MAIL_LANGUAGES: Readonly<Record<string, string>> = { zh: "zh-Hans" };

const IF_PENDING = { keep: IfPending.REFUSE, renew: IfPending.RENEW, replace: IfPending.REPLACE } as const;

/** What everybody of one sending is invited to. */
interface Terms {
  role: string;
  locale: string;
  ttl: { seconds: bigint };
  sendEmail: boolean;
  ifPending: IfPending;
}

/** One address, and what became of it. */
interface Result {
  email: string;
  outcome: Outcome["outcome"];
}

function termsOf(form: FormData): Terms {
  const pending = String(form.get("pending"));
  return {
    role: String(form.get("role")),
    locale: String(form.get("locale")),
    ttl: { seconds: BigInt(Number(form.get("days")) * DAY_SECONDS) },
    sendEmail: form.has("mail"),
    ifPending: IF_PENDING[pending as keyof typeof IF_PENDING] ?? IfPending.REFUSE,
  };
}

export function Invite({ membership }: { membership: AccountMembership }) {
  const texts = consoleTexts().invite;
  const { organizationId, organizationName } = membership;
  const [text, setText] = useState("");
  const [terms, setTerms] = useState<Terms | null>(null);
  const [results, setResults] = useState<readonly Result[] | null>(null);
  const outcome = useRef<HTMLHeadingElement>(null);
  const addresses = addressesIn(text);
  const tooMany = addresses.length > BATCH;

  const invite = async (emails: readonly string[], terms: Terms): Promise<Result[]> => {
    const asked = { organizationId, invitations: emails.map((email) => ({ email, ...terms })) };
    const { outcomes } = await once("BatchCreateInvitations", invitations.batchCreateInvitations, asked);
    return emails.map((email, index) => ({ email, outcome: outcomes[index]?.outcome ?? { case: undefined } }));
  };
  const tell = (results: readonly Result[]) => {
    setResults(results);
    toast(summaryOf(results));
    setTimeout(() => outcome.current?.focus());
  };
  const send = useAction(async (form: FormData) => {
    const terms = termsOf(form);
    setTerms(terms);
    tell(await invite(addresses, terms));
  });
  const retry = useAction(async () => {
    if (!results || !terms) return;
    const retried = await invite(
      results.filter((result) => !isInvited(result)).map(({ email }) => email),
      terms,
    );
    tell(results.map((result) => (isInvited(result) ? result : (retried.shift() ?? result))));
  });
  const more = () => {
    setResults(null);
    setText("");
  };

  if (results) {
    const refused = results.filter((result) => !isInvited(result)).length;
    return (
      <>
        <Heading title={texts.title} within={organizationName} />
        <section class="card stack">
          <h2 ref={outcome} tabIndex={-1}>
            {summaryOf(results)}
          </h2>
          <Links results={results} />
          <Table
            caption={texts.outcomes}
            rows={results}
            keyOf={(_, index) => String(index)}
            columns={[
              { label: texts.address, cell: ({ email }) => <bdi class="name">{email}</bdi> },
              { label: texts.outcome, cell: (result) => <What result={result} alone={results.length === 1} /> },
            ]}
          />
          {retry.refusal && <RefusalNotice refusal={retry.refusal} />}
          <div class="buttons">
            {refused > 0 && (
              <Button busy={retry.busy} onClick={() => retry.run()}>
                {plural(refused, texts.retry)}
              </Button>
            )}
            <Button disabled={retry.busy} onClick={more}>
              {texts.more}
            </Button>
            <ButtonLink look="primary" href={organizationPath(organizationId, "invitations")}>
              {texts.toList}
            </ButtonLink>
          </div>
        </section>
      </>
    );
  }
  return (
    <>
      <Heading title={texts.title} within={organizationName} />
      <form
        class="card stack narrow"
        onSubmit={(event) => {
          event.preventDefault();
          if (!tooMany) void send.run(new FormData(event.currentTarget));
        }}
      >
        <TextArea
          label={texts.addresses}
          hint={addresses.length > 0 ? plural(addresses.length, texts.counted) : texts.addressesHint}
          problem={tooMany ? fill(texts.tooMany, { limit: number(BATCH), count: number(addresses.length) }) : ""}
          rows={6}
          required
          dir="ltr"
          inputMode="email"
          autocomplete="off"
          spellcheck={false}
          placeholder={"ada@example.com\nbob@example.com"}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <div class="pairs">
          <Select
            label={texts.role}
            name="role"
            options={[
              ["member", common().organizationRoles.member],
              ["admin", common().organizationRoles.admin],
            ]}
          />
          <Select
            label={texts.language}
            name="locale"
            value={MAIL_LANGUAGES[language] ?? language}
            options={Object.entries(LANGUAGES).map(([tag, name]) => [MAIL_LANGUAGES[tag] ?? tag, name])}
          />
          <Select
            label={texts.lasts}
            name="days"
            value="30"
            options={DAYS.map((days) => [String(days), plural(days, texts.days)])}
          />
          <Select
            label={texts.ifPending}
            name="pending"
            options={[
              ["keep", texts.keep],
              ["renew", texts.renew],
              ["replace", texts.replace],
            ]}
          />
        </div>
        <Checkbox name="mail" defaultChecked label={texts.mail} hint={texts.mailHint} />
        {send.refusal && <RefusalNotice refusal={send.refusal} />}
        <div class="buttons">
          <Button type="submit" look="primary" busy={send.busy}>
            {texts.send}
          </Button>
          <ButtonLink href={organizationPath(organizationId, "invitations")}>{common().cancel}</ButtonLink>
        </div>
      </form>
    </>
  );
}

function summaryOf(results: readonly Result[]): string {
  const texts = consoleTexts().invite;
  const invited = results.filter(isInvited).length;
  const refused = results.length - invited;
  const parts = [plural(invited, texts.invited), refused > 0 && plural(refused, texts.refused)];
  return parts.filter(Boolean).join(" · ");
}

const isInvited = ({ outcome }: Result): boolean => outcome.case === "created";

/** Why one address wasn't invited, as a refusal of a call of its own would say it. */
function refusalIn({ email, outcome }: Result): Refusal | null {
  if (outcome.case !== "refused") return null;
  const { reason, message, retryAfter } = outcome.value;
  return {
    reason,
    metadata: { email },
    sentence: message,
    retryAfterSeconds: retryAfter ? Number(retryAfter.seconds) : null,
    passing: retryAfter !== undefined,
  };
}

function What({ result, alone }: { result: Result; alone: boolean }) {
  const texts = consoleTexts().invite;
  const refusal = refusalIn(result);
  if (refusal) {
    return (
      <span class="names">
        <Badge tone="wrong">{texts.notInvited}</Badge>
        <span class="small">
          <RefusalText refusal={refusal} />
        </span>
      </span>
    );
  }
  const token = result.outcome.case === "created" ? result.outcome.value.token : "";
  return (
    <span class="names">
      <Badge tone="good">{texts.isInvited}</Badge>
      {token && alone && (
        <CopyField
          label={consoleTexts().invitations.link}
          value={tokenLink(token)}
          hint={consoleTexts().invitations.linkOnce}
        />
      )}
      {token && !alone && (
        <CopyButton look="quiet" value={tokenLink(token)} aria-label={`${texts.copyLink}: ${result.email}`}>
          {texts.copyLink}
        </CopyButton>
      )}
    </span>
  );
}

/** All links at once, where nobody was sent a mail: they are shown here and never again. */
function Links({ results }: { results: readonly Result[] }) {
  const texts = consoleTexts().invite;
  const lines = results.flatMap(({ email, outcome }) =>
    outcome.case === "created" && outcome.value.token ? [`${email}\t${tokenLink(outcome.value.token)}`] : [],
  );
  if (results.length === 1 || lines.length === 0) return null;
  const text = lines.join("\n");
  return (
    <div>
      <TextArea
        label={texts.links}
        hint={texts.linksHint}
        readOnly
        dir="ltr"
        rows={Math.min(6, lines.length)}
        value={text}
      />
      <div class="buttons">
        <CopyButton value={text}>{texts.copyLinks}</CopyButton>
      </div>
    </div>
  );
}
