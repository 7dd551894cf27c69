// The page that signs in, /sign-in?return=PATH: at the provider, or with a code by mail. The provider's way back comes here
// only where it failed, with ?error=REASON.

import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { useEffect, useState } from "preact/hooks";
import { type Refusal, ROOT, sessions } from "./api";
import type { SignedIn, SignInMethods } from "./gen/invitations/v1/session_pb";
import { Acting, Frame, Title, Waiting } from "./joining/frame";
import { useAction } from "./kit/calls";
import { Button, ButtonLink, Field } from "./kit/controls";
import { Filled, fill } from "./kit/filled";
import { mount } from "./kit/mount";
import { Notice, RefusalNotice, sentenceOf, toast } from "./kit/notices";
import { clock, duration, language } from "./language";
import { refreshSession, signedOutHere, signOut, urlOf, useSession } from "./session";
import { joining } from "./texts/joining";

const RESEND_SECONDS = 30;

const query = new URLSearchParams(location.search);

/** Where to go on: a path of this service, and the console where none is asked for or it leads elsewhere. */
function returnPath(): string {
  const asked = query.get("return") ?? "";
  const url = asked.startsWith("/") && URL.canParse(`.${asked}`, ROOT) ? new URL(`.${asked}`, ROOT) : null;
  const within = url?.origin === ROOT.origin && url.pathname.startsWith(ROOT.pathname);
  return url && within ? url.pathname.slice(ROOT.pathname.length - 1) + url.search : "/console";
}

const RETURN = returnPath();

/** The same as the provider's way back goes there: from the root of the host. */
const { pathname, search } = new URL(urlOf(RETURN));

/** A code that was sent, kept for the tab: a telephone may drop the page while its owner reads the mail. */
interface Sent {
  codeId: string;
  email: string;
  expiresAt: number;
  sentAt: number;
}

const KEPT = "sign-in-code";

function keepSent(sent: Sent | null): void {
  try {
    if (sent) sessionStorage.setItem(KEPT, JSON.stringify(sent));
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Storage may be forbidden; then the page asks for the address again when it is loaded anew.
  }
}

function keptSent(): Sent | null {
  try {
    const sent = JSON.parse(sessionStorage.getItem(KEPT) ?? "null") as Sent | null;
    return sent && sent.expiresAt > Date.now() ? sent : null;
  } catch {
    return null;
  }
}

async function send(email: string): Promise<Sent> {
  const { codeId, expiresAt } = await sessions.sendSignInCode({ email, locale: language });
  const ends = (given: Timestamp | undefined) => (given ? timestampDate(given).getTime() : Date.now());
  return { codeId, email, expiresAt: ends(expiresAt), sentAt: Date.now() };
}

/** Goes on where the person was, if the browser has kept the session; tells whether it has. */
async function goOn(): Promise<boolean> {
  keepSent(null);
  const { signedIn } = await refreshSession();
  if (!signedIn) return false;
  location.replace(urlOf(RETURN));
  return true;
}

function SignInPage() {
  const session = useSession();
  const [notKept, setNotKept] = useState(false);
  const [goingOn, setGoingOn] = useState(false);

  if (session.state === "loading" || goingOn) {
    return (
      <Frame busy>
        <Waiting />
      </Frame>
    );
  }
  if (session.state === "failed") {
    return (
      <Frame>
        <Title taken>{joining().troubleTitle}</Title>
        <RefusalNotice refusal={session.refusal} again={() => void refreshSession().catch(() => {})} />
      </Frame>
    );
  }
  if (session.signedIn) return <SignedInAlready who={session.signedIn} />;
  if (!isSecureContext) {
    return (
      <Frame>
        <Title taken>{joining().signIn.title}</Title>
        <Notice tone="wrong">{joining().signIn.insecure}</Notice>
      </Frame>
    );
  }
  return (
    <Frame>
      {notKept && <Notice tone="wrong">{joining().signIn.notKept}</Notice>}
      <Methods
        methods={session.methods}
        done={async () => {
          setGoingOn(true);
          const kept = await goOn().catch(() => false);
          if (kept) return;
          setGoingOn(false);
          setNotKept(true);
        }}
      />
    </Frame>
  );
}

function SignedInAlready({ who }: { who: SignedIn }) {
  return (
    <Frame>
      <Title>{joining().signIn.signedIn}</Title>
      <Acting who={who} leave={signOut} />
      <div class="buttons wide">
        <ButtonLink look="primary" href={urlOf(RETURN)}>
          {joining().signIn.goOn}
        </ButtonLink>
      </div>
    </Frame>
  );
}

function Methods({ methods, done }: { methods: SignInMethods; done: () => Promise<void> }) {
  const [sent, setSent] = useState(keptSent);
  const [asked, setAsked] = useState(false);
  const words = joining().signIn;
  const take = (now: Sent | null) => {
    keepSent(now);
    setSent(now);
    setAsked(true);
  };
  if (sent && methods.emailCode) return <Code sent={sent} inLog={methods.codeInLog} take={take} done={done} />;
  return (
    <>
      <Title taken={asked}>{words.title}</Title>
      {query.has("return") && <p class="quiet">{words.lead}</p>}
      <CameBack />
      {methods.provider && <Provider name={methods.provider} />}
      {methods.provider && methods.emailCode && <p class="or">{words.or}</p>}
      {methods.emailCode && <Address look={methods.provider ? "plain" : "primary"} take={take} />}
      {!methods.provider && !methods.emailCode && <Notice tone="wrong">{words.none}</Notice>}
    </>
  );
}

