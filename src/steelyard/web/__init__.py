"""Pages over the ledger: `steelyard view` (a local web application) and `steelyard report` (one self-contained file).

Holds no truth: every figure is what `decide`, `stats` or `runner.results` return, and every page names the command
that prints the same. Does not judge, estimate or send anything; no page asks another host for anything. May import
every room below it; only `cli` may import it.

    a request -> access (who may) -> app (which view) -> View.build(desk, ask) -> a frozen page model
                                                           |-> template -> HTML
                                                           |-> as_json, csv_pieces -> downloads

How to add a view: docs/concepts/web.md. In short: one file in `views/` that defines `VIEWS`, one template of the same
name in `templates/`, if need be one module in `static/`, one test file `tests/web/test_<view>.py`. No list to edit.

`import steelyard.web` loads nothing: `web.server.serve` and `web.report.report` are what `cli` calls.
"""
