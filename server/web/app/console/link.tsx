import { useState } from "preact/hooks";
import { inviteLinks, once, organizations, ROOT } from "../api";
import type { AccountMembership } from "../gen/gitpod/v1/account_pb";
import { useAction, useLoad } from "../kit/calls";
import { Button, Skeleton } from "../kit/controls";
import { fill } from "../kit/filled";
import { CopyField } from "../kit/forms";
import { RefusalNotice, toast } from "../kit/notices";
import { consoleTexts } from "../texts/console";
import { ActionDialog } from "./acting";
import { Heading } from "./heading";
import { QrCode } from "./qr";

const NO_LINK = ["NO_LIVE_INVITE", "INVITE_KEY_UNAVAILABLE"];

export function InviteLink({ membership }: { membership: AccountMembership }) {
  const texts = consoleTexts().link;
  const { organizationId, organizationName } = membership;
  const live = useLoad(
    (signal) => organizations.getOrganizationInvite({ organizationId }, { signal }),
    [organizationId],
  );
  const [replacing, setReplacing] = useState<true | null>(null);
  const [turningOff, setTurningOff] = useState<true | null>(null);
  // What became of the link here since it was read: null once it is off.
  const [since, setSince] = useState<string | null | undefined>();
  const create = async (said: string) => {
    const made = await once("CreateOrganizationInvite", organizations.createOrganizationInvite, { organizationId });
    setSince(made.invite?.inviteId);
    toast(said);
  };
  const first = useAction(() => create(texts.created));
  const refusal = live.state === "failed" && since === undefined ? live.refusal : null;
  const inviteId = since ?? (since === undefined && live.state === "ready" ? live.value.invite?.inviteId : null);
  const none = since === null || (refusal !== null && NO_LINK.includes(refusal.reason));
  return (
    <>
      <Heading title={texts.title} within={organizationName} />
      <p class="lead quiet">{texts.about}</p>
      <div class="card link" aria-busy={live.state === "loading"}>
        {live.state === "loading" && (
          <>
            <Skeleton width="40%" />
            <Skeleton width="100%" />
          </>
        )}
        {inviteId && (
          <>
            <QrCode
              text={new URL(`invite/${inviteId}`, ROOT).href}
              label={fill(texts.qr, { organization: organizationName })}
            />
            <div class="stack">
              <CopyField label={texts.label} value={new URL(`invite/${inviteId}`, ROOT).href} hint={texts.hint} />
              <div class="buttons">
                <Button onClick={() => setReplacing(true)}>{texts.replace}</Button>
                <Button onClick={() => setTurningOff(true)}>{texts.turnOff}</Button>
              </div>
            </div>
          </>
        )}
        {none && (
          <div class="stack">
            <p>{refusal?.reason === "INVITE_KEY_UNAVAILABLE" ? texts.lost : texts.none}</p>
            {first.refusal && <RefusalNotice refusal={first.refusal} />}
            <div class="buttons">
              <Button look="primary" busy={first.busy} onClick={() => first.run()}>
                {texts.create}
              </Button>
            </div>
          </div>
        )}
        {live.state === "failed" && refusal && !none && <RefusalNotice refusal={refusal} again={live.again} />}
      </div>
      <ActionDialog
        subject={replacing}
        title={() => texts.replaceTitle}
        confirm={texts.replaceNow}
        look="danger"
        act={() => create(texts.replaced)}
        onClose={() => setReplacing(null)}
      >
        {() => <p>{texts.replaceText}</p>}
      </ActionDialog>
      <ActionDialog
        subject={turningOff}
        title={() => texts.turnOffTitle}
        confirm={texts.turnOffNow}
        look="danger"
        act={async () => {
          await once("DisableInviteLink", inviteLinks.disableInviteLink, { organizationId });
          setSince(null);
          toast(texts.turnedOff);
        }}
        onClose={() => setTurningOff(null)}
      >
        {() => <p>{texts.turnOffText}</p>}
      </ActionDialog>
    </>
  );
}
