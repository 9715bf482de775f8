//! Distributions: which share of answers, or of times without a leader, is at most so long.

use std::collections::BTreeMap;

use crate::experiment::stats;
use crate::experiment::table::Tables;

use super::axis::{self, Axis};
use super::chart::{Chart, Point, Series};
use super::series::{self, Group};
use super::{Context, Picture};

/// Draws the distribution of latencies, if there are any.
pub(super) fn latencies(tables: &Tables, context: &Context<'_>) -> Option<Picture> {
    let distribution = Distribution {
        title: "Distribution of latency",
        x: "latency (ms)",
        y: "share of transactions",
        explains: "Share of transactions answered within a latency; each quantile is the median \
                   over seeds.",
        points: quantiles,
    };
    distribution.draw(tables, context)
}

/// Draws the distribution of times without a leader, if there were any.
pub(super) fn downtimes(tables: &Tables, context: &Context<'_>) -> Option<Picture> {
    let distribution = Distribution {
        title: "Distribution of time without a leader",
        x: "time without a leader (ms)",
        y: "share of elections",
        explains: "Share of elections that were over within a time; all seeds together.",
        points: steps,
    };
    distribution.draw(tables, context)
}

struct Distribution {
    title: &'static str,
    x: &'static str,
    y: &'static str,
    explains: &'static str,
    points: fn(&Group<'_>) -> Vec<(f64, f64)>,
}

impl Distribution {
    fn draw(&self, tables: &Tables, context: &Context<'_>) -> Option<Picture> {
        let (groups, shown) = series::few_groups(tables, None);
        let lines = groups.iter().map(|group| {
            let points = (self.points)(group).into_iter().map(|(x, y)| Point {
                x,
                y,
                low: y,
                high: y,
            });
            let points: Vec<Point> = points.collect();
            Series {
                label: group.label(),
                style: group.style,
                joined: true,
                every: points.len() / 7 + 1,
                points,
                marks: Vec::new(),
            }
        });
        let lines: Vec<Series> = lines.filter(|line| line.points.len() > 1).collect();
        let values = lines.iter().flat_map(|line| &line.points).map(|p| p.x);
        let values: Vec<f64> = values.filter(|x| *x > 0.0).collect();
        if values.is_empty() {
            return None;
        }
        let (least, greatest) = axis::extent(&values);
        let note = format!("{} {shown}", self.explains);
        let x = if greatest / least > 25.0 {
            Axis::log(self.x, &values)
        } else {
            Axis::tight(self.x, &values)
        };
        let chart = Chart {
            title: self.title.to_owned(),
            subtitle: context.manifest.about.clone(),
            note: note.trim().to_owned(),
            x,
            y: Axis::share(self.y),
            series: lines,
            theory: Vec::new(),
            shades: Vec::new(),
            marks: None,
        };
        Some(Picture::new(chart.paint(), note.trim()))
    }
}

/// Each quantile's median over the runs.
fn quantiles(group: &Group<'_>) -> Vec<(f64, f64)> {
    let mut by_quantile: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for row in group.runs.iter().flat_map(|run| &run.latencies) {
        if (0.0..=1.0).contains(&row.quantile) {
            // The bits of numbers from 0 to 1 are in the order of the numbers.
            let bits = (row.quantile + 0.0).to_bits();
            by_quantile.entry(bits).or_default().push(row.latency_ms);
        }
    }
    let medians = by_quantile.into_iter().filter_map(|(bits, values)| {
        let median = stats::median(&stats::sorted(values))?;
        Some((median, f64::from_bits(bits)))
    });
    medians.collect()
}

/// The empirical distribution as a staircase. Elections that were not over when their run ended
/// count as longer than all others: with them the staircase ends below its top.
fn steps(group: &Group<'_>) -> Vec<(f64, f64)> {
    let rows = || group.runs.iter().flat_map(|run| &run.elections);
    let values = stats::sorted(rows().filter_map(|row| row.downtime_ms));
    let count = rows().count() as f64;
    let corners = values.iter().enumerate().flat_map(|(index, value)| {
        [
            (*value, index as f64 / count),
            (*value, (index + 1) as f64 / count),
        ]
    });
    corners.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::table::{ElectionRow, RunRecord};

    #[test]
    fn elections_that_are_not_over_keep_the_staircase_from_its_top() {
        let election = |downtime_ms| ElectionRow {
            start_ms: 0.0,
            downtime_ms,
        };
        let run = RunRecord {
            elections: vec![election(Some(30.0)), election(None), election(Some(10.0))],
            ..RunRecord::default()
        };
        let tables = Tables::new(vec![run]).unwrap();
        let (groups, _) = series::few_groups(&tables, None);
        let third = 1.0 / 3.0;
        assert_eq!(
            steps(&groups[0]),
            [
                (10.0, 0.0),
                (10.0, third),
                (30.0, third),
                (30.0, 2.0 * third)
            ]
        );
    }
}
