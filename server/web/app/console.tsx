// The console, for members and admins: every path below /console comes here.

import { mount } from "./kit/mount";
import { Toasts } from "./kit/notices";
import { signInUrl, useSession } from "./session";
import { common } from "./texts/common";
import { consoleTexts } from "./texts/console";

function Console() {
  const session = useSession();
  return (
    <main>
      <h1>{consoleTexts().title}</h1>
      {session.state === "ready" && !session.signedIn && <a href={signInUrl()}>{common().signIn}</a>}
      <Toasts />
    </main>
  );
}

void mount(Console);
