"""The board as one page: nothing outside of it is needed, and no script."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

from .. import view
from ..environments.places import Place
from ..ledger.event import Event
from ..ledger.signature import SIGNED, UNSIGNED
from ..view import who
from . import DAYS, metrics
from .history import Cell, Row
from .metrics import Figures
from .table import Board, summary, told

HERE = Path(__file__).parent
MARKS = {"passed": ("✓", "good"), "failed": ("✗", "bad")}
LEGEND = (
    "✓ passed · ✗ failed · – not yet · ↩ rolled back · ! forced · ⊘ revoked"
    " · ? approval not signed · ≠ its signature does not hold · the box: live there now"
)


def render(board: Board, served: bool = False, note: str = "") -> str:
    """Return the page.

    Args:
        board: what it shows.
        served: whether it comes from ``board --serve`` and shall refresh itself.
        note: what the reader has to know beside the board: that a remote does not answer, say.
    """
    style = (HERE / "page.css").read_text(encoding="utf-8")
    script = (HERE / "page.js").read_text(encoding="utf-8") if served else ""
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; base-uri 'none'; form-action 'none'"
    )
    if served:
        policy += f"; script-src '{_digest(script)}'; connect-src 'self'"
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        policy=policy,
        style=style,
        script=f"<script>{script}</script>" if served else "",
        title=escape(f"{board.config.name}: what is where"),
        name=escape(board.config.name),
        commit=board.head[:9],
        subject=escape(board.subject),
        asof=_time(board.at.isoformat(), "%Y-%m-%d %H:%M %Z") + escape(note),
        places="".join(map(_place, board.places))
        or "<li>Nothing is deployed by this pipeline.</li>",
        columns="".join(
            f'<th role="columnheader" scope="col">{escape(name)}</th>'
            for name in ("version", *board.config.stages)
        ),
        wide=' class="wide"' if len(board.config.stages) > 9 else "",
        rows="".join(map(_row, board.rows)),
        legend=LEGEND,
        older=_older(board),
        place=escape(board.place),
        stream=_stream(board),
        days=str(DAYS),
        figures=_figures(board),
        definition="".join(
            f"<dt>{escape(term)}</dt><dd>{escape(said)}</dd>"
            for term, said in metrics.definition(board.place, DAYS).items()
        ),
        events="".join(map(_events, board.rows)) or "<p>Nothing has happened yet.</p>",
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _time(at: str, form: str = "%Y-%m-%d %H:%M") -> str:
    local = datetime.fromisoformat(at).astimezone()
    return f'<time datetime="{escape(at)}">{escape(local.strftime(form))}</time>'


def _anchor(event: Event) -> str:
    """Return the event's name in the page; the same whenever the page is made."""
    return "e-" + hashlib.sha256(event.body().encode()).hexdigest()[:16]


def _link(event: Event, inner: str) -> str:
    return f'<a href="#{_anchor(event)}">{inner}</a>'


def _place(place: Place) -> str:
    live = place.live
    lines = [f"<h3>{escape(place.name)}</h3>"]
    drift = f'<p class="bad">≠ {escape(place.drifted)}</p>' if place.drift else ""
    if live is None:
        return f'<li>{lines[0]}<p class="soft">nothing was deployed there yet</p>{drift}</li>'
    lines.append(f'<p class="version">{_link(live, escape(str(live.version)))}</p>')
    by = f"since {_time(live.at)} by {escape(who(live.by))}"
    behind = f", {view.count(place.behind, 'commit')} behind" if place.behind else ""
    lines.append(f'<p class="soft">{by}{behind}</p>')
    if live.forced:
        lines.append(f'<p class="bad">! forced: {escape(live.reason or "")}</p>')
    if place.approval:
        colour = "soft" if place.signature.startswith(SIGNED) else "warn"
        said = f"approved by {who(place.approval.by)}, {place.signature}"
        lines.append(f'<p class="{colour}">{escape(said)}</p>')
    lines.append(drift)
    if place.answers not in (None, "yes"):
        said = "does not answer" if place.answers == "no" else f"answers {place.answers}"
        lines.append(f'<p class="bad">✗ {escape(said)}</p>')
    if place.next:
        waits = place.next.waits or "waits for somebody to deploy it"
        lines.append(f"<p>next: <strong>{escape(place.next.version)}</strong>: {escape(waits)}</p>")
    return f"<li>{''.join(lines)}</li>"


