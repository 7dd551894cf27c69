import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useRef, useState } from "preact/hooks";
import { once, users } from "../api";
import type { PersonalAccessToken } from "../gen/gitpod/v1/user_pb";
import { Button, Dialog, Field } from "../kit/controls";
import { fill } from "../kit/filled";
import { Checkbox, CopyField, Select } from "../kit/forms";
import { toast } from "../kit/notices";
import { day, plural } from "../language";
import { consoleTexts } from "../texts/console";
import { useMine } from "./account";
import { ActionDialog } from "./acting";
import { Heading } from "./heading";
import { List, usePages } from "./list";
import { Badge } from "./words";

const DAYS = [7, 30, 60, 90];
const DAY_SECONDS = 86_400;

export function Tokens() {
  const texts = consoleTexts().tokens;
  const { account } = useMine();
  const [creating, setCreating] = useState<true | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const made = useRef<string | null>(null);
  const [revoking, setRevoking] = useState<PersonalAccessToken | null>(null);
  const pages = usePages("tokens", async ({ token, signal }) => {
    const answer = await users.listPersonalAccessTokens({ pagination: { token } }, { signal });
    return { rows: answer.personalAccessTokens, next: answer.pagination?.nextToken ?? "" };
  });
  const organizationOf = (token: PersonalAccessToken) =>
    account.memberships.find(({ userId }) => userId === token.userId)?.organizationName ?? "";
  const called = (token: PersonalAccessToken) => ({ name: token.description || texts.unnamed });
  return (
    <>
      <Heading title={texts.title}>
        {account.memberships.length > 0 && (
          <Button look="primary" onClick={() => setCreating(true)}>
            {texts.create}
          </Button>
        )}
      </Heading>
      <p class="lead quiet">{texts.about}</p>
      <List
        pages={pages}
        caption={texts.title}
        empty={<p>{account.memberships.length > 0 ? texts.none : texts.noOrganization}</p>}
        keyOf={(token) => token.id}
        columns={[
          {
            label: texts.description,
            cell: (token) => (
              <span class="names">
                <bdi class="name">{called(token).name}</bdi>
                <bdi class="quiet small">{organizationOf(token)}</bdi>
              </span>
            ),
          },
          {
            label: texts.may,
            cell: (token) =>
              token.readOnly ? <Badge>{texts.read}</Badge> : <Badge tone="accent">{texts.write}</Badge>,
          },
          { label: texts.created, cell: (token) => token.createdAt && day(timestampDate(token.createdAt)) },
          { label: texts.expires, cell: (token) => <Expiry token={token} /> },
          { label: texts.used, cell: (token) => (token.lastUsed ? day(timestampDate(token.lastUsed)) : texts.never) },
        ]}
        actions={(token) => (
          <span class="buttons">
            <Button
              look="quiet"
              onClick={() => setRevoking(token)}
              aria-label={`${texts.revoke}: ${called(token).name}`}
            >
              {texts.revoke}
            </Button>
          </span>
        )}
      />
      <ActionDialog
        subject={creating}
        title={() => texts.create}
        confirm={texts.createNow}
        onClose={() => {
          setCreating(null);
          if (made.current) setSecret(made.current);
          made.current = null;
        }}
        act={async (_, form) => {
          const { token } = await once("CreatePersonalAccessToken", users.createPersonalAccessToken, {
            userId: String(form.get("user")),
            description: String(form.get("description")).trim(),
            validFor: { seconds: BigInt(Number(form.get("days")) * DAY_SECONDS) },
            readOnly: form.has("read-only"),
          });
          made.current = token;
          pages.again();
        }}
      >
        {() => (
          <>
            <Field
              label={texts.description}
              hint={texts.descriptionHint}
              name="description"
              dir="auto"
              maxLength={256}
              required
              autocomplete="off"
            />
            <Select
              label={texts.organization}
              name="user"
              hint={texts.organizationHint}
              options={account.memberships.map(({ userId, organizationName }) => [userId, organizationName])}
            />
            <Select
              label={texts.lasts}
              name="days"
              value="30"
              options={DAYS.map((days) => [String(days), plural(days, texts.days)])}
            />
            <Checkbox name="read-only" label={texts.readOnly} hint={texts.readOnlyHint} />
          </>
        )}
      </ActionDialog>
      <Dialog open={secret !== null} title={texts.made} onClose={() => setSecret(null)}>
        {secret !== null && (
          <div class="stack">
            <CopyField label={texts.secret} value={secret} hint={texts.secretOnce} />
            <div class="buttons end">
              <Button onClick={() => setSecret(null)}>{texts.secretTaken}</Button>
            </div>
          </div>
        )}
      </Dialog>
      <ActionDialog
        subject={revoking}
        title={(token) => fill(texts.revokeOf, called(token))}
        confirm={texts.revokeNow}
        look="danger"
        onClose={() => setRevoking(null)}
        act={async (token) => {
          await once("DeletePersonalAccessToken", users.deletePersonalAccessToken, { personalAccessTokenId: token.id });
          toast(fill(texts.revoked, called(token)));
          pages.again();
        }}
      >
        {() => <p>{texts.revokeText}</p>}
      </ActionDialog>
    </>
  );
}

function Expiry({ token }: { token: PersonalAccessToken }) {
  const texts = consoleTexts().tokens;
  if (!token.expiresAt) return null;
  const ends = timestampDate(token.expiresAt);
  return ends.getTime() > Date.now() ? (
    day(ends)
  ) : (
    <span class="names">
      <Badge tone="wait">{texts.expired}</Badge>
      <span class="quiet small">{day(ends)}</span>
    </span>
  );
}
