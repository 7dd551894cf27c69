// An OpenID Connect provider, certified software, for tests: the first line of standard input is
// { client: { id, secret, back }, people }, where `people` are the claims of each by what they enter to sign in. A person
// with `inUserinfo` is told of by userinfo alone. Standard output answers with the issuer once it listens. Each further
// line is { down }: whether it is to answer nobody.

import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address();
const issuer = `http://127.0.0.1:${port}`;
process.stdout.write(`${issuer}\n`);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { client, people } = JSON.parse((await lines.next()).value);

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: client.id,
      client_secret: client.secret,
      redirect_uris: [client.back],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  pkce: { required: () => true },
  claims: { email: ["email", "email_verified"], profile: ["name"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["for tests alone"] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  findAccount: (_, accountId) =>
    people[accountId] && {
      accountId,
      claims: (use) => {
        const { inUserinfo, ...claims } = people[accountId];
        return { sub: accountId, ...(inUserinfo && use === "id_token" ? {} : claims) };
      },
    },
  /** Whoever signs in agrees to be told of. */
  loadExistingGrant: async ({ oidc }) => {
    const grant = new provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
    grant.addOIDCScope("openid email profile");
    await grant.save();
    return grant;
  },
});

const FORM = `<!doctype html><html lang="en"><title>Provider</title><link rel="icon" href="data:,"><h1>Provider</h1>
<form method="post"><label>Who are you? <input name="login"></label>
<button>Let me in</button> <button name="cancel" value="1">Don't</button></form>`;

provider.use(async (context, next) => {
  if (!context.path.startsWith("/interaction/")) return next();
  if (context.method === "GET") {
    context.type = "html";
    context.body = FORM;
    return;
  }
  let body = "";
  for await (const part of context.req) body += part;
  const form = new URLSearchParams(body);
  const result = form.has("cancel") ? { error: "access_denied" } : { login: { accountId: form.get("login") } };
  context.redirect(await provider.interactionResult(context.req, context.res, result));
});

server.on("request", provider.callback());

for await (const line of lines) {
  const { down } = JSON.parse(line);
  server.closeAllConnections();
  if (down) await new Promise((closed) => server.close(closed));
  else await new Promise((listening) => server.listen(port, "127.0.0.1", listening));
  process.stdout.write("done\n");
}
process.exit();
