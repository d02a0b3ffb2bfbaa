"""Write e-mails and logs in the usual formats, since too few real ones may be shared to learn from.

The body of a letter is made of paragraphs of the corpus (manuals, handbooks, stories in many languages); headers,
quoting lines and signature are made up. Logs are all made up, in a dozen well-known formats. One seed decides it all.
"""

# The long lines are templates of text, which are easier to read unbroken.
# ruff: noqa: E501, SIM905

from __future__ import annotations

import re
from collections.abc import Callable

from dress import FIRST, MONTHS, Dice

DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
SHORT = [month[:3] for month in MONTHS]
QUOTING = {
    "en": (
        "On {date}, {name} wrote:",
        "{name} <{address}> writes:",
        "{name} wrote on {date}:",
        "On {iso}, {name} <{address}> wrote:",
    ),
    "de": (
        "Am {day}.{month}.{year} um {time} schrieb {name}:",
        "{name} schrieb am {day}.{month}.{year}:",
        "Am {iso} schrieb {name}:",
    ),
    "fr": ("Le {day}/{month}/{year} à {time}, {name} a écrit :", "{name} a écrit :", "Le {iso}, {name} a écrit :"),
    "es": ("El {day}/{month}/{year}, {name} escribió:", "{name} escribió:", "El {iso} a las {time}, {name} escribió:"),
    "it": ("Il {day}/{month}/{year} {time}, {name} ha scritto:", "{name} ha scritto:"),
    "pt": ("Em {day}/{month}/{year}, {name} escreveu:", "{name} escreveu:"),
    "nl": ("Op {day}-{month}-{year} om {time} schreef {name}:", "{name} schreef:"),
    "pl": ("W dniu {day}.{month}.{year} o {time}, {name} pisze:", "{name} napisał(a):"),
    "ru": ("{day}.{month}.{year} {time}, {name} пишет:", "{name} писал(а):"),
    "ja": ("{year}年{month}月{day}日 {time} {name} <{address}>:", "{name} さんは書きました:"),
}
GREETINGS = {
    "en": ("Hi {name},", "Dear {name},", "Hello,", "Hi all,", "Hello {name},", ""),
    "de": (
        "Hallo {name},",
        "Liebe Kolleginnen und Kollegen,",
        "Sehr geehrter Herr {last},",
        "Hallo,",
        "Guten Tag,",
        "Moin,",
        "",
    ),
    "fr": ("Bonjour {name},", "Bonjour,", "Salut {name},", "Bonjour à tous,", "Cher {name},", ""),
    "es": ("Hola {name}:", "Hola a todos,", "Estimado {name}:", "Buenos días,", ""),
    "it": ("Ciao {name},", "Buongiorno,", "Salve,", "Gentile {last},", ""),
    "pt": ("Olá {name},", "Bom dia,", "Caro {name},", ""),
    "nl": ("Hallo {name},", "Beste {name},", "Goedemorgen,", ""),
    "pl": ("Cześć {name},", "Dzień dobry,", "Witam,", ""),
    "ru": ("Здравствуйте, {name}!", "Привет,", "Добрый день!", ""),
    "ja": ("{last}さん", "こんにちは、{last}です。", "お世話になっております。", ""),
}
FAREWELLS = {
    "en": ("Best regards,", "Thanks,", "Cheers,", "Regards,", "Kind regards,", "Best,", "Thanks in advance,", "--"),
    "de": ("Viele Grüße", "Mit freundlichen Grüßen", "Gruß", "Liebe Grüße", "Schöne Grüße", "Danke und Gruß"),
    "fr": ("Cordialement,", "Amicalement,", "Bonne journée,", "Merci d'avance,", "À bientôt,", "Bien à vous,"),
    "es": ("Un saludo,", "Saludos,", "Gracias,", "Atentamente,", "Un abrazo,"),
    "it": ("Saluti,", "Cordiali saluti,", "Grazie,", "Ciao,"),
    "pt": ("Atenciosamente,", "Um abraço,", "Obrigado,", "Cumprimentos,"),
    "nl": ("Met vriendelijke groet,", "Groeten,", "Bedankt,"),
    "pl": ("Pozdrawiam,", "Z poważaniem,"),
    "ru": ("С уважением,", "Спасибо,", "Всего доброго,"),
    "ja": ("よろしくお願いいたします。", "以上、よろしくお願いします。", "それでは。"),
}
LAST = {
    "en": "Smith Jones Taylor Brown Wilson Evans Thomas Walker Wright Green Clarke Baker Hughes Turner",
    "de": "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Richter Klein Wolf",
    "fr": "Martin Bernard Dubois Thomas Robert Petit Durand Leroy Moreau Simon Laurent Lefebvre Michel Garcia",
    "es": "García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Ruiz",
    "it": "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo",
    "pt": "Silva Santos Ferreira Pereira Oliveira Costa Rodrigues Martins Sousa Fernandes Almeida",
    "nl": "de Vries Jansen Bakker Visser Smit Meijer Mulder Bos Vos Peters",
    "pl": "Nowak Kowalski Wiśniewski Wójcik Kamiński Lewandowski Zieliński Szymański",
    "ru": "Ivanov Smirnov Kuznetsov Popov Sokolov Lebedev Kozlov Novikov Morozov Petrov",
    "ja": "Sato Suzuki Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi Kato",
}
GIVEN = {
    "en": FIRST, "de": "Hans Peter Klaus Anna Sabine Jürgen Stefan Uwe Monika Katrin Thomas Jörg".split(),
    "fr": "Jean Pierre Michel Marie Anne Philippe Sophie François Hélène Luc Claire".split(),
    "es": "José Juan Carlos María Ana Luis Javier Carmen Pablo Lucía".split(), "it": "Marco Luca Paolo Giulia Anna Francesco Elena".split(),
    "pt": "João Pedro Ana Maria Paulo Tiago Inês".split(), "nl": "Jan Pieter Marieke Kees Anneke Bas".split(),
    "pl": "Jan Piotr Anna Marek Katarzyna Paweł".split(), "ru": "Alexey Dmitry Sergey Anna Olga Ivan".split(),
    "ja": "Kenji Hiroshi Yuki Akira Takashi Naoko".split(),
}  # fmt: skip
WORDS = "Question about Re: Fwd: Problem with Update: Meeting on Patch for New version of Feedback on Announcing Minutes of Help with".split()


