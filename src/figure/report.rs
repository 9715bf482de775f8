//! The report: one HTML file with everything a reader needs, that asks the network for nothing.

use std::fmt::Write as _;

use crate::experiment::manifest::{Manifest, sha256};
use crate::experiment::stats;
use crate::experiment::table::{Row, RunRecord, Tables};

use super::axis::show;
use super::canvas::escape;
use super::theme;
use super::{Figure, Picture};

/// Forbids the browser any request: the file is complete.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto; \
max-width: 60rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
p { margin: .5rem 0; }
.about { color: #555; font-size: 1.05rem; }
.verdict { border-left: 4px solid #009e73; padding: .25rem 1rem; background: #f3faf7; }
.verdict.bad { border-color: #d55e00; background: #fdf4ee; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem .3rem 0; text-align: right; border-bottom: 1px solid #e4e4e4; \
white-space: nowrap; }
th { vertical-align: bottom; font-weight: 600; border-bottom: 2px solid #222; }
.text { text-align: left; }
.bad-cell { color: #b34700; font-weight: 600; }
figure { margin: 1.5rem 0 2.5rem; }
figcaption { color: #555; font-size: .875rem; }
svg { display: block; width: 100%; height: auto; }
pre { background: #f5f5f5; padding: .75rem 1rem; overflow-x: auto; font-size: .875rem; }
code { font-family: ui-monospace, monospace; }
@media print { figure { break-inside: avoid; } }
";

/// The report of an experiment with these figures.
pub fn report(tables: &Tables, manifest: &Manifest, figures: &[(&Figure, Picture)]) -> String {
    let title = if manifest.experiment.is_empty() {
        "Results"
    } else {
        &manifest.experiment
    };
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        title = escape(title)
    );
    push(&mut html, &paragraph("about", &manifest.about));
    push(&mut html, &verdict(tables));
    push(&mut html, &medians(tables));
    push(&mut html, &drawings(figures));
    push(&mut html, &violations(tables));
    push(&mut html, &origin(tables, manifest));
    html.push_str("</body>\n</html>\n");
    html
}

fn push(html: &mut String, part: &str) {
    html.push_str(part);
}

fn paragraph(class: &str, text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    format!("<p class=\"{class}\">{}</p>\n", escape(text.trim()))
}

/// One sentence: did anything break?
fn verdict(tables: &Tables) -> String {
    let rows = || tables.records().iter().map(|record| &record.row);
    let runs = rows().count();
    let violated = |value: fn(&Row) -> &str| rows().filter(|row| value(row) == "violated").count();
    let unsafe_runs = violated(|row| &row.safety);
    let stalled = violated(|row| &row.liveness);
    let class = if unsafe_runs + stalled > 0 {
        "verdict bad"
    } else {
        "verdict"
    };
    let share = |count: usize, what: &str| match count {
        0 => format!("{what} was violated in none"),
        count => format!("{what} was violated in {count}"),
    };
    let text = match runs {
        0 => "There are no runs.".to_owned(),
        1 => format!(
            "1 run: {}, {}.",
            if unsafe_runs > 0 {
                "safety was violated"
            } else {
                "safety was not violated"
            },
            if stalled > 0 {
                "liveness was violated"
            } else {
                "liveness was not violated"
            }
        ),
        _ => format!(
            "{runs} runs: {}, {}.",
            share(unsafe_runs, "safety"),
            share(stalled, "liveness")
        ),
    };
    paragraph(class, &text)
}

/// One line of medians for each point.
fn medians(tables: &Tables) -> String {
    let keys = tables.swept_keys();
    let same = |a: &RunRecord, b: &RunRecord| point(&a.row) == point(&b.row);
    let points: Vec<&[RunRecord]> = tables.records().chunk_by(same).collect();
    if points.is_empty() {
        return String::new();
    }
    let several = points
        .iter()
        .any(|p| p[0].row.experiment != points[0][0].row.experiment);
    let mut head = String::new();
    let scenario = several.then_some("scenario");
    for name in scenario.into_iter().chain(["protocol"]) {
        let _ = write!(head, "<th class=\"text\">{name}</th>");
    }
    for name in ["n"].into_iter().chain(keys.iter().copied()) {
        let _ = write!(head, "<th>{}</th>", escape(name));
    }
    for name in [
        "runs",
        "throughput<br>tx/s",
        "latency p50<br>ms",
        "latency p99<br>ms",
        "messages<br>per block",
    ] {
        let _ = write!(head, "<th>{name}</th>");
    }
    head.push_str("<th class=\"text\">safety</th><th class=\"text\">liveness</th>");
    let lines = points.iter().map(|runs| line(runs, &keys, several));
    format!(
        "<h2>Medians over seeds</h2>\n<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n\
         <tbody>\n{}</tbody>\n</table></div>\n",
        lines.collect::<String>()
    )
}

/// What makes two runs differ by their seed alone.
fn point(row: &Row) -> (&str, u64) {
    (&row.experiment, row.point)
}

/// The line of one point.
fn line(runs: &[RunRecord], keys: &[&str], several: bool) -> String {
    let row = &runs[0].row;
    let mut cells = String::new();
    if several {
        let _ = write!(cells, "<td class=\"text\">{}</td>", escape(&row.experiment));
    }
    let _ = write!(
        cells,
        "<td class=\"text\">{}</td>",
        escape(theme::display(&row.protocol))
    );
    let _ = write!(cells, "<td>{}</td>", row.nodes);
    for key in keys {
        let _ = write!(cells, "<td>{}</td>", escape(row.swept(key).unwrap_or("")));
    }
    let _ = write!(cells, "<td>{}</td>", runs.len());
    let measures: [fn(&Row) -> Option<f64>; 4] = [
        |row| row.throughput_tps,
        |row| row.latency_p50_ms,
        |row| row.latency_p99_ms,
        |row| row.messages_per_block,
    ];
    for measure in measures {
        let values = stats::sorted(runs.iter().filter_map(|run| measure(&run.row)));
        let text = stats::median(&values).map_or("\u{2013}".to_owned(), three_digits);
        let _ = write!(cells, "<td>{text}</td>");
    }
    let verdicts: [fn(&Row) -> &str; 2] = [|row| &row.safety, |row| &row.liveness];
    for verdict in verdicts {
        cells.push_str(&verdict_cell(runs, verdict));
    }
    format!("<tr>{cells}</tr>\n")
}

/// What all runs of a point say, or how many say otherwise.
fn verdict_cell(runs: &[RunRecord], verdict: fn(&Row) -> &str) -> String {
    let violated = runs
        .iter()
        .filter(|run| verdict(&run.row) == "violated")
        .count();
    if violated == 0 {
        let text = escape(verdict(&runs[0].row));
        return format!("<td class=\"text\">{text}</td>");
    }
    let of = if runs.len() > 1 {
        format!(" in {violated} of {}", runs.len())
    } else {
        String::new()
    };
    format!("<td class=\"text bad-cell\">violated{of}</td>")
}

/// Three significant digits, and all of those before the point.
fn three_digits(value: f64) -> String {
    let magnitude = if value == 0.0 {
        0.0
    } else {
        libm::floor(libm::log10(libm::fabs(value)))
    };
    let scale = libm::exp10((2.0 - magnitude).clamp(0.0, 12.0));
    show(libm::round(value * scale) / scale)
}

fn drawings(figures: &[(&Figure, Picture)]) -> String {
    if figures.is_empty() {
        return String::new();
    }
    let drawn = figures.iter().map(|(figure, picture)| {
        format!(
            "<figure id=\"{}\">\n{}<figcaption>{}</figcaption>\n</figure>\n",
            escape(figure.name),
            picture.svg,
            escape(&picture.caption)
        )
    });
    format!("<h2>Figures</h2>\n{}", drawn.collect::<String>())
}

/// The first violations; the rest are in their file.
fn violations(tables: &Tables) -> String {
    const MOST: usize = 100;
    let all = tables.records().iter().flat_map(|record| {
        record
            .violations
            .iter()
            .map(move |violation| (&record.row, violation))
    });
    let total = all.clone().count();
    if total == 0 {
        return String::new();
    }
    let lines = all.take(MOST).map(|(row, violation)| {
        let text = |text: &str| format!("<td class=\"text\">{}</td>", escape(text));
        let height = violation
            .height
            .map_or(String::new(), |height| height.to_string());
        format!(
            "<tr>{}<td>{}</td><td>{}</td><td>{}</td>{}{}<td>{height}</td>{}</tr>\n",
            text(theme::display(&row.protocol)),
            row.point,
            row.seed,
            show(libm::round(violation.time_ms * 1e3) / 1e3),
            text(&violation.property),
            text(&violation.nodes),
            text(&violation.detail)
        )
    });
    let lines: String = lines.collect();
    let more = if total > MOST {
        format!("<p>The first {MOST} of {total}; all are in <code>violations.csv</code>.</p>\n")
    } else {
        String::new()
    };
    format!(
        "<h2>Violations</h2>\n{more}<div class=\"wide\"><table>\n<thead><tr>\
         <th class=\"text\">protocol</th><th>point</th><th>seed</th><th>time<br>ms</th>\
         <th class=\"text\">property</th><th class=\"text\">nodes</th><th>height</th>\
         <th class=\"text\">detail</th></tr></thead>\n<tbody>\n{lines}</tbody>\n</table></div>\n"
    )
}

/// How to get the same results, and what tells that they are the same.
fn origin(tables: &Tables, manifest: &Manifest) -> String {
    let runs = tables
        .files()
        .into_iter()
        .find(|(name, _)| name == "runs.csv");
    let hash = runs.map_or(String::new(), |(_, bytes)| sha256(&bytes));
    let mut html = String::from("<h2>How to repeat it</h2>\n");
    if !manifest.command.is_empty() {
        let _ = writeln!(
            html,
            "<pre><code>{}</code></pre>",
            escape(&manifest.command)
        );
    }
    if !manifest.version.is_empty() {
        let (version, commit) = (escape(&manifest.version), escape(&manifest.commit));
        let _ = writeln!(
            html,
            "<p>consilium {version}, commit <code>{commit}</code>.</p>"
        );
    }
    let _ = writeln!(
        html,
        "<p>The same scenario and seed give the same bytes on every machine. The SHA-256 of \
         <code>runs.csv</code> is <code>{hash}</code>.</p>"
    );
    html
}
