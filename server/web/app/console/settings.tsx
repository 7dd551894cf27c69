import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useRef, useState } from "preact/hooks";
import { once, organizations } from "../api";
import type { AccountMembership } from "../gen/gitpod/v1/account_pb";
import type { Organization } from "../gen/gitpod/v1/organization_pb";
import { useAction, useLoad } from "../kit/calls";
import { Button, Field, Skeleton } from "../kit/controls";
import { Filled, fill } from "../kit/filled";
import { RefusalNotice, toast } from "../kit/notices";
import { date } from "../language";
import { consoleTexts } from "../texts/console";
import { isAdmin, useMine } from "./account";
import { ActionDialog } from "./acting";
import { Heading } from "./heading";
import { LeaveDialog } from "./leaving";
import { go, ORGANIZATIONS } from "./place";

export function Settings({ membership }: { membership: AccountMembership }) {
  const texts = consoleTexts().settings;
  const { organizationId, organizationName } = membership;
  const found = useLoad((signal) => organizations.getOrganization({ organizationId }, { signal }), [organizationId]);
  const [leaving, setLeaving] = useState<AccountMembership | null>(null);
  const admin = isAdmin(membership);
  const organization = found.state === "ready" ? found.value.organization : undefined;
  return (
    <>
      <Heading title={texts.title} within={organizationName} />
      {found.state === "failed" && <RefusalNotice refusal={found.refusal} again={found.again} />}
      {found.state === "loading" && (
        <>
          <div class="card stack narrow expected" aria-busy="true">
            <Skeleton width="30%" />
            <Skeleton />
          </div>
          <div class="card stack narrow expected tall" aria-busy="true">
            <Skeleton width="40%" />
            <Skeleton />
          </div>
        </>
      )}
      {organization && (admin ? <Change organization={organization} /> : <Facts organization={organization} />)}
      <section class="card stack narrow" aria-labelledby="leave">
        <h2 id="leave">{texts.leave}</h2>
        <p class="quiet">{texts.leaveText}</p>
        <div class="buttons">
          <Button onClick={() => setLeaving(membership)}>{texts.leaveButton}</Button>
        </div>
      </section>
      {admin && organization && <Deletion organization={organization} />}
      <LeaveDialog membership={leaving} onClose={() => setLeaving(null)} />
    </>
  );
}

const domainsOf = (organization: Organization): readonly string[] => organization.inviteDomains?.domains ?? [];

/** What members who may not change it see. */
function Facts({ organization }: { organization: Organization }) {
  const texts = consoleTexts().settings;
  const domains = domainsOf(organization);
  return (
    <section class="card narrow">
      <dl>
        <dt>{texts.name}</dt>
        <dd dir="auto">{organization.name}</dd>
        <dt>{texts.domains}</dt>
        <dd>{domains.length > 0 ? domains.join(", ") : texts.noDomains}</dd>
        <dt>{texts.made}</dt>
        <dd>{organization.createdAt && date(timestampDate(organization.createdAt))}</dd>
      </dl>
    </section>
  );
}

function Change({ organization }: { organization: Organization }) {
  return (
    <>
      <Name organization={organization} />
      <Domains organization={organization} />
    </>
  );
}

function Name({ organization }: { organization: Organization }) {
  const texts = consoleTexts().settings;
  const { again } = useMine();
  const save = useAction(async (form: FormData) => {
    const name = String(form.get("name"));
    await once("UpdateOrganization", organizations.updateOrganization, { organizationId: organization.id, name });
    toast(texts.saved);
    await again();
  });
  const wrong = save.refusal?.reason === "INVALID_REQUEST";
  return (
    <form
      class="card stack narrow"
      onSubmit={(event) => {
        event.preventDefault();
        void save.run(new FormData(event.currentTarget));
      }}
    >
      <Field
        label={texts.name}
        hint={consoleTexts().organizations.nameHint}
        problem={wrong ? consoleTexts().organizations.nameWrong : ""}
        name="name"
        dir="auto"
        required
        autocomplete="off"
        defaultValue={organization.name}
      />
      {save.refusal && !wrong && <RefusalNotice refusal={save.refusal} />}
      <div class="buttons">
        <Button type="submit" look="primary" busy={save.busy}>
          {texts.save}
        </Button>
      </div>
    </form>
  );
}

