//! Published measurements, and ours of the same: targets are tables of data, each point a
//! scenario of this repository with a few values changed, so that anybody can run it alone.
//!
//! Constants that a publication does not tell are fitted on few points, which are marked, and
//! stand in the scenarios; every other point is a prediction. [`fit::refit`] finds them again.

pub mod fit;
pub mod huang2021;
pub mod measure;
pub mod rows;

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::manifest::Resolved;
use super::record::{Label, resolved};
use crate::scenario::run::Entry;
use crate::scenario::{Known, Refusal, Scenario};
use measure::measure;
use rows::Row;

/// A publication with its measurements.
#[derive(Debug)]
pub struct Target {
    /// As on the command line.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What is modelled, how, and what is not, in paragraphs.
    pub notes: &'static [&'static str],
    /// The figures, each of one quantity.
    pub panels: &'static [Panel],
    /// The curves.
    pub series: &'static [Series],
    /// Quotients of two curves.
    pub ratios: &'static [Ratio],
}

/// A figure: all series of one quantity.
#[derive(Debug)]
pub struct Panel {
    /// The name of its files.
    pub name: &'static str,
    /// Which quantity.
    pub quantity: Quantity,
    /// Its title.
    pub title: &'static str,
    /// What was measured and what was fitted, in a sentence or two.
    pub about: &'static str,
    /// The names of both axes, with units.
    pub axes: (&'static str, &'static str),
}

/// A scenario whose values are changed from point to point.
#[derive(Debug)]
pub struct Template {
    /// Its file below `scenarios/reproduce`, without the extension.
    pub name: &'static str,
    /// Its text as the program was built with.
    pub text: &'static str,
    /// What was fitted in it, if anything was.
    pub constant: Option<fit::Constant>,
}

/// A published curve.
#[derive(Debug)]
pub struct Series {
    /// Its name in tables and figures.
    pub name: &'static str,
    /// The protocol whose colour it has in figures.
    pub protocol: &'static str,
    /// What is run.
    pub template: &'static Template,
    /// What is taken from the run.
    pub quantity: Quantity,
    /// Message delays on the measured path that ours lacks, negative if ours has more; each
    /// counts as the median latency of the scenario's link.
    pub delays: i64,
    /// Where the published values are from, and why delays are added or taken away.
    pub source: &'static str,
    /// The values.
    pub points: &'static [Point],
}

/// A published value.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Where it stands along the axis.
    pub x: f64,
    /// Dotted keys of the scenario with their values here.
    pub set: &'static [(&'static str, &'static str)],
    /// The value.
    pub published: f64,
    /// The standard deviation of the measurement.
    pub deviation: f64,
    /// Whether the constant of the scenario was fitted on it.
    pub fitted: bool,
    /// How far ours may be away, in percent; nothing if that is only told.
    pub within: Option<f64>,
}

/// The quotient of two curves at one place.
#[derive(Debug)]
pub struct Ratio {
    /// The name of the series above the line.
    pub of: &'static str,
    /// The name of the series below it.
    pub to: &'static str,
    /// Where.
    pub x: f64,
    /// How far ours may be away, in percent.
    pub within: f64,
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantity {
    /// The mean time from a request to its answer.
    Latency,
    /// The transactions of a block divided by the time from its last transaction to its decision,
    /// as a mean over blocks. This is no throughput: most of the time nothing is decided.
    BurstTps,
    /// One latency divided by another.
    LatencyRatio,
}

impl Quantity {
    /// As in `reproduce.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency_mean",
            Self::BurstTps => "burst_tps",
            Self::LatencyRatio => "latency_ratio",
        }
    }

    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Latency => "ms",
            Self::BurstTps => "tx/s",
            Self::LatencyRatio => "1",
        }
    }
}

/// One comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// Its line in `reproduce.csv`.
    pub row: Row,
    /// The standard deviation of the measurement; nothing for quotients.
    pub deviation: Option<f64>,
    /// How far ours may be away, in percent.
    pub within: Option<f64>,
}

impl Finding {
    /// Whether ours is farther away than it may be.
    pub fn misses(&self) -> bool {
        let far = |within: f64| self.row.error_pct.is_none_or(|error| error.abs() > within);
        self.within.is_some_and(far)
    }
}

/// The texts of scenarios that stand in for those the program was built with, by their name, each
/// with the path it was read from.
pub type Texts = BTreeMap<&'static str, (String, String)>;

/// How to run a target.
pub struct Conduct<'a> {
    /// The protocols that can be run.
    pub entries: &'a [Entry],
    /// What scenarios may refer to.
    pub known: &'a Known<'a>,
    /// Scenarios in place of those built in.
    pub texts: &'a Texts,
    /// Called whenever a point is done.
    pub done: &'a (dyn Fn() + Sync),
}

