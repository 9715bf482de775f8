//! What happened when: transactions committed in each second, faults shaded, changes of leader
//! marked.

use crate::experiment::manifest::FaultWindow;
use crate::experiment::table::{RunRecord, Tables};

use super::axis::Axis;
use super::chart::{Chart, Series, Shade};
use super::series::{self, Group};
use super::{Context, Picture};

/// Draws the figure, if any run lasted two seconds.
pub(super) fn draw(tables: &Tables, context: &Context<'_>) -> Option<Picture> {
    let (groups, shown) = series::few_groups(tables, None);
    let mut all: Vec<Series> = groups.iter().map(committed).collect();
    all.retain(|series| series.points.len() > 1);
    let points = all.iter().flat_map(|series| &series.points);
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.map(|p| (p.x, p.high)).unzip();
    let end = xs.iter().copied().fold(0.0, f64::max) + 1.0;
    if all.is_empty() {
        return None;
    }
    let shades = shades(&groups, context, end);
    let marked = all.iter().any(|series| !series.marks.is_empty());
    let seeds = series::about_seeds(groups.into_iter().map(|group| group.runs));
    let note = format!("{seeds} {shown}");
    let mut x = Axis::tight("simulated time (s)", &[0.0, end]);
    x.to = end;
    x.ticks.retain(|tick| tick.at <= end);
    let chart = Chart {
        title: "Throughput over time".to_owned(),
        subtitle: context.manifest.about.clone(),
        note: note.trim().to_owned(),
        x,
        y: Axis::from_zero(
            "committed (transactions/s)",
            &ys,
            if shades.is_empty() { 1.04 } else { 1.2 },
        ),
        series: all,
        theory: Vec::new(),
        shades,
        marks: marked.then(|| "leader change".to_owned()),
    };
    let caption = format!(
        "Transactions committed in each second of simulated time. {} Shaded: faults and \
         adversaries at work. Marks at the foot: changes of leader in the run of the first seed.",
        note.trim()
    );
    Some(Picture::new(chart.paint(), &caption))
}

/// The committed transactions of each second, medians over the runs of a group.
fn committed(group: &Group<'_>) -> Series {
    let rows = group.runs.iter().flat_map(|run| {
        let end = run.row.simulated_s.unwrap_or(f64::MAX);
        // A last second that the end of the run cuts short would look like a loss.
        run.timeline
            .iter()
            .filter(move |row| (row.second as f64 + 1.0) <= end + 1e-6)
    });
    // A second is drawn at its middle.
    let values = rows.map(|row| (row.second as f64 + 0.5, row.committed as f64));
    let first = group
        .runs
        .iter()
        .min_by_key(|run| (run.row.point, run.row.seed));
    let points = series::points(values.collect());
    Series {
        label: group.label(),
        style: group.style,
        joined: true,
        every: points.len() / 6 + 1,
        points,
        marks: first.map_or(Vec::new(), |run| leader_changes(run)),
    }
}

/// The seconds in which another leader is known than before.
fn leader_changes(run: &RunRecord) -> Vec<f64> {
    let known = run
        .timeline
        .iter()
        .filter_map(|row| Some((row.second, row.leader?, row.view)));
    let known: Vec<(u64, u64, Option<u64>)> = known.collect();
    let changed = known.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    changed.map(|pair| pair[1].0 as f64 + 0.5).collect()
}

/// The faults of the points shown, each once.
fn shades(groups: &[Group<'_>], context: &Context<'_>, end: f64) -> Vec<Shade> {
    let mut windows: Vec<&FaultWindow> = Vec::new();
    for scenario in &context.manifest.scenarios {
        let mut runs = groups.iter().flat_map(|group| &group.runs);
        let shown = runs.any(|run| {
            run.row.point == scenario.point && run.row.experiment == scenario.experiment
        });
        for window in scenario.faults.iter().filter(|_| shown) {
            if !windows.contains(&window) {
                windows.push(window);
            }
        }
    }
    windows.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    let inside = windows.into_iter().filter(|window| window.from_s < end);
    inside
        .map(|window| Shade {
            label: window.fault.clone(),
            from: window.from_s,
            to: window.until_s.unwrap_or(end).min(end),
        })
        .collect()
}
