import { once, organizations } from "../api";
import type { AccountMembership } from "../gen/gitpod/v1/account_pb";
import { Filled, fill } from "../kit/filled";
import { toast } from "../kit/notices";
import { consoleTexts } from "../texts/console";
import { useMine } from "./account";
import { ActionDialog } from "./acting";
import { go, ORGANIZATIONS } from "./place";

export function LeaveDialog({ membership, onClose }: { membership: AccountMembership | null; onClose: () => void }) {
  const texts = consoleTexts().leaving;
  const { again } = useMine();
  const leave = async ({ userId, organizationName }: AccountMembership) => {
    await once("LeaveOrganization", organizations.leaveOrganization, { userId });
    toast(fill(texts.done, { organization: organizationName }));
    go(ORGANIZATIONS);
    await again();
  };
  return (
    <ActionDialog
      subject={membership}
      title={({ organizationName }) => fill(texts.title, { organization: organizationName })}
      confirm={texts.confirm}
      look="danger"
      act={leave}
      onClose={onClose}
    >
      {({ organizationName }) => (
        <p>
          <Filled text={texts.text} facts={{ organization: organizationName }} />
        </p>
      )}
    </ActionDialog>
  );
}