/** Why the person is back from the provider without being signed in. */
function CameBack() {
  const reason = query.get("error");
  if (!reason) return null;
  const refusal: Refusal = { reason, metadata: {}, sentence: "", retryAfterSeconds: null, passing: false };
  return <Notice tone="wrong">{sentenceOf(refusal) || `${joining().troubleTitle}.`}</Notice>;
}

function Provider({ name }: { name: string }) {
  const begin = useAction(async () => {
    const { authorizationUrl } = await sessions.beginProviderSignIn({
      returnPath: pathname + search,
      chooseAccount: signedOutHere(),
    });
    location.assign(authorizationUrl);
  });
  return (
    <>
      {begin.refusal && <RefusalNotice refusal={begin.refusal} />}
      <div class="buttons wide">
        <Button look="primary" busy={begin.busy} onClick={() => begin.run()}>
          {fill(joining().signIn.provider, { provider: name })}
        </Button>
      </div>
    </>
  );
}

/** What is wrong with what was entered, where the service says that; empty otherwise. */
function problemIn(refusal: Refusal | null, reason: string, facts: Record<string, string>): string {
  const isAbout = refusal && [reason, "INVALID_REQUEST"].includes(refusal.reason);
  return isAbout ? sentenceOf({ ...refusal, reason, metadata: facts }) : "";
}

function Address({ look, take }: { look: "plain" | "primary"; take: (sent: Sent) => void }) {
  const words = joining().signIn;
  const [email, setEmail] = useState("");
  const [missing, setMissing] = useState(false);
  const asking = useAction(async (address: string) => take(await send(address)));
  const problem = missing ? words.emailMissing : problemIn(asking.refusal, "ADDRESS_INVALID", { email });
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const address = String(new FormData(event.currentTarget).get("email")).trim();
        setEmail(address);
        setMissing(!address);
        if (address) void asking.run(address);
      }}
    >
      <Field
        label={words.email}
        hint={words.emailHint}
        problem={problem}
        name="email"
        type="email"
        autocomplete="email"
        autocapitalize="none"
        spellcheck={false}
      />
      {asking.refusal && !problem && <RefusalNotice refusal={asking.refusal} />}
      <div class="buttons wide">
        <Button type="submit" look={look} busy={asking.busy}>
          {words.send}
        </Button>
      </div>
    </form>
  );
}

type CodeProps = { sent: Sent; inLog: boolean; take: (sent: Sent | null) => void; done: () => Promise<void> };

function Code({ sent, inLog, take, done }: CodeProps) {
  const words = joining().signIn;
  const [missing, setMissing] = useState(false);
  const signingIn = useAction(async (code: string) => {
    await sessions.signInWithCode({ codeId: sent.codeId, code });
    await done();
  });
  const problem = missing ? words.codeMissing : problemIn(signingIn.refusal, "SIGN_IN_CODE_WRONG", {});
  return (
    <>
      <Title taken>{words.codeTitle}</Title>
      <p>{inLog ? words.inLog : <Filled text={words.sent} facts={{ email: sent.email }} />}</p>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          const code = String(new FormData(event.currentTarget).get("code")).trim();
          setMissing(!code);
          if (code) void signingIn.run(code);
        }}
      >
        <Field
          label={words.code}
          hint={fill(words.codeHint, { time: clock(new Date(sent.expiresAt)) })}
          problem={problem}
          class="one-time-code"
          name="code"
          inputMode="numeric"
          autocomplete="one-time-code"
          dir="ltr"
        />
        {signingIn.refusal && !problem && <RefusalNotice refusal={signingIn.refusal} />}
        <div class="buttons wide">
          <Button type="submit" look="primary" busy={signingIn.busy}>
            {words.signIn}
          </Button>
        </div>
      </form>
      <Another sent={sent} take={take} />
    </>
  );
}

/** For whom no code came: another one after a while, or another address. */
function Another({ sent, take }: { sent: Sent; take: (sent: Sent | null) => void }) {
  const words = joining().signIn;
  const wait = useSecondsUntil(sent.sentAt + RESEND_SECONDS * 1000);
  const asking = useAction(async () => {
    take(await send(sent.email));
    toast(words.anotherSent);
  });
  return (
    <>
      {asking.refusal && <RefusalNotice refusal={asking.refusal} />}
      <div class="buttons apart">
        <Button look="quiet" busy={asking.busy} disabled={wait > 0} onClick={() => asking.run()}>
          {wait > 0 ? fill(words.anotherIn, { time: duration(wait) }) : words.another}
        </Button>
        <Button look="quiet" onClick={() => take(null)}>
          {words.otherAddress}
        </Button>
      </div>
    </>
  );
}

/** Gives the whole seconds until a time, 0 from then on. */
function useSecondsUntil(end: number): number {
  const left = () => Math.max(0, Math.ceil((end - Date.now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    const timer = setInterval(() => setSeconds(left()), 500);
    return () => clearInterval(timer);
  }, [end]);
  return seconds;
}

void mount(SignInPage);