def _row(row: Row) -> str:
    name = escape(row.version or f"commit {row.commit[:9]}").replace("+", "<wbr>+")
    head = f'<span class="version">{_link(row.events[0], name)}</span>'
    if row.revoked:
        said = f"⊘ revoked by {escape(who(row.revoked.by))}"
        head += f'<span class="about bad">{_link(row.revoked, said)}</span>'
    about = " · ".join(filter(None, (row.about.subject, who(row.about.author))))
    head += f'<span class="about">{escape(about)}</span>'
    cells = "".join(_cell(stage, cell) for stage, cell in row.cells.items())
    state = ' class="revoked"' if row.revoked else ""
    return f'<tr role="row"{state}><th role="rowheader" scope="row">{head}</th>{cells}</tr>'


def _cell(stage: str, cell: Cell) -> str:
    begin = f'<td role="cell" data-stage="{escape(stage)}"'
    if cell.last is None:
        inner = '<span class="soft" aria-hidden="true">–</span><span class="hidden">not yet</span>'
        return f"{begin}>{inner}{_approval(cell)}</td>"
    sign, colour = MARKS.get(cell.verdict or "", ("·", "soft"))
    spent = view.took(cell.seconds) if cell.seconds is not None else cell.last.event
    over = " over budget" if cell.over else ""
    tries = f", try {cell.attempts}" if cell.attempts > 1 else ""
    word = cell.verdict or ""
    verdict = (
        f'<span class="{colour}"><span aria-hidden="true">{sign}</span>'
        f'<span class="hidden">{escape(stage)} {word}</span> {escape(spent)}</span>{tries}'
    )
    at = _time(cell.last.at, "%d %b %H:%M")
    by = escape(who(cell.last.by))
    meta = f'<span class="meta">{at}</span><span class="meta" title="{by}">{by}</span>'
    live = '<span class="live">live</span> ' if cell.live else ""
    marks = f'<span class="mark warn">{over}</span>' if over else ""
    if cell.forced:
        marks += f'<span class="mark bad">{_link(cell.forced, "! forced")}</span>'
    if cell.undone:
        marks += f'<span class="mark bad">{_link(cell.undone, "↩ rolled back")}</span>'
    state = ' class="is-live"' if cell.live else ""
    return f"{begin}{state}>{_link(cell.last, live + verdict + meta)}{marks}{_approval(cell)}</td>"


def _approval(cell: Cell) -> str:
    if cell.approval is None:
        return ""
    said = escape(f"approved by {who(cell.approval.by)}, {cell.signature}")
    short, colour = {
        "unproven": ("? not signed" if cell.signature == UNSIGNED else "? unproven", " warn"),
        "broken": ("≠ bad signature", " bad"),
    }.get(cell.doubt or "", ("approved", ""))
    link = _link(cell.approval, f'<span aria-hidden="true">{short}</span>{_hidden(said)}')
    return f'<span class="meta{colour}" title="{said}">{link}</span>'


def _hidden(said: str) -> str:
    return f'<span class="hidden">{said}</span>'


def _older(board: Board) -> str:
    """Return what stays visible of versions that are not shown any more."""
    lines = []
    for event in board.older:
        what = "! forced" if event.forced else "⊘" if event.event == "revoked" else "↩"
        said = f"{event.version}: {event.stage} {event.event} by {who(event.by)}"
        lines.append(
            f"<li>{what} {_time(event.at)} {escape(said)}: {escape(event.reason or '–')}</li>"
        )
    if not lines:
        return ""
    return (
        f'<details class="older" id="older"><summary>{summary(board)}</summary>'
        f"<ol>{''.join(lines)}</ol></details>"
    )


