# SPDX-License-Identifier: Apache-2.0
"""Parts of self-contained pages: tables, curves, figures.

Nothing in a page is fetched: curves are inline SVG, animations base64 GIFs, the style and the script are in the page,
whose policy for the browser forbids everything else but videos beside it. Its style follows the reader's light or
dark setting. All texts are escaped here.
"""

import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

#: CSS variables of the lines of a plot, in their order; more lines than these take them again, with other dashes.
COLOURS = tuple(f"--line{number}" for number in range(8))
_DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Line:
    """A line of a plot.

    Args:
        points: ``(x, y)`` in the order of x.
        colour: a CSS variable of the page.
        name: in the legend of the plot; empty for none.
        dashes: as matplotlib names them.
    """

    points: Sequence[tuple[float, float]]
    colour: str
    name: str = ""
    dashes: str = "-"


def render_page(
    title: str, subtitle: str, figures: Mapping[str, str], body: str, tail: str = ""
) -> str:
    """Returns a page.

    Args:
        title: headline.
        subtitle: one sentence below it.
        figures: headline figures, name to text.
        body: HTML.
        tail: HTML at its end, such as scripts.
    """
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    shown = "".join(
        f"<li><b>{text(value)}</b><span>{text(name)}</span></li>" for name, value in figures.items()
    )
    return template.substitute(
        title=text(title), subtitle=text(subtitle), figures=shown, body=body, tail=tail
    )


def text(value: object) -> str:
    """Returns a value as text of HTML; a name that is no UTF-8 shows its bytes as escapes."""
    return html.escape(str(value).encode("utf-8", "backslashreplace").decode())


def prose(sentence: str) -> str:
    """Returns a sentence in which what stands between backticks is code.

    >>> prose("see `predict`, <b>")
    'see <code>predict</code>, &lt;b&gt;'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(sentence))


def section(title: str, content: str, name: str = "") -> str:
    """Returns a section, or nothing where there is no content."""
    mark = f' id="{text(name)}"' if name else ""
    return f"<section{mark}>\n<h2>{text(title)}</h2>\n{content}\n</section>" if content else ""


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, wraps: bool = True) -> str:
    """Returns a table whose numbers are right-aligned; with ``wraps=False`` each row has one line."""
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    kinds = [' class="number"' if is_number else "" for is_number in numeric]
    head = "".join(f"<th{k}>{text(name)}</th>" for k, name in zip(kinds, header, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{k}>{text(v)}</td>' for k, v in zip(kinds, row, strict=True))}</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll{"" if wraps else " nowrap"}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _is_number(value: object) -> bool:
    shown = str(value).replace("+", "", 1).replace("-", "", 1).replace("%", "", 1)
    return shown in ("", "–") or shown.replace(".", "", 1).isdigit()


def settings(values: Mapping[str, object]) -> str:
    """Returns a table of names and values, without those that are None."""
    rows = "".join(
        f"<tr><td>{text(name)}</td><td>{text(value)}</td></tr>"
        for name, value in values.items()
        if value is not None
    )
    return f'<div class="scroll"><table class="settings">{rows}</table></div>' if rows else ""


def legend(names: Sequence[str]) -> str:
    """Returns the names of the lines of a plot beside their colours, in the order of :func:`line_style`."""
    entries = "".join(
        f'<li><i style="background:var({line_style(number)[0]})"></i>{text(name)}</li>'
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{entries}</ul>'


def line_style(number: int) -> tuple[str, str]:
    """Returns colour and dashes of the n-th line."""
    return COLOURS[number % len(COLOURS)], _DASHES[number // len(COLOURS) % len(_DASHES)]


def plot(lines: Sequence[Line], title: str, *, is_share: bool = False) -> str:
    """Returns a plot over epochs as inline SVG, or nothing where no line has points.

    matplotlib writes a placeholder for each colour, which becomes a CSS variable of the page, and black, which becomes
    the colour of its text.

    Args:
        lines: what to draw.
        title: above it.
        is_share: y is a share of 1, shown in percent.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = [line for line in lines if line.points]
    if not drawn:
        return ""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 10}):
        figure = Figure(figsize=(5.0, 3.1), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for number, line in enumerate(drawn):
            axes.plot(
                *zip(*line.points, strict=True),
                color=f"#ab00{number:02x}",
                linewidth=1.8,
                label=line.name,
                marker="o" if len(line.points) < 16 else None,
                markersize=3.5,
                linestyle=line.dashes,
            )
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if is_share:
            axes.set_ylim(0, 1.03)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        else:
            axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#000000", alpha=0.12)
        if any(line.name for line in drawn):
            axes.legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace("#000000", "currentColor")
    # text without a colour of its own would be black on a dark page
    svg = svg.replace("<svg ", '<svg fill="currentColor" ', 1)
    for number, line in enumerate(drawn):
        svg = svg.replace(f"#ab00{number:02x}", f"var({line.colour})")
    return f"<figure>{svg}</figure>"


def points_of(history: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """Returns ``(epoch, value)`` of the rows of a history that have a value of this name, a finite one."""
    rows = [(row["epoch"], row[name]) for row in history if name in row and "epoch" in row]
    return [(epoch, value) for epoch, value in rows if abs(value) < float("inf")]
