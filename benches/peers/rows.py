"""The rows of the comparison: what `load` is asked to do, and which figures of its report count."""

from dataclasses import dataclass, field


@dataclass
class Figure:
    """One number of a report: its unit, and how to read it."""

    unit: str
    read: object
    digits: int


@dataclass
class Row:
    name: str
    title: str
    action: list
    figures: list
    archive: bool = False
    tls: bool = False
    needs_archive: bool = False
    # Whether it needs a service of rooms, which the floor has not.
    rooms: bool = False
    # How often at most; memory hardly moves from run to run.
    repetitions: int = 99
    problems: object = field(default=lambda report: [])


US_PER_MESSAGE = Figure("us/msg", lambda r: r["server_us_per_message"], 2)
PER_SECOND = Figure("msg/s", lambda r: r["per_second"], 0)
MS_PER_LOGIN = Figure("ms", lambda r: r["server_ms_per_login"], 3)
US_PER_COPY = Figure("us/copy", lambda r: r["server_us_per_copy"], 2)
US_PER_PRESENCE = Figure("us/presence", lambda r: r["entering"]["server_us_per_presence"], 2)
SECONDS_TO_ENTER = Figure("s to enter", lambda r: r["entering"]["used"]["seconds"], 2)
KIB = Figure("KiB", lambda r: r["server_kib_per_session"], 1)


def latency(key):
    return Figure(f"{key.removesuffix('_ms')} ms", lambda r: r["latency"][key], 3)


def chat_problems(report):
    found = {
        "lost": report["tally"]["lost"],
        "duplicated": report["tally"]["duplicated"],
        "reordered": report["tally"]["reordered"],
        "errors": report["errors"],
        "unsent": report["unsent"],
        "sessions lost": report["sessions_lost"],
        "unacknowledged": report["unacknowledged"],
    }
    problems = [f"{count} {what}" for what, count in found.items() if count]
    if report["server_us_per_message"] is None:
        problems.append("nothing done in the measured time")
    rate = report["options"]["rate"]
    if rate and report["per_second"] < 0.98 * rate:
        problems.append(f"only {report['per_second']:.0f} msg/s")
    return problems


def room_problems(report):
    found = {what: report["tally"][what] for what in ("lost", "duplicated", "reordered")}
    found |= {"errors": report["errors"], "sessions lost": report["sessions_lost"]}
    return [f"{count} {what}" for what, count in found.items() if count]


def login_problems(report):
    return [f"{report['failed']} failed"] if report["failed"] else []


def idle_problems(report):
    return [f"{report['sessions_lost']} lost"] if report["sessions_lost"] else []


def rows(quick):
    """All rows; `quick` makes them shorter and smaller."""
    seconds, warm_up = ("2", "0.5") if quick else ("3", "1")
    sessions = "1000" if quick else "5000"
    logins = "300" if quick else "1000"

    def chat(*more):
        return ["chat", "--seconds", seconds, "--warm-up", warm_up, *more]

    few = chat("--pairs", "50", "--window", "10")
    many = chat("--pairs", "500", "--window", "1")
    rate = chat("--pairs", "250", "--rate", "5000")
    login = ["login", "--count", logins, "--accounts", "100"]
    idle = ["idle", "--sessions", sessions, "--settle", "2", "--hold", "1"]
    talk = {"problems": chat_problems}

    def room(name, title, occupants, archive=False):
        action = ["room", "--seconds", seconds, "--warm-up", warm_up, "--occupants", occupants]
        return Row(name, f"room of {occupants}, 10 speak, {title}", action,
                   [US_PER_COPY, latency("p99_ms"), US_PER_PRESENCE, SECONDS_TO_ENTER],
                   archive=archive, rooms=True,
                   problems=room_problems)

    return [
        Row("chat-50x10", "chat, 50 pairs, window 10, archive off", few, [US_PER_MESSAGE], **talk),
        Row("chat-500x1", "chat, 500 pairs, window 1, archive off", many, [US_PER_MESSAGE], **talk),
        Row("chat-50x10-tls", "chat, 50 pairs, window 10, archive off, TLS 1.3", few,
            [US_PER_MESSAGE], tls=True, **talk),
        Row("chat-500x1-tls", "chat, 500 pairs, window 1, archive off, TLS 1.3", many,
            [US_PER_MESSAGE], tls=True, **talk),
        Row("chat-50x10-ack", "chat, 50 pairs, window 10, archive on, done when acknowledged",
            [*few, "--ack"], [US_PER_MESSAGE, PER_SECOND], archive=True, needs_archive=True, **talk),
        Row("rate-5000", "open loop, 5,000 msg/s over 250 pairs, archive off", rate,
            [latency("p50_ms"), latency("p99_ms"), US_PER_MESSAGE], **talk),
        room("room-100", "archive off", "100"),
        room("room-500", "archive off", "500"),
        room("room-500-archive", "archive on", "500", archive=True),
        Row("login-plain", "log-in, SCRAM-SHA-1, plain TCP", login, [MS_PER_LOGIN],
            problems=login_problems),
        Row("login-tls", "log-in, SCRAM-SHA-1, TLS 1.3", login, [MS_PER_LOGIN], tls=True,
            problems=login_problems),
        Row("idle-plain", f"idle session, {int(sessions):,} held, plain TCP", idle, [KIB],
            repetitions=2, problems=idle_problems),
        Row("idle-tls", f"idle session, {int(sessions):,} held, TLS 1.3", idle, [KIB], tls=True,
            repetitions=2, problems=idle_problems),
    ]
