// The way into an organization, by a link or by a mailed invitation: what it leads to, who one is, and the answer.

import { useState } from "preact/hooks";
import { isSignedOut, type Refusal, refusalOf } from "../api";
import { type Loaded, useAction, useLoad } from "../kit/calls";
import { Button, ButtonLink, Dialog } from "../kit/controls";
import { Filled, fill } from "../kit/filled";
import { Notice, RefusalNotice, RefusalText } from "../kit/notices";
import { refreshSession, useSession } from "../session";
import { common } from "../texts/common";
import { joining } from "../texts/joining";
import { Acting, Emblem, type Fact, Facts, Frame, SignInFirst, Title, Waiting } from "./frame";
import { consoleUrl, type Standing, standingIn, useOtherAccount } from "./standing";

/** What a link or an invitation leads to. */
export interface Offer {
  organizationId: string;
  organizationName: string;
  /** Empty where nobody in particular invites. */
  inviterName: string;
  facts: readonly Fact[];
  /** Where to go on afterwards; empty for the console. */
  redirectUrl: string;
  /** Why it can't be answered any more; null while it can. */
  over: Refusal | null;
}

/** The words that differ between a link and an invitation. */
interface Words {
  accept: string;
  signIn: string;
  accountNeeded: string;
  pending: string;
}

type Props = {
  /** Asks what it leads to; null where only its addressee, signed in, may see that. */
  look: (signal: AbortSignal) => Promise<Offer | null>;
  accept: () => Promise<unknown>;
  /** Absent where there is nothing to decline. */
  decline?: () => Promise<unknown>;
  /** What a member gets by accepting: nothing by a link, possibly a role by an invitation. */
  givesMembers?: boolean;
  words: Words;
  /** What stands above the reason why it can't be shown. */
  titleOf: (refusal: Refusal) => string;
};

type Seen = { offer: Offer; standing: Standing } | null;
type Outcome = "joined" | "already" | "declined";

export function JoiningPage({ look, accept, decline, givesMembers = false, words, titleOf }: Props) {
  const loaded: Loaded<Seen> = useLoad(async (signal) => {
    const offer = await look(signal);
    return offer && { offer, standing: await standingIn(offer.organizationId) };
  }, []);
  const session = useSession();
  const signedIn = session.state === "ready" ? session.signedIn : undefined;
  const again = loaded.state === "loading" ? () => {} : loaded.again;
  useOtherAccount(signedIn?.accountId, again);

  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const answer = async (act: () => Promise<unknown>, came: Outcome) => {
    try {
      await act();
      setOutcome(came);
    } catch (thrown) {
      if (isSignedOut(refusalOf(thrown))) {
        await refreshSession();
        again();
      }
      throw thrown;
    }
  };
  const accepting = useAction((member: boolean) => answer(accept, member ? "already" : "joined"));

  if (loaded.state === "loading") {
    return (
      <Frame busy>
        <Waiting />
      </Frame>
    );
  }
  if (loaded.state === "failed" && loaded.refusal.reason === "INVALID_REQUEST") {
    return (
      <Frame>
        <Title taken>{joining().incompleteTitle}</Title>
        <Notice tone="wrong">{joining().incomplete}</Notice>
      </Frame>
    );
  }
  if (loaded.state === "failed") {
    return (
      <Frame>
        <Title taken>{titleOf(loaded.refusal)}</Title>
        <RefusalNotice refusal={loaded.refusal} again={loaded.again} />
        {signedIn && <Acting who={signedIn} />}
      </Frame>
    );
  }
  if (loaded.value === null) {
    return (
      <Frame>
        <Title taken>{joining().addresseeTitle}</Title>
        <SignInFirst why={joining().addressee} label={common().signIn} />
      </Frame>
    );
  }

  const { offer, standing } = loaded.value;
  const facts = { organization: offer.organizationName, inviter: offer.inviterName };
  const title = <Filled text={offer.inviterName ? joining().invitedBy : joining().invited} facts={facts} />;
  const ended = outcome ?? (standing.member && (offer.over || !givesMembers) ? "already" : null);
  if (ended) {
    return (
      <Frame>
        <Emblem name={offer.organizationName} />
        <Title taken={outcome !== null}>
          <Filled text={joining()[ended]} facts={facts} />
        </Title>
        {ended !== "declined" && <Onward offer={offer} />}
      </Frame>
    );
  }
  if (offer.over) {
    return (
      <Frame>
        <Emblem name={offer.organizationName} />
        <Title>{title}</Title>
        <Notice tone="wrong">
          <RefusalText refusal={offer.over} />
        </Notice>
        {offer.over.reason === "INVITATION_ALREADY_ACCEPTED" && <Onward offer={offer} />}
      </Frame>
    );
  }
  return (
    <Frame>
      <Emblem name={offer.organizationName} />
      <Title>{title}</Title>
      <Facts facts={offer.facts} />
      {accepting.refusal && <RefusalNotice refusal={accepting.refusal} />}
      {standing.signedIn ? (
        <>
          <Acting who={standing.signedIn} />
          <p class="quiet small" role="status">
            {standing.member ? <Filled text={joining().already} facts={facts} /> : words.pending}
          </p>
          <div class="buttons wide">
            <Button look="primary" busy={accepting.busy} onClick={() => accepting.run(standing.member)}>
              {words.accept}
            </Button>
            {decline && <Declining decline={() => answer(decline, "declined")} />}
          </div>
        </>
      ) : (
        <SignInFirst why={words.accountNeeded} label={words.signIn} />
      )}
    </Frame>
  );
}

/** Turning an invitation down; since that can't be undone, a second look comes before it. */
function Declining({ decline }: { decline: () => Promise<void> }) {
  const [open, setOpen] = useState(false);
  const declining = useAction(decline);
  return (
    <>
      <Button onClick={() => setOpen(true)}>{joining().decline}</Button>
      <Dialog open={open} title={joining().declineTitle} onClose={() => setOpen(false)}>
        <p>{joining().declineMeans}</p>
        {declining.refusal && <RefusalNotice refusal={declining.refusal} />}
        <div class="buttons">
          <Button onClick={() => setOpen(false)}>{common().cancel}</Button>
          <Button look="danger" busy={declining.busy} onClick={() => declining.run()}>
            {joining().declineSurely}
          </Button>
        </div>
      </Dialog>
    </>
  );
}

/** Where to go as a member. The service has checked the invitation's own address when the invitation was made. */
function Onward({ offer }: { offer: Offer }) {
  const url = URL.canParse(offer.redirectUrl) ? new URL(offer.redirectUrl) : null;
  const elsewhere = url && ["https:", "http:"].includes(url.protocol) ? url : null;
  return (
    <div class="buttons wide">
      {elsewhere && (
        <ButtonLink look="primary" href={elsewhere.href} rel="noreferrer">
          {fill(joining().continueTo, { host: elsewhere.host })}
        </ButtonLink>
      )}
      <ButtonLink look={elsewhere ? "plain" : "primary"} href={consoleUrl(offer.organizationId)}>
        <Filled text={joining().goTo} facts={{ organization: offer.organizationName }} />
      </ButtonLink>
    </div>
  );
}
