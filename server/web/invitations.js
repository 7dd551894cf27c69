// The page of one invitation. It reads which from the fragment, which browsers send to no server, and asks the service's
// own contract (proto/invitations/v1). Whatever is shown goes in as text, never as HTML.
"use strict";

const WORDS = {
  en: {
    title: "Invitation",
    heading: "Invitation to {organization}",
    organization: "Organization",
    members: "Members",
    role: "Your role",
    inviter: "Invited by",
    address: "Sent to",
    until: "Valid until",
    roles: { admin: "Admin", member: "Member" },
    access: "Access token",
    hint: "You get one from your application, or from the operator of this service by `organization-service token create`.",
    show: "Show the invitation",
    accept: "Accept",
    decline: "Decline",
    again: "Try again",
    continue: "Continue to {host}",
    asking: "One moment …",
    pending: "Nothing happens until you accept or decline.",
    identify: "Enter your access token to see this invitation.",
    missing: "Enter your access token first.",
    malformed: "This can't be an access token; copy it again, as a whole.",
    incomplete: "This link is incomplete; open the one in the mail again, as a whole.",
    unreachable: "The service didn't answer; try again.",
    joined: "You are a member of {organization} now.",
    already: "You were a member of {organization} already.",
    turnedDown: "You declined. You won't become a member.",
    states: {
      ACCEPTED: "The invitation of {email} was accepted already. If that was you, you are a member: open your application.",
      DECLINED: "The invitation of {email} was declined; a new one is needed.",
      REVOKED: "The invitation of {email} was revoked; a new one is needed.",
      EXPIRED: "The invitation of {email} has expired; ask for it to be sent again.",
    },
  },
  de: {
    title: "Einladung",
    heading: "Einladung zu {organization}",
    organization: "Organisation",
    members: "Mitglieder",
    role: "Ihre Rolle",
    inviter: "Eingeladen von",
    address: "Gesendet an",
    until: "Gültig bis",
    roles: { admin: "Admin", member: "Mitglied" },
    access: "Zugangstoken",
    hint: "Sie bekommen es von Ihrer Anwendung, oder vom Betreiber dieses Dienstes mit `organization-service token create`.",
    show: "Einladung zeigen",
    accept: "Annehmen",
    decline: "Ablehnen",
    again: "Noch einmal versuchen",
    continue: "Weiter zu {host}",
    asking: "Einen Moment …",
    pending: "Nichts geschieht, solange Sie nicht annehmen oder ablehnen.",
    identify: "Geben Sie Ihr Zugangstoken ein, um diese Einladung zu sehen.",
    missing: "Geben Sie zuerst Ihr Zugangstoken ein.",
    malformed: "Das kann kein Zugangstoken sein; kopieren Sie es noch einmal ganz.",
    incomplete: "Dieser Link ist unvollständig; öffnen Sie den in der Mail noch einmal ganz.",
    unreachable: "Der Dienst hat nicht geantwortet; versuchen Sie es noch einmal.",
    joined: "Sie sind jetzt Mitglied von {organization}.",
    already: "Sie waren schon Mitglied von {organization}.",
    turnedDown: "Sie haben abgelehnt. Sie werden nicht Mitglied.",
    states: {
      ACCEPTED: "Die Einladung von {email} wurde schon angenommen. Wenn Sie das waren, sind Sie Mitglied: Öffnen Sie Ihre Anwendung.",
      DECLINED: "Die Einladung von {email} wurde abgelehnt; eine neue ist nötig.",
      REVOKED: "Die Einladung von {email} wurde zurückgezogen; eine neue ist nötig.",
      EXPIRED: "Die Einladung von {email} ist abgelaufen; bitten Sie darum, sie noch einmal zu senden.",
    },
  },
  es: {
    title: "Invitación",
    heading: "Invitación a {organization}",
    organization: "Organización",
    members: "Miembros",
    role: "Su rol",
    inviter: "Invitado por",
    address: "Enviada a",
    until: "Válida hasta",
    roles: { admin: "Administrador", member: "Miembro" },
    access: "Token de acceso",
    hint: "Lo obtiene de su aplicación, o del operador de este servicio con `organization-service token create`.",
    show: "Mostrar la invitación",
    accept: "Aceptar",
    decline: "Rechazar",
    again: "Intentar de nuevo",
    continue: "Continuar a {host}",
    asking: "Un momento …",
    pending: "No ocurre nada hasta que acepte o rechace.",
    identify: "Introduzca su token de acceso para ver esta invitación.",
    missing: "Introduzca primero su token de acceso.",
    malformed: "Esto no puede ser un token de acceso; cópielo de nuevo, completo.",
    incomplete: "Este enlace está incompleto; abra de nuevo el del correo, completo.",
    unreachable: "El servicio no respondió; inténtelo de nuevo.",
    joined: "Ahora es miembro de {organization}.",
    already: "Ya era miembro de {organization}.",
    turnedDown: "Ha rechazado la invitación. No será miembro.",
    states: {
      ACCEPTED: "La invitación de {email} ya fue aceptada. Si fue usted, ya es miembro: abra su aplicación.",
      DECLINED: "La invitación de {email} fue rechazada; hace falta una nueva.",
      REVOKED: "La invitación de {email} fue retirada; hace falta una nueva.",
      EXPIRED: "La invitación de {email} ha caducado; pida que se la envíen de nuevo.",
    },
  },
  zh: {
    title: "邀请",
    heading: "加入 {organization} 的邀请",
    organization: "组织",
    members: "成员数",
    role: "您的角色",
    inviter: "邀请人",
    address: "发送至",
    until: "有效期至",
    roles: { admin: "管理员", member: "成员" },
    access: "访问令牌",
    hint: "可从您的应用程序获得，或由本服务的运营者用 `organization-service token create` 创建。",
    show: "显示邀请",
    accept: "接受",
    decline: "拒绝",
    again: "重试",
    continue: "前往 {host}",
    asking: "请稍候……",
    pending: "在您接受或拒绝之前，不会发生任何事。",
    identify: "请输入访问令牌以查看此邀请。",
    missing: "请先输入访问令牌。",
    malformed: "这不是有效的访问令牌；请重新完整复制。",
    incomplete: "此链接不完整；请重新完整打开邮件中的链接。",
    unreachable: "服务没有响应；请重试。",
    joined: "您现在是 {organization} 的成员。",
    already: "您已经是 {organization} 的成员。",
    turnedDown: "您已拒绝，不会成为成员。",
    states: {
      ACCEPTED: "{email} 的邀请已被接受。如果是您本人接受的，您已是成员：请打开您的应用程序。",
      DECLINED: "{email} 的邀请已被拒绝；需要新的邀请。",
      REVOKED: "{email} 的邀请已被撤回；需要新的邀请。",
      EXPIRED: "{email} 的邀请已过期；请要求重新发送。",
    },
  },
};