def _stream(board: Board) -> str:
    stream, slowest = board.stream, board.stream.slowest
    if slowest is None:
        return '<p class="soft">No commit has passed a stage yet.</p>'
    share = 100 * stream.waiting / stream.total if stream.total else 0
    longest = max(step.wait + step.run for step in stream.steps) or 1
    bars = []
    for step in stream.steps:
        wait, run = (100 * part / longest for part in (step.wait, step.run))
        said = f"waits {view.took(step.wait)}, takes {view.took(step.run)}"
        said += ": the bottleneck" if step is slowest else ""
        bars.append(
            f'<li{" class=slowest" if step is slowest else ""}><span>{escape(step.stage)}</span>'
            f'<svg aria-hidden="true"><rect class="wait" height="100%" width="{wait:.2f}%"/>'
            f'<rect class="run" height="100%" x="{min(wait, 99.4):.2f}%"'
            f' width="{max(run, 0.6):.2f}%"/>'
            f'</svg><span class="said">{said}</span></li>'
        )
    return (
        f'<p class="summary">{view.took(stream.total)} of stages, {int(share)} % of it waiting'
        f' <span class="soft">(medians of the versions shown, one stage after the other)</span></p>'
        f'<ol class="steps">{"".join(bars)}</ol>'
    )


def _figures(board: Board) -> str:
    plots: dict[str, list[float | None]] = {
        "lead time": [week.lead.median for week in board.weeks],
        "deployment frequency": [float(week.changes) for week in board.weeks],
        "change failure rate": [week.rate for week in board.weeks],
        "time to restore": [week.restore.median for week in board.weeks],
    }
    return "".join(
        f'<div class="figure"><h3>{term}</h3><p class="big">{escape(said.partition(" (")[0])}</p>'
        f'<p class="soft">{escape(said.partition(" (")[2].removesuffix(")")) or "&nbsp;"}</p>'
        f"{_plot(term, plots[term], board.weeks)}</div>"
        for term, said in told(board.figures).items()
    )


def _plot(term: str, values: list[float | None], weeks: list[Figures]) -> str:
    """Return a bar for each week; a week with nothing to measure has none."""
    top, wide = max((v for v in values if v is not None), default=0) or 1, 100 / len(values)
    bars = "".join(
        f'<rect x="{n * wide + 0.6:.2f}%" width="{wide - 1.2:.2f}%"'
        f' y="{100 * (1 - (v or 0) / top):.1f}%" height="{100 * (v or 0) / top:.1f}%"/>'
        for n, v in enumerate(values)
        if v is not None
    )
    said = ", ".join("none" if v is None else _value(term, v) for v in values)
    first, last = weeks[0].since.astimezone(), weeks[-1].until.astimezone()
    return (
        f'<svg role="img" aria-label="{term}, week by week: {said}">{bars}'
        '<line x1="0" x2="100%" y1="100%" y2="100%"/></svg>'
        f'<p class="axis"><span>{first:%d %b}</span><span>max {_value(term, top)}</span>'
        f"<span>{last:%d %b}</span></p>"
    )


def _value(term: str, value: float) -> str:
    if term == "deployment frequency":
        return f"{value:.0f}"
    return f"{100 * value:.0f} %" if term == "change failure rate" else view.took(value)


def _events(row: Row) -> str:
    name = row.version or f"commit {row.commit[:9]}"
    events = (_event(event, row.signatures.get(event)) for event in reversed(row.events))
    return (
        f'<details id="v-{row.commit[:12]}"><summary>{escape(name)}:'
        f" {view.count(len(row.events), 'event')}</summary>"
        f"<ol>{''.join(events)}</ol></details>"
    )


def _event(event: Event, signature: str | None) -> str:
    anchor, at = _anchor(event), _time(event.at, "%Y-%m-%d %H:%M:%S")
    signed = f", {escape(signature)}" if signature else ""
    forced = ", FORCED" if event.forced else ""
    said = f"{escape(event.stage)} {escape(event.event)} by {escape(who(event.by))}{signed}{forced}"
    return (
        f'<li><details id="d{anchor}"><summary>{at} {said}</summary>'
        f'<pre id="{anchor}" tabindex="0">{escape(event.statement())}</pre></details></li>'
    )