impl Conduct<'_> {
    /// The scenario of a point.
    ///
    /// # Errors
    /// If the template with these values is refused.
    pub fn scenario(&self, template: &Template, set: &[(&str, &str)]) -> Result<Scenario, Refusal> {
        let built_in = || {
            let path = format!("scenarios/reproduce/{}.yaml", template.name);
            (path, template.text.to_owned())
        };
        let text = self.texts.get(template.name).cloned();
        let (path, text) = text.unwrap_or_else(built_in);
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let set: Vec<(String, String)> = set.iter().map(owned).collect();
        Scenario::parse(&path, &text, &set, None, self.known)
    }

    /// Our value of a scenario, corrected.
    fn ours(&self, series: &Series, scenario: &Scenario) -> Option<f64> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.spec.name == scenario.protocol.name);
        let entry = entry.expect("a validated scenario names a known protocol");
        let delay = scenario.network.within.latency.distribution().median();
        let correction = series.delays as f64 * delay.nanos() as f64 / 1e6;
        let value = measure(series.quantity, scenario, entry)?;
        (self.done)();
        Some(value + correction)
    }
}

impl Target {
    /// The scenarios it is built on, each once.
    pub fn templates(&self) -> Vec<&'static Template> {
        let mut templates: Vec<&'static Template> = Vec::new();
        for series in self.series {
            if templates.iter().all(|t| t.name != series.template.name) {
                templates.push(series.template);
            }
        }
        templates
    }

    /// How many points it has.
    pub fn points(&self) -> usize {
        self.series.iter().map(|series| series.points.len()).sum()
    }

    /// Every point, judged before anything runs.
    ///
    /// # Errors
    /// If a scenario is refused.
    pub fn scenarios(&self, conduct: &Conduct<'_>) -> Result<Vec<Scenario>, Refusal> {
        let points = self
            .series
            .iter()
            .flat_map(|series| series.points.iter().map(move |point| (series, point)));
        points
            .map(|(series, point)| conduct.scenario(series.template, point.set))
            .collect()
    }

    /// Runs every point, on all threads of the pool it is called in; findings come in the order
    /// of the tables.
    ///
    /// # Errors
    /// If a scenario is refused; nothing has run then.
    pub fn reproduce(&self, conduct: &Conduct<'_>) -> Result<Vec<Finding>, Refusal> {
        let scenarios = self.scenarios(conduct)?;
        let points = self
            .series
            .iter()
            .flat_map(|series| series.points.iter().map(move |point| (series, point)));
        let runs: Vec<_> = points.zip(&scenarios).collect();
        let mut findings: Vec<Finding> = runs
            .par_iter()
            .map(|((series, point), scenario)| {
                let ours = conduct.ours(series, scenario);
                self.finding(series, point, ours)
            })
            .collect();
        for ratio in self.ratios {
            let found = self.ratio(ratio, &findings);
            findings.extend(found);
        }
        Ok(findings)
    }

    /// What a manifest keeps of every point.
    ///
    /// # Errors
    /// If a scenario is refused.
    pub fn resolved(&self, conduct: &Conduct<'_>) -> Result<Vec<Resolved>, Refusal> {
        let scenarios = self.scenarios(conduct)?;
        let resolved = scenarios.iter().zip(0..).map(|(scenario, point)| {
            let label = Label {
                experiment: self.name.to_owned(),
                point,
                swept: Vec::new(),
            };
            resolved(&label, scenario)
        });
        Ok(resolved.collect())
    }

    fn finding(&self, series: &Series, point: &Point, ours: Option<f64>) -> Finding {
        Finding {
            row: Row {
                target: self.name.to_owned(),
                series: series.name.to_owned(),
                x: point.x,
                quantity: series.quantity.name().to_owned(),
                unit: series.quantity.unit().to_owned(),
                published: point.published,
                ours,
                error_pct: error(point.published, ours),
                fitted: point.fitted,
                source: series.source.to_owned(),
            },
            deviation: Some(point.deviation),
            within: point.within,
        }
    }

    /// The quotient of two latencies that were found.
    fn ratio(&self, ratio: &Ratio, findings: &[Finding]) -> Option<Finding> {
        let at = |name: &str| {
            let mut rows = findings.iter().map(|finding| &finding.row);
            rows.find(|row| {
                row.series == name && row.x == ratio.x && row.quantity == Quantity::Latency.name()
            })
        };
        let (above, below) = (at(ratio.of)?, at(ratio.to)?);
        let published = above.published / below.published;
        let ours = above
            .ours
            .zip(below.ours)
            .map(|(above, below)| above / below);
        let row = Row {
            target: self.name.to_owned(),
            series: format!("{} / {}", ratio.of, ratio.to),
            x: ratio.x,
            quantity: Quantity::LatencyRatio.name().to_owned(),
            unit: Quantity::LatencyRatio.unit().to_owned(),
            published,
            ours,
            error_pct: error(published, ours),
            fitted: above.fitted || below.fitted,
            source: "quotient of the two lines above".to_owned(),
        };
        Some(Finding {
            row,
            deviation: None,
            within: Some(ratio.within),
        })
    }
}

/// How far ours is above what was published, in percent of that.
fn error(published: f64, ours: Option<f64>) -> Option<f64> {
    ours.map(|ours| (ours / published - 1.0) * 100.0)
}

#[cfg(test)]
mod tests;