function Domains({ organization }: { organization: Organization }) {
  const texts = consoleTexts().settings;
  const [domains, setDomains] = useState(domainsOf(organization));
  const [text, setText] = useState("");
  const heading = useRef<HTMLHeadingElement>(null);
  const save = useAction(async (wanted: readonly string[], said: string) => {
    const asked = { organizationId: organization.id, inviteDomains: { domains: [...wanted] } };
    const answer = await once("UpdateOrganization", organizations.updateOrganization, asked);
    if (answer.organization) setDomains(domainsOf(answer.organization));
    if (wanted.length > domains.length) setText("");
    else heading.current?.focus();
    toast(said);
  });
  const domain = text.trim().replace(/^@/, "").toLowerCase();
  const wrong = save.refusal?.reason === "INVALID_REQUEST";
  return (
    <section class="card stack narrow" aria-labelledby="domains">
      <h2 id="domains" ref={heading} tabIndex={-1}>
        {texts.domains}
      </h2>
      <p class="quiet">{texts.domainsText}</p>
      {domains.length > 0 ? (
        <ul class="domains">
          {domains.map((name) => (
            <li key={name}>
              <span dir="ltr">{name}</span>
              <Button
                look="quiet"
                busy={save.busy}
                aria-label={`${texts.removeDomain}: ${name}`}
                onClick={() =>
                  save.run(
                    domains.filter((other) => other !== name),
                    fill(texts.domainRemoved, { domain: name }),
                  )
                }
              >
                {texts.removeDomain}
              </Button>
            </li>
          ))}
        </ul>
      ) : (
        <p>{texts.noDomains}</p>
      )}
      <form
        class="add"
        onSubmit={async (event) => {
          event.preventDefault();
          // Adding what is there already asks for what is so: the answer is the same.
          await save.run([...new Set([...domains, domain])], fill(texts.domainAdded, { domain }));
        }}
      >
        <Field
          label={texts.newDomain}
          hint={texts.newDomainHint}
          problem={wrong ? texts.domainWrong : ""}
          dir="ltr"
          required
          autocomplete="off"
          spellcheck={false}
          placeholder="example.com"
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <Button type="submit" busy={save.busy}>
          {texts.addDomain}
        </Button>
      </form>
      {save.refusal && !wrong && <RefusalNotice refusal={save.refusal} />}
    </section>
  );
}

/** Gives a name as it may be typed from memory of how it looks. */
const asTyped = (name: string): string => name.normalize("NFKC").trim().replace(/\s+/g, " ");

function Deletion({ organization }: { organization: Organization }) {
  const texts = consoleTexts().settings;
  const { account, again } = useMine();
  const [deleting, setDeleting] = useState<Organization | null>(null);
  const [wrong, setWrong] = useState(false);
  // It may have been renamed on this very page.
  const name = account.memberships.find(({ organizationId }) => organizationId === organization.id)?.organizationName;
  const facts = { organization: name ?? organization.name };
  const close = () => {
    setDeleting(null);
    setWrong(false);
  };
  return (
    <section class="card stack narrow danger-zone" aria-labelledby="delete">
      <h2 id="delete">{texts.delete}</h2>
      <p class="quiet">{texts.deleteText}</p>
      <div class="buttons">
        <Button onClick={() => setDeleting(organization)}>{texts.deleteButton}</Button>
      </div>
      <ActionDialog
        subject={deleting}
        title={() => fill(texts.deleteTitle, facts)}
        confirm={texts.deleteNow}
        look="danger"
        onClose={close}
        act={async ({ id }, form) => {
          const right = asTyped(String(form.get("name"))) === asTyped(facts.organization);
          setWrong(!right);
          if (!right) return false;
          await once("DeleteOrganization", organizations.deleteOrganization, { organizationId: id });
          toast(fill(texts.deleted, facts));
          go(ORGANIZATIONS, { instead: true });
          await again();
          return true;
        }}
      >
        {() => (
          <>
            <p>{texts.deleteWarning}</p>
            <p>
              <Filled text={texts.deleteType} facts={facts} />
            </p>
            <Field
              label={texts.name}
              problem={wrong ? texts.deleteWrong : ""}
              name="name"
              dir="auto"
              required
              autocomplete="off"
              onInput={() => setWrong(false)}
            />
          </>
        )}
      </ActionDialog>
    </section>
  );
}