class Writer:
    """Writes letters and log files from one seed."""

    def __init__(self, seed: int) -> None:
        self.dice = Dice(seed)
        self.clock = 1_100_000_000 + self.dice.below(500_000_000)

    # -- time and names -------------------------------------------------------------------------------------------

    def tick(self, most: int) -> None:
        """Let up to `most` seconds pass."""
        self.clock += self.dice.below(most + 1)

    def now(self) -> tuple[int, int, int, int, int, int, str]:
        """Return year, month, day, hour, minute, second and the weekday's short name."""
        days, second = divmod(self.clock, 86400)
        weekday = DAYS[(days + 3) % 7]
        # civil date from a count of days: H. Hinnant, "chrono-compatible low-level date algorithms"
        days += 719468
        era, day_of_era = divmod(days, 146097)
        year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
        day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
        shifted = (5 * day_of_year + 2) // 153
        month = shifted + 3 if shifted < 10 else shifted - 9
        year = year_of_era + era * 400 + (month <= 2)
        return (
            year,
            month,
            day_of_year - (153 * shifted + 2) // 5 + 1,
            second // 3600,
            second // 60 % 60,
            second % 60,
            weekday,
        )

    def address(self) -> str:
        """Return an IPv4 address."""
        dice = self.dice
        if dice.chance(0.35):
            return f"{dice.pick(('192.168.1', '10.0.0', '192.168.0', '172.16.3', '10.1.2'))}.{dice.between(1, 254)}"
        return ".".join(str(dice.between(1, 254)) for _ in range(4))

    def host(self) -> str:
        """Return a host name."""
        dice = self.dice
        return dice.pick(
            (
                "localhost",
                "server1",
                "mail",
                "web01",
                "gw",
                "ubuntu",
                "debian",
                "db-2",
                f"{dice.word()}",
                f"ip-10-0-{dice.below(9)}-{dice.below(250)}",
                f"{dice.word()}.example.com",
            )
        )

    def hexadecimal(self, digits: int) -> str:
        """Return hexadecimal digits."""
        return "".join(self.dice.pick("0123456789abcdef") for _ in range(digits))

    # -- letters ----------------------------------------------------------------------------------------------------

    def letter(self, tongue: str, paragraphs: Callable[[], str]) -> str:
        """Return one e-mail in `tongue`, with text from `paragraphs`."""
        dice = self.dice
        self.tick(200_000)
        people = []
        for _ in range(3):
            given, last = dice.pick(GIVEN[tongue]), dice.pick(LAST[tongue].split())
            plain = re.sub(
                r"[^a-z.]", "", f"{given}.{last}".lower().translate(str.maketrans("äöüßéèíóúáñłśń", "aouseeiouanlsn"))
            )
            domain = dice.pick(
                (
                    "example.com",
                    "example.org",
                    f"{dice.word()}.{dice.pick(('com', 'org', 'net', tongue if tongue not in ('en', 'ja') else 'edu'))}",
                    "lists.example.net",
                )
            )
            people.append((given, last, f"{plain if dice.chance(0.7) else dice.word()}@{domain}"))
        year, month, day, hour, minute, second, weekday = self.now()
        zone = dice.pick(("+0000", "+0100", "+0200", "-0500", "-0700", "+0900", "-0400"))
        date = f"{weekday}, {day:{dice.pick(('', '02'))}} {SHORT[month - 1]} {year} {hour:02}:{minute:02}:{second:02} {zone}"
        first = paragraphs()
        subject = " ".join(first.split()[: dice.between(3, 7)]).strip(".,:;!?()")[:70]
        reply = dice.chance(0.55)
        subject = (
            ("Re: " if reply else "")
            + (f"[{dice.word()}-{dice.pick(('dev', 'users', 'list'))}] " if dice.chance(0.25) else "")
            + subject
        )
        head: list[str] = []
        if dice.chance(0.3):
            head.append(
                f"From {people[0][2]} {weekday} {SHORT[month - 1]} {day:2} {hour:02}:{minute:02}:{second:02} {year}"
            )
        head += [f"Return-Path: <{people[0][2]}>", f"Delivered-To: {people[1][2]}"] * dice.chance(0.35)
        for _ in range(dice.between(0, 3)):
            head.append(f"Received: from {dice.word()}.{people[0][2].split('@')[1]} ({dice.word()}.{dice.word()}.net [{self.address()}])\n"
                        f"\tby mx{dice.below(9)}.{people[1][2].split('@')[1]} ({dice.pick(('Postfix', '8.13.8/8.13.8', 'Exim 4.69'))}) with {dice.pick(('ESMTP', 'ESMTPS', 'SMTP'))} id {self.hexadecimal(10).upper()}\n"
                        f"\tfor <{people[1][2]}>; {date}")  # fmt: skip
        fields = [f"From: {people[0][0]} {people[0][1]} <{people[0][2]}>", f"To: {dice.pick((people[1][2], f'{people[1][0]} {people[1][1]} <{people[1][2]}>'))}",
                  f"Subject: {subject}", f"Date: {date}", f"Message-ID: <{dice.pick((f'{year}{month:02}{day:02}{hour:02}{minute:02}{second:02}.{self.hexadecimal(8)}', self.hexadecimal(16).upper()))}@{people[0][2].split('@')[1]}>"]  # fmt: skip
        fields += [
            f"In-Reply-To: <{self.hexadecimal(12)}@{people[1][2].split('@')[1]}>",
            f"References: <{self.hexadecimal(12)}@{people[1][2].split('@')[1]}>",
        ] * reply
        fields += [f"Cc: {people[2][0]} {people[2][1]} <{people[2][2]}>"] * dice.chance(0.25)
        mime = [
            "MIME-Version: 1.0",
            f"Content-Type: text/plain; charset={dice.pick(('utf-8', 'UTF-8', chr(34) + 'UTF-8' + chr(34)))}{dice.pick(('', '', '; format=flowed'))}",
            "Content-Transfer-Encoding: 8bit",
        ]
        extra = [
            f"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:{dice.between(31, 102)}.0) Gecko/20100101 Thunderbird/{dice.between(31, 102)}.0"
        ] * dice.chance(0.3) + [
            f"X-Mailer: {dice.pick(('Mutt 1.5.20', 'Apple Mail (2.1085)', 'Microsoft Outlook 16.0', 'Evolution 3.46', 'Claws Mail 4.1.1'))}"
        ] * dice.chance(0.2)
        if dice.chance(0.5):
            fields = fields[3:4] + fields[:3] + fields[4:]
        body: list[str] = []
        given, last, sender = people[1]
        if reply:
            opening = dice.pick(QUOTING[tongue]).format(
                date=f"{SHORT[month - 1]} {day}, {year} at {hour:02}:{minute:02}", iso=f"{year}-{month:02}-{day:02}", day=day, month=month,
                year=year, time=f"{hour:02}:{minute:02}", name=f"{given} {last}", address=sender)  # fmt: skip
            quoted = "\n".join(f"> {line}".rstrip() for line in first.split("\n"))
            if dice.chance(0.3):
                quoted = (
                    "\n".join(f">> {line[2:]}" for line in quoted.split("\n"))
                    + "\n>\n"
                    + "\n".join(f"> {line}" for line in paragraphs().split("\n"))
                )
            body += [f"{opening}\n{quoted}"]
        greeting = dice.pick(GREETINGS[tongue]).format(name=given, last=last)
        body[0:0] = [greeting] * bool(greeting)
        body += [first] * (not reply) + [paragraphs() for _ in range(dice.between(1, 3))]
        body.append(f"{dice.pick(FAREWELLS[tongue])}\n{people[0][0]}")
        if dice.chance(0.3):
            body.append(f"-- \n{people[0][0]} {people[0][1]}\nhttp://www.{people[0][2].split('@')[1]}/")
        return "\n".join([*head, *fields, *mime, *extra]) + "\n\n" + "\n\n".join(body) + "\n\n"

    # -- logs -------------------------------------------------------------------------------------------------------

    def log(self, size: int) -> str:
        """Return a log file of about `size` bytes in one of the known formats."""
        dice = self.dice
        form = dice.pick((self._access, self._access, self._syslog, self._syslog, self._auth, self._error, self._java, self._json,
                          self._dpkg, self._python, self._kernel, self._mail, self._squid, self._audit, self._build))  # fmt: skip
        self.clock += dice.below(30_000_000)
        host, lines, length = self.host(), [], 0
        paths = ["/", "/index.html", "/favicon.ico", "/robots.txt"] + [
            f"/{dice.word()}{dice.pick(('', '/', '.html', '.php', f'/{dice.word()}.jpg', f'/{dice.word()}.css', f'/{dice.word()}.js', f'?id={dice.below(999)}', f'/{dice.word()}/{dice.below(99)}'))}"
            for _ in range(25)
        ]
        peers = [self.address() for _ in range(dice.between(3, 20))]
        words = [dice.word() for _ in range(30)]
        while length < size:
            self.tick(dice.pick((1, 3, 20, 120)))
            line = form(host, paths, peers, words)
            lines.append(line)
            length += len(line) + 1
        return "\n".join(lines) + "\n"

    def _agent(self) -> str:
        dice = self.dice
        return dice.pick((
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{dice.between(40, 120)}.0.{dice.between(1000, 6000)}.{dice.below(200)} Safari/537.36",
            f"Mozilla/5.0 (X11; Linux x86_64; rv:{dice.between(20, 110)}.0) Gecko/20100101 Firefox/{dice.between(20, 110)}.0",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", f"curl/7.{dice.between(20, 88)}.0", "-",
            f"Mozilla/4.0 (compatible; MSIE {dice.between(6, 9)}.0; Windows NT 5.1; SV1)", f"python-requests/2.{dice.between(1, 31)}.0",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            f"Mozilla/5.0 (iPhone; CPU iPhone OS {dice.between(8, 16)}_{dice.below(5)} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{dice.between(8, 16)}.0 Mobile/15E148 Safari/604.1"))  # fmt: skip

    def _access(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        year, month, day, hour, minute, second, _ = self.now()
        stamp = f"{day:02}/{SHORT[month - 1]}/{year}:{hour:02}:{minute:02}:{second:02} +0{self.clock % 3}00"
        line = f'{dice.pick(peers)} - {dice.pick(("-", "-", "-", "-", dice.pick(words)))} [{stamp}] "{dice.pick(("GET", "GET", "GET", "GET", "POST", "HEAD"))} {dice.pick(paths)} HTTP/1.{dice.pick("1110")}" {dice.pick((200, 200, 200, 200, 304, 404, 301, 302, 500, 403))} {dice.pick(("-", dice.below(90000), dice.below(900), 209, 0))}'
        return line + (
            f' "{dice.pick(("-", "-", f"http://www.example.com{dice.pick(paths)}", "http://www.google.com/"))}" "{self._agent()}"'
            if len(peers) % 3
            else ""
        )

    def _stamp(self) -> str:
        _, month, day, hour, minute, second, _ = self.now()
        return f"{SHORT[month - 1]} {day:2} {hour:02}:{minute:02}:{second:02}"

    def _syslog(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        user, number, word = dice.pick(words), dice.between(300, 32000), dice.pick(words)
        return f"{self._stamp()} {host} " + dice.pick((
            f"CRON[{number}]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)", f"systemd[1]: Started {word.capitalize()} Service.",
            f"systemd[1]: Starting {word}.service - {word.capitalize()} daemon...", f"systemd[1]: {word}.service: Succeeded.",
            f"systemd[1]: {word}.service: Main process exited, code=exited, status={dice.below(3)}/FAILURE",
            f"dhclient[{number}]: DHCPREQUEST for {dice.pick(peers)} on eth0 to {dice.pick(peers)} port 67", f"dhclient[{number}]: DHCPACK from {dice.pick(peers)}",
            f"ntpd[{number}]: synchronized to {dice.pick(peers)}, stratum {dice.between(1, 4)}", f"su(pam_unix)[{number}]: session opened for user {user} by (uid=0)",
            f"kernel: [{dice.below(99999):5}.{dice.below(999999):06}] usb 1-{dice.below(9)}: new high-speed USB device number {dice.below(30)} using xhci_hcd",
            f"named[{number}]: client {dice.pick(peers)}#{dice.between(1024, 65535)}: query (cache) '{word}.com/A/IN' denied",
            f"NetworkManager[{number}]: <info>  [{self.clock}.{dice.below(9999):04}] device (wlan0): state change: activated -> deactivating (reason 'user-requested')",
            f"logrotate: ALERT exited abnormally with [{dice.below(3)}]", f"rsyslogd: [origin software=\"rsyslogd\" swVersion=\"8.2302.0\" x-pid=\"{number}\"] rsyslogd was HUPed",
            f"ftpd[{number}]: connection from {dice.pick(peers)} ({word}.net) at {self.now()[6]} {self._stamp()} {self.now()[0]}"))  # fmt: skip

    def _auth(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        user, number, peer, port = (
            dice.pick((*words[:6], "root", "admin", "test", "oracle")),
            dice.between(300, 32000),
            dice.pick(peers),
            dice.between(1024, 65535),
        )
        return f"{self._stamp()} {host} sshd[{number}]: " + dice.pick((
            f"Failed password for {user} from {peer} port {port} ssh2", f"Failed password for invalid user {user} from {peer} port {port} ssh2",
            f"Invalid user {user} from {peer}", f"Accepted password for {user} from {peer} port {port} ssh2", f"Connection closed by {peer} [preauth]",
            f"Received disconnect from {peer}: 11: Bye Bye [preauth]", f"pam_unix(sshd:session): session opened for user {user} by (uid=0)",
            f"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={peer}  user={user}",
            f"Accepted publickey for {user} from {peer} port {port} ssh2: RSA SHA256:{self.hexadecimal(20)}", f"pam_unix(sshd:session): session closed for user {user}"))  # fmt: skip

    def _error(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        year, month, day, hour, minute, second, weekday = self.now()
        if len(peers) % 2:
            return f"{year}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02} [{dice.pick(('error', 'warn', 'error', 'notice'))}] {dice.between(300, 32000)}#0: *{dice.below(99999)} " + dice.pick((
                f'open() "/usr/share/nginx/html{dice.pick(paths)}" failed (2: No such file or directory)', "upstream timed out (110: Connection timed out) while reading response header from upstream",
                "connect() failed (111: Connection refused) while connecting to upstream")) + f', client: {dice.pick(peers)}, server: {host}, request: "GET {dice.pick(paths)} HTTP/1.1", host: "www.example.com"'  # fmt: skip
        return f"[{weekday} {SHORT[month - 1]} {day:02} {hour:02}:{minute:02}:{second:02} {year}] [{dice.pick(('error', 'notice', 'warn', 'error'))}] " + dice.pick((
            f"[client {dice.pick(peers)}] File does not exist: /var/www/html{dice.pick(paths)}", f"[client {dice.pick(peers)}] Directory index forbidden by rule: /var/www/html/",
            f"[client {dice.pick(peers)}] script not found or unable to stat: /usr/lib/cgi-bin{dice.pick(paths)}", f"child pid {dice.between(300, 32000)} exit signal Segmentation fault (11)",
            "caught SIGTERM, shutting down", "Apache/2.4.57 (Debian) configured -- resuming normal operations", f"[client {dice.pick(peers)}] client denied by server configuration: /var/www{dice.pick(paths)}"))  # fmt: skip

    def _java(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        year, month, day, hour, minute, second, _ = self.now()
        name, package = (
            dice.pick(words).capitalize() + dice.pick(("Service", "Manager", "Handler", "Controller", "Client")),
            f"org.{words[0]}.{dice.pick(words[:5])}",
        )
        line = f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{dice.below(1000):03} {dice.pick(('INFO ', 'INFO ', 'WARN ', 'ERROR', 'DEBUG'))} [{dice.pick(('main', 'http-nio-8080-exec-' + str(dice.below(20)), 'IPC Server handler ' + str(dice.below(20)), 'Thread-' + str(dice.below(30))))}] {package}.{name}: " + dice.pick((
            f"Started {name} in {dice.below(20)}.{dice.below(999)} seconds", f"Connection to {dice.pick(peers)}:{dice.between(1024, 65535)} established", f"Received block blk_{dice.between(10**17, 10**18)} of size {dice.below(67108864)} from /{dice.pick(peers)}",
            f"Processing request {dice.pick(paths)} took {dice.below(2000)} ms", f"Retrying connect to server: {host}/{dice.pick(peers)}:8020. Already tried {dice.below(10)} time(s)", f"Loading configuration from {dice.pick(paths)}", f"Session 0x{self.hexadecimal(16)} closed"))  # fmt: skip
        if "ERROR" in line and dice.chance(0.6):
            line += f"\njava.{dice.pick(('io.IOException', 'lang.NullPointerException', 'net.SocketTimeoutException', 'lang.IllegalStateException'))}: {dice.pick(('Connection reset by peer', 'Read timed out', 'null', 'Stream closed'))}"
            line += "".join(
                f"\n\tat {package}.{dice.pick(words).capitalize()}.{dice.pick(words)}({dice.pick(words).capitalize()}.java:{dice.between(10, 900)})"
                for _ in range(dice.between(2, 7))
            )
        return line

    def _json(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        year, month, day, hour, minute, second, _ = self.now()
        return f'{{"time":"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{dice.below(1000):03}Z","level":"{dice.pick(("info", "info", "warn", "error", "debug"))}","msg":"{dice.pick(("request completed", "connection closed", "starting worker", "cache miss", "timeout waiting for response"))}","method":"{dice.pick(("GET", "POST", "PUT"))}","path":"{dice.pick(paths)}","status":{dice.pick((200, 200, 201, 204, 404, 500))},"duration_ms":{dice.below(900)}.{dice.below(100)},"remote_ip":"{dice.pick(peers)}","request_id":"{self.hexadecimal(8)}-{self.hexadecimal(4)}-4{self.hexadecimal(3)}-a{self.hexadecimal(3)}-{self.hexadecimal(12)}"}}'

    def _dpkg(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        year, month, day, hour, minute, second, _ = self.now()
        package = f"{dice.pick(('lib', 'python3-', '', 'lib'))}{dice.pick(words)}{dice.pick(('', '1', '-dev', '-common', '2'))}:{dice.pick(('amd64', 'all', 'amd64'))}"
        version = f"{dice.below(9)}.{dice.below(30)}.{dice.below(9)}-{dice.between(1, 5)}{dice.pick(('', '+deb12u1', 'ubuntu1', '+b1'))}"
        return f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} " + dice.pick((
            f"status half-configured {package} {version}", f"status unpacked {package} {version}", f"status installed {package} {version}", f"configure {package} {version} <none>", f"install {package} <none> {version}",
            f"status half-installed {package} {version}", "startup archives unpack", "startup packages configure", f"upgrade {package} {version} {version}.1", "trigproc man-db:amd64 2.11.2-2 <none>"))  # fmt: skip

    def _python(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        year, month, day, hour, minute, second, _ = self.now()
        line = f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{dice.below(1000):03} - {words[1]}.{dice.pick(words[:6])} - {dice.pick(('INFO', 'INFO', 'WARNING', 'ERROR', 'DEBUG'))} - " + dice.pick((
            f"loaded {dice.below(9999)} records from {dice.pick(paths)}", f"epoch {dice.below(90)}: loss={dice.below(4)}.{dice.below(9999):04} acc=0.{dice.below(9999):04}", f"worker {dice.below(16)} finished in {dice.below(90)}.{dice.below(99):02}s", f"retrying ({dice.below(5)}/5) after ConnectionError", f"user {dice.pick(words)} logged in from {dice.pick(peers)}"))  # fmt: skip
        if "ERROR" in line and dice.chance(0.6):
            line += (
                "\nTraceback (most recent call last):"
                + "".join(
                    f'\n  File "/usr/lib/python3/dist-packages/{words[1]}/{dice.pick(words[:8])}.py", line {dice.between(10, 900)}, in {dice.pick(words)}\n    {dice.pick(words)} = self.{dice.pick(words)}({dice.pick(words)})'
                    for _ in range(dice.between(1, 4))
                )
                + f"\n{dice.pick(('ValueError', 'KeyError', 'TypeError', 'ConnectionRefusedError', 'RuntimeError'))}: {dice.pick(words)} {dice.pick(words)}"
            )
        return line

    def _kernel(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        return f"[{(self.clock % 100000) / 7:12.6f}] " + dice.pick((
            f"pci 0000:{dice.below(256):02x}:{dice.below(32):02x}.{dice.below(8)}: [8086:{self.hexadecimal(4)}] type 00 class 0x{self.hexadecimal(6)}", f"ACPI: {dice.pick(words).upper()[:4]} 0x{self.hexadecimal(16).upper()} {self.hexadecimal(6).upper()} (v0{dice.below(5)} INTEL  {dice.pick(words).upper()[:8]} 00000001 INTL {dice.between(20100000, 20209999)})",
            f"BIOS-e820: [mem 0x{self.hexadecimal(16)}-0x{self.hexadecimal(16)}] {dice.pick(('usable', 'reserved', 'ACPI data'))}", f"usb {dice.below(4)}-{dice.below(9)}: New USB device found, idVendor={self.hexadecimal(4)}, idProduct={self.hexadecimal(4)}, bcdDevice= {dice.below(9)}.{dice.below(99):02}",
            f"ata{dice.below(8)}: SATA link up 6.0 Gbps (SStatus 133 SControl 300)", f"EXT4-fs (sda{dice.between(1, 8)}): mounted filesystem with ordered data mode. Opts: (null)", "e1000e 0000:00:19.0 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
            f"audit: type=1400 audit({self.clock}.{dice.below(1000):03}:{dice.below(99)}): apparmor=\"STATUS\" operation=\"profile_load\" profile=\"unconfined\" name=\"{dice.pick(words)}\" pid={dice.below(3000)} comm=\"apparmor_parser\"", f"input: {dice.pick(words).capitalize()} Keyboard as /devices/pci0000:00/0000:00:14.0/usb1/1-{dice.below(9)}/input/input{dice.below(30)}", f"{dice.pick(words)}: module verification failed: signature and/or required key missing - tainting kernel"))  # fmt: skip

    def _mail(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        queue, number = self.hexadecimal(10).upper(), dice.between(300, 32000)
        return f"{self._stamp()} {host} postfix/" + dice.pick((
            f"smtpd[{number}]: connect from {dice.pick(words)}.com[{dice.pick(peers)}]", f"smtpd[{number}]: disconnect from unknown[{dice.pick(peers)}]", f"smtpd[{number}]: {queue}: client={dice.pick(words)}.net[{dice.pick(peers)}]", f"cleanup[{number}]: {queue}: message-id=<{self.hexadecimal(16)}@{dice.pick(words)}.com>",
            f"qmgr[{number}]: {queue}: from=<{dice.pick(words)}@{dice.pick(words)}.com>, size={dice.below(99999)}, nrcpt=1 (queue active)", f"smtp[{number}]: {queue}: to=<{dice.pick(words)}@{dice.pick(words)}.org>, relay=mx.{dice.pick(words)}.org[{dice.pick(peers)}]:25, delay={dice.below(30)}.{dice.below(99)}, delays=0.{dice.below(99)}/0.01/{dice.below(9)}/{dice.below(9)}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {queue})",
            f"qmgr[{number}]: {queue}: removed", f"smtpd[{number}]: NOQUEUE: reject: RCPT from unknown[{dice.pick(peers)}]: 554 5.7.1 <{dice.pick(words)}@{dice.pick(words)}.com>: Relay access denied; from=<{dice.pick(words)}@{dice.pick(words)}.com> to=<{dice.pick(words)}@{dice.pick(words)}.com> proto=ESMTP helo=<{dice.pick(words)}>"))  # fmt: skip

    def _squid(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        return f"{self.clock}.{dice.below(1000):03} {dice.below(9000):6} {dice.pick(peers)} TCP_{dice.pick(('MISS', 'HIT', 'MISS', 'MEM_HIT', 'DENIED'))}/{dice.pick((200, 200, 304, 404, 403))} {dice.below(90000)} GET http://www.{dice.pick(words)}.com{dice.pick(paths)} - {dice.pick(('DIRECT', 'NONE', 'HIER_DIRECT'))}/{dice.pick((dice.pick(peers), '-'))} {dice.pick(('text/html', 'image/gif', 'image/jpeg', '-', 'application/javascript'))}"

    def _audit(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        return f'type={dice.pick(("SYSCALL", "USER_LOGIN", "CRED_ACQ", "USER_START"))} msg=audit({self.clock}.{dice.below(1000):03}:{dice.below(9999)}): pid={dice.below(32000)} uid=0 auid={dice.pick((0, 1000, 4294967295))} ses={dice.below(999)} msg=\'op=PAM:{dice.pick(("session_open", "setcred", "accounting", "authentication"))} acct="{dice.pick(words)}" exe="/usr/sbin/{dice.pick(("sshd", "crond", "sudo"))}" hostname={dice.pick(peers)} addr={dice.pick(peers)} terminal=ssh res={dice.pick(("success", "failed"))}\''

    def _build(self, host: str, paths: list[str], peers: list[str], words: list[str]) -> str:
        dice = self.dice
        unit = f"{dice.pick(words[:6])}/{dice.pick(words)}"
        return dice.pick((
            f"gcc -DHAVE_CONFIG_H -I. -I../include -g -O2 -Wall -fPIC -c -o {unit}.o {unit}.c", f"[{dice.below(100):3}%] Building CXX object src/CMakeFiles/{words[0]}.dir/{unit}.cpp.o", f"{unit}.c:{dice.between(10, 900)}:{dice.between(1, 60)}: warning: unused variable '{dice.pick(words)}' [-Wunused-variable]",
            f"  CC      {unit}.o", f"checking for {dice.pick(words)}.h... {dice.pick(('yes', 'no'))}", f"PASS: {unit}", f"test_{dice.pick(words)} ({words[2]}.{dice.pick(words).capitalize()}Test) ... ok", f"Get:{dice.below(99)} http://deb.example.org/debian stable/main amd64 lib{dice.pick(words)} amd64 {dice.below(9)}.{dice.below(9)}-1 [{dice.below(900)} kB]", f"Unpacking lib{dice.pick(words)} ({dice.below(9)}.{dice.below(9)}-1) ...", f"Setting up {dice.pick(words)} ({dice.below(9)}.{dice.below(9)}.{dice.below(9)}-1) ..."))  # fmt: skip


def paragraphs_of(text: str) -> list[str]:
    """Return the paragraphs of a plain text that suit a letter: running prose of 80 to 700 characters."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        block = "\n".join(line.strip() for line in block.strip().split("\n"))
        if (
            80 <= len(block) <= 700
            and not re.search(r"[<>{}|=#\\]", block)
            and block[0].isalpha()
            and block.rstrip()[-1] in ".!?。"
        ):
            found.append(block)
    return found


def wrapped(text: str, width: int) -> str:
    """Return `text` broken at spaces into lines of at most `width` characters."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])
