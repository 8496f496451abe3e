"""Templates to HTML: one environment, escaping everything, with the words that templates may use.

{{ text(x) }} {{ line(x) }}          what a model or a file said: marks, <bdi>, cut
{{ name(x, 40) }}                    a name (contestant, task, run): a long one is cut in the middle
{{ fig.percent(x) }} and the rest    figures (see `figures`)
{{ svg.interval_bar(estimate) }}     small pictures;  {{ dots(counts) }}: repeats as dots
{{ href("summary", {"run": run}) }}  the address of a view;  {{ has("grid") }}: is there such a view
{{ ask.url({"sort": "cost"}) }}      this page with another query
{{ csrf() }}                         the hidden field that every form needs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from steelyard.unknown import is_known
from steelyard.web import figures, svg, text
from steelyard.web.ask import Ask
from steelyard.web.dots import dots
from steelyard.web.heat import heat
from steelyard.web.registry import Registry
from steelyard.web.scatter import scatter
from steelyard.web.static import Static
from steelyard.web.trendline import trendline


class Renderer:
    """The templates with what they may use."""

    def __init__(
        self, registry: Registry, static: Static, place: str, only: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._environment = Environment(
            loader=PackageLoader("steelyard.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            text=text.shown,
            line=text.line,
            name=text.name,
            visible=text.visible,
            fig=figures,
            svg=svg,
            dots=dots,
            heat=heat,
            trendline=trendline,
            scatter=scatter,
            known=is_known,
            href=registry.href,
            has=lambda name: name in registry.views,
            tabs=registry.tabs,
            static=static.address,
            style_marks=static.style_marks,
            place=place,
            only=only,
        )

    def page(self, template: str, ask: Ask, values: Mapping[str, object]) -> str:
        """A template as HTML."""
        found = self._environment.get_template(template)
        return found.render(ask=ask, csrf=lambda: hidden(ask), theme=ask.theme, **values)


def hidden(ask: Ask) -> Markup:
    """The hidden field of a form."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(escape(ask.csrf))