const language = navigator.languages.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in WORDS) ?? "en";
const words = WORDS[language];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const KEPT = "invitation";
const at = (id) => document.getElementById(id);
const fill = (text, facts) => text.replace(/\{(\w+)\}/g, (_, name) => facts[name]);

/** Why something didn't happen. A sentence of the service's is English; `unknown` where it may have happened after all. */
class Refusal extends Error {
  constructor(message, { lang = language, unknown = false } = {}) {
    super(message);
    this.lang = lang;
    this.unknown = unknown;
  }
}

let which = null; // what the link names: { token } or { invitationId }
let visit = 0; // rises with every link that is opened in this tab; what belongs to an older one is dropped
let preview = null; // the invitation, and the service's time when it gave it
let busy = false;
const keys = new Map(); // Idempotency-Key by what is sent, so that trying again can't do it twice

/** Gives what a link names, or null where it names nothing that could be. */
function named(fragment) {
  if (fragment.startsWith("id=")) {
    return UUID.test(fragment.slice(3)) ? { invitationId: fragment.slice(3) } : null;
  }
  return /^[\x21-\x7e]{1,256}$/.test(fragment) ? { token: fragment } : null;
}

/** Takes the fragment out of the address bar and the history, and keeps it for this tab alone. */
function takeFragment() {
  const given = location.hash.slice(1);
  try {
    if (given) sessionStorage.setItem(KEPT, given);
  } catch {
    // Storage may be forbidden; then the page forgets the link when it is loaded again.
  }
  if (given) history.replaceState(null, "", location.pathname + location.search);
  try {
    return given || (sessionStorage.getItem(KEPT) ?? "");
  } catch {
    return given;
  }
}

/** Calls a method of the contract; throws a Refusal. */
async function ask(method, headers = {}) {
  let response, content;
  try {
    response = await fetch(new URL(`invitations.v1.InvitationService/${method}`, location.href), {
      method: "POST",
      headers: { "content-type": "application/json", "connect-protocol-version": "1", ...headers },
      body: JSON.stringify(which),
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(40_000),
    });
    content = await response.json();
  } catch {
    throw new Refusal(words.unreachable, { unknown: true });
  }
  if (response.ok) return { ...content, date: Date.parse(response.headers.get("date")) };
  const unknown = response.status >= 500 || response.status === 409;
  if (!content?.message) throw new Refusal(words.unreachable, { unknown });
  throw new Refusal(content.message, { lang: "en", unknown });
}

function newKey() {
  // crypto.randomUUID isn't there where a page comes over plain HTTP.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function say(text, { wrong = false, lang = language } = {}) {
  const status = at("status");
  status.lang = lang;
  status.classList.toggle("wrong", wrong);
  status.textContent = text;
}

