"""What looking does: nothing, neither by scanners of mail nor by what is smuggled into a page. And all by keyboard."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.running import wait_until
from tests.web.browser import Browser, Person
from tests.web.provider import NAME, sign_in_there
from tests.web.town import Come, Town, found, invite

SCANNERS = (
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Win64; x64; Trident/5.0) Barracuda Sentinel",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120 Safari/537.36 Edg/120 SafeLinks",
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
    "Mimecast/1.0 (URL Protect)",
    "Mozilla/5.0 (compatible; Cisco Secure Email; IronPort)",
    "Mozilla/5.0 (compatible; Symantec Email Security.cloud)",
    "Mozilla/5.0 (compatible; Trend Micro Email Inspector)",
    "FireEye ETP link checker",
    "Sophos Email Appliance",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "GoogleImageProxy",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack-ImgProxy",
    "TelegramBot (like TwitterBot)",
    "WhatsApp/2.23.20.0",
    "facebookexternalhit/1.1",
    "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 SkypeUriPreview Preview/0.5",
    "Microsoft Office/16.0 (Microsoft Outlook 16.0)",
    "curl/8.5.0",
    "",
)
PREFETCHING = {"purpose": "prefetch", "sec-purpose": "prefetch;prerender", "x-moz": "prefetch"}
COOKIES = {"__Host-session": "made-up", "__Host-sign-in": "made-up", "other": "1"}

pytestmark = pytest.mark.slow


def made_link(admin: Person) -> str:
    admin.follow("Invite link")
    admin.click("Create link")
    admin.see("The link is ready.")
    link: str = admin.do("valueOf", "Link")
    return link


def test_twenty_mail_scanners_change_nothing_and_use_nothing_up(newcomer: Come, town: Town) -> None:
    ada = newcomer()
    console = found(ada, town, "ada", "Scanned")
    link = made_link(ada)
    invite(ada, "eve@example.com")
    mailed = town.mail_to("eve@example.com").link
    kim = newcomer("/sign-in?return=/invitations")
    kim.click(f"Continue with {NAME}")
    kim.see("Who are you?")
    kim.fill("Who are you?", "kim")
    back = kim.do("click and stop", ["Let me in", "/sign-in/callback"])

    page = httpx.URL(f"{town.url}/invitations")
    files = [str(page.join(name)) for name in re.findall(r'(?:href|src)="([^"]+)"', httpx.get(page).text)]
    paths = ("", "/sign-in", "/sign-in?return=/console", "/invitations", "/console/tokens")
    ways_back = ("/sign-in/callback", "/sign-in/callback?error=access_denied", back.removeprefix(town.url))
    links = [link, mailed, console, f"{console}/members", *files, *(town.url + path for path in (*paths, *ways_back))]
    # What was sent is noted down a moment after it arrived.
    wait_until(lambda: town.query("select count(*) from invitations where delivery_state = 'queued'") == [(0,)])
    before = town.rows()
    for number, scanner in enumerate(SCANNERS):
        headers = {"user-agent": scanner} | (PREFETCHING if number % 3 == 0 else {})
        with httpx.Client(headers=headers, cookies=COOKIES if number % 2 else None, follow_redirects=True) as http:
            for method in ("HEAD", "GET"):
                for url in links:
                    answer = http.request(method, url)
                    callback = method == "HEAD" and "/sign-in/callback" in url
                    assert answer.status_code == (405 if callback else 200), (scanner, method, url)
    # Some are whole browsers.
    sandbox = newcomer(userAgent=SCANNERS[1])
    for url in (link, mailed, back, console):
        sandbox.open(url)
        sandbox.do("still")
    after = town.rows()
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}

    # All that was looked at still does what it is for.
    kim.open(back)
    kim.see("There is no invitation in this tab")
    kim.open(link)
    kim.click("Join")
    kim.see("You are a member of Scanned now.")
    eve = newcomer()
    eve.open(mailed)
    eve.follow("Sign in to answer")
    sign_in_there(eve, town.service, "eve")
    eve.click("Accept")
    eve.see("You are a member of Scanned now.")
    assert town.rows() != after


@pytest.mark.parametrize(
    "path", ["/invite/3f0e7e1c-9d3c-4b52-8a11-2f64c7f2a111", "/invitations", "/sign-in", "/console"]
)
def test_what_is_smuggled_into_a_page_does_not_run(path: str, town: Town, chromium: Browser) -> None:
    person = chromium.come()
    person.do(
        "smuggle",
        "<script>globalThis.harmed = 1</script><img src=/nothing onerror='globalThis.harmed = 1'>"
        "<base href='https://evil.example/'><iframe src='https://evil.example/'></iframe>"
        "<style>body { display: none }</style><script src='https://evil.example/x.js'></script>"
        "<form action='https://evil.example/'></form><script>document.forms[0].submit()</script>",
    )
    person.open(town.url + path)
    person.do("still")
    assert person.do("misbehave") == {
        "html": "TypeError",
        "script": "TypeError",
        "text": "EvalError",
        "handler": "TypeError",
    }
    assert person.do("harmed") is None
    stopped = {line.split()[4] for line in person.said() if line.startswith("stopped by the policy: ")}
    expected = {"script-src-elem", "script-src-attr", "style-src-elem", "base-uri", "frame-src"}
    assert expected <= stopped
    # The page itself works all the same.
    assert person.do("look")["heading"]
    person.do("leave")


def test_all_is_done_by_keyboard_alone(newcomer: Come, town: Town) -> None:
    def go(person: Person, name: str, key: str = "Enter") -> None:
        assert person.do("reach", name), f"nobody sees that the focus is on {name}"
        person.press(key)

    def signed_in(person: Person, login: str) -> None:
        go(person, f"Continue with {NAME}")
        person.see("Who are you?")
        assert person.do("reach", "Who are you?")
        person.do("type", login)
        person.press("Enter")

    ada = newcomer("/console")
    ada.see(f"Continue with {NAME}")
    signed_in(ada, "mia")
    ada.see("New organization")
    go(ada, "New organization")
    ada.see("Everybody in it sees the name")
    ada.press("Escape")
    assert ada.do("focus") == "New organization"
    ada.press("Enter")
    ada.see("Everybody in it sees the name")
    ada.do("type", "By keyboard")
    ada.press("Enter")
    ada.see("By keyboard was created.")
    go(ada, "Invite link")
    ada.see("There is no invite link.")
    go(ada, "Create link")
    ada.see("The link is ready.")
    go(ada, "Copy")
    ada.see("Copied")
    link = ada.do("clipboard")
    go(ada, "Replace link")
    ada.see("The old link stops working at once")
    ada.press("Escape")
    assert ada.do("focus") == "Replace link"

    nia = newcomer()
    nia.open(link)
    nia.see("To join you need to be signed in.")
    go(nia, "Sign in to join")
    nia.see(f"Continue with {NAME}")
    signed_in(nia, "nia")
    nia.see("Nothing happens until you join.")
    go(nia, "Join")
    nia.see("You are a member of By keyboard now.")
    assert nia.do("focus") == "You are a member of By keyboard now."
    go(nia, "Go to By keyboard")
    nia.see("2 members")
