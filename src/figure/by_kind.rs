//! What becomes of each kind of call along a swept key: a panel for each protocol, and in it a line
//! for each kind.

use std::collections::BTreeMap;

use crate::experiment::table::{CallRow, Tables};

use super::axis::Axis;
use super::chart::{Chart, Point, Series};
use super::curve::Along;
use super::panels::Panels;
use super::series::{self, Group};
use super::theme;
use super::{Context, Picture};

/// A figure of one measure of calls, by kind.
pub(super) struct ByKind {
    pub(super) title: &'static str,
    pub(super) y: &'static str,
    /// Whether the vertical axis is spread by ratios; else it begins at zero.
    pub(super) log: bool,
    pub(super) measure: fn(&CallRow) -> Option<f64>,
}

/// More panels than this are too narrow, and more lines than this cannot be told apart.
const PANELS_MAX: usize = 4;
const KINDS_MAX: usize = 7;
/// Kinds with a smaller share of the calls are left out.
const SHARE_MIN: f64 = 0.03;

impl ByKind {
    /// Draws the figure, if the runs have several kinds along a key.
    pub(super) fn draw(&self, tables: &Tables, context: &Context<'_>) -> Option<Picture> {
        let (along, key) = Along::any(tables)?;
        let (groups, mut shown) = series::few_groups(tables, Some(&key));
        let (kinds, left_out) = kinds(tables);
        if kinds.len() < 2 {
            return None;
        }
        if left_out {
            let rest = "Kinds with few calls are left out.";
            shown = format!("{shown} {rest}").trim().to_owned();
        }
        let lines: Vec<Vec<Series>> = groups
            .iter()
            .take(PANELS_MAX)
            .map(|group| self.lines(group, &key, &kinds))
            .collect();
        let points = lines.iter().flatten().flat_map(|line| &line.points);
        let xs: Vec<f64> = points.clone().map(|point| point.x).collect();
        let ys: Vec<f64> = points.flat_map(|p| [p.low, p.y, p.high]).collect();
        if ys.is_empty() {
            return None;
        }
        let y = if self.log {
            Axis::log(self.y, &ys)
        } else {
            Axis::from_zero(self.y, &ys, 1.04)
        };
        let note = series::about_seeds(groups.iter().map(|group| group.runs.clone()));
        let note = format!("{note} {shown}").trim().to_owned();
        let panel = |(group, series): (&Group<'_>, Vec<Series>)| {
            let chart = Chart {
                title: String::new(),
                subtitle: String::new(),
                note: String::new(),
                x: along.axis(&key, &xs),
                y: y.clone(),
                series,
                theory: Vec::new(),
                shades: Vec::new(),
                marks: None,
            };
            (group.label(), chart)
        };
        let panels = Panels {
            title: self.title.to_owned(),
            subtitle: context.manifest.about.clone(),
            note: note.clone(),
            panels: groups.iter().zip(lines).map(panel).collect(),
        };
        let caption = format!("{}: {note}", self.title);
        Some(Picture::new(panels.paint(), &caption))
    }

    /// A line for each kind.
    fn lines(&self, group: &Group<'_>, key: &str, kinds: &[&str]) -> Vec<Series> {
        let line = |(index, kind): (usize, &&str)| Series {
            label: (*kind).to_owned(),
            style: theme::any(kind, index),
            points: self.points(group, key, kind),
            joined: true,
            every: 1,
            marks: Vec::new(),
        };
        kinds.iter().enumerate().map(line).collect()
    }

    fn points(&self, group: &Group<'_>, key: &str, kind: &str) -> Vec<Point> {
        let mut points = group.points(key, |run| {
            let row = run.calls.iter().find(|row| row.kind == kind)?;
            (self.measure)(row)
        });
        points.retain(|point| !self.log || point.low > 0.0);
        points
    }
}

/// The kinds with the most accepted calls, most first; and whether others are left out.
fn kinds(tables: &Tables) -> (Vec<&str>, bool) {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for row in tables.records().iter().flat_map(|run| &run.calls) {
        *sums.entry(&row.kind).or_default() += row.goodput_tps.unwrap_or(0.0);
    }
    let total: f64 = sums.values().sum();
    let mut kinds: Vec<(&str, f64)> = sums.into_iter().collect();
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let all = kinds.len();
    kinds.retain(|(_, sum)| *sum >= SHARE_MIN * total && *sum > 0.0);
    kinds.truncate(KINDS_MAX);
    let left_out = kinds.len() < all;
    (kinds.into_iter().map(|(kind, _)| kind).collect(), left_out)
}