function accessToken() {
  const token = at("access").value.trim();
  const problem = !token ? words.missing : /^[\x21-\x7e]+$/.test(token) ? "" : words.malformed;
  at("access").setAttribute("aria-invalid", String(Boolean(problem)));
  if (problem) {
    at("access").focus();
    throw new Refusal(problem);
  }
  return token;
}

/** Shows what the service tells about the invitation. */
function showFacts(invitation) {
  const role = words.roles[invitation.role] ?? invitation.role;
  const until = new Intl.DateTimeFormat(navigator.languages, { dateStyle: "long", timeStyle: "short" });
  const facts = [
    [words.organization, invitation.organizationName],
    [words.members, String(invitation.organizationMemberCount)],
    [words.role, [role, ...invitation.namedRoles].join(", ")],
    [words.inviter, invitation.inviterName],
    [words.address, invitation.maskedEmail],
    [words.until, until.format(new Date(invitation.expiresAt))],
  ];
  const rows = facts.filter(([, value]) => value).flatMap(([name, value]) => {
    const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    detail.textContent = value;
    detail.dir = "auto";
    return [term, detail];
  });
  at("facts").replaceChildren(...rows);
  at("facts").hidden = false;
  at("title").textContent = fill(words.heading, { organization: invitation.organizationName });
  document.title = at("title").textContent;
}

/** Shows where to go on, if the invitation says. The service has checked it when the invitation was made. */
function showOnward(invitation) {
  const url = URL.canParse(invitation.redirectUrl) ? new URL(invitation.redirectUrl) : null;
  at("onward").hidden = !["https:", "http:"].includes(url?.protocol);
  if (at("onward").hidden) return;
  at("continue").href = url.href;
  at("continue").textContent = fill(words.continue, { host: url.host });
}

/** Asks for an access token: to see the invitation, or once it is seen to answer it. */
function showForm() {
  at("form").hidden = false;
  at("primary").textContent = preview ? words.accept : words.show;
  at("decline").hidden = !preview;
}

/** Shows an invitation that can't be answered any more, or was just now. */
function showEnd(invitation, text) {
  at("form").hidden = true;
  at("access").value = "";
  showFacts(invitation);
  if (invitation.status === "INVITATION_STATUS_ACCEPTED") showOnward(invitation);
  say(text);
  at("title").focus();
}

function showPreview(answer) {
  const { invitation } = answer;
  const state = words.states[invitation.status.replace("INVITATION_STATUS_", "")];
  if (state) return showEnd(invitation, fill(state, { email: invitation.maskedEmail }));
  preview = answer;
  showFacts(invitation);
  showForm();
  return say(words.pending);
}

async function answer(method) {
  const access = accessToken();
  const { date } = preview;
  const what = JSON.stringify([method, which, access]);
  if (!keys.has(what)) keys.set(what, newKey());
  let given;
  try {
    given = await ask(method, { authorization: `Bearer ${access}`, "idempotency-key": keys.get(what) });
  } catch (refusal) {
    if (!refusal.unknown) keys.delete(what);
    throw refusal;
  }
  const joined = given.member && new Date(given.member.joinedAt) < date ? words.already : words.joined;
  const text = given.member ? joined : words.turnedDown;
  return () => showEnd(given.invitation, fill(text, { organization: given.invitation.organizationName }));
}

async function look() {
  const given = await ask("PreviewInvitation", which.token ? {} : { authorization: `Bearer ${accessToken()}` });
  return () => showPreview(given);
}

/** Does one thing at a time, and says what came of it unless another link was opened meanwhile. */
async function run(work) {
  if (busy) return;
  const mine = visit;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  at("again").hidden = true;
  say(words.asking);
  try {
    const show = await work();
    if (mine === visit) show();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (mine === visit) {
      say(refusal.message, { wrong: true, lang: refusal.lang });
      at("again").hidden = !at("form").hidden || !refusal.unknown;
    }
  } finally {
    if (mine === visit) {
      busy = false;
      document.body.removeAttribute("aria-busy");
    }
  }
}

function start() {
  visit += 1;
  busy = false;
  preview = null;
  document.body.removeAttribute("aria-busy");
  for (const id of ["facts", "onward", "form", "again"]) at(id).hidden = true;
  at("access").value = "";
  at("title").textContent = document.title = words.title;
  which = named(takeFragment());
  if (!which) return say(words.incomplete, { wrong: true });
  if (which.token) return run(look);
  showForm();
  return say(words.identify);
}

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = words[element.dataset.text];
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  run(preview ? () => answer("AcceptInvitation") : look);
});
at("decline").addEventListener("click", () => run(() => answer("DeclineInvitation")));
at("again").addEventListener("click", () => run(look));
// Another link opened in the same tab changes nothing but the fragment, and loads nothing.
addEventListener("hashchange", () => location.hash.length > 1 && start());
start();
