//! Which runs belong on one line, and where they stand on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::time::Span;
use crate::base::units::{Bandwidth, Bytes, Rate, Ratio};
use crate::experiment::stats::{self, Summary};
use crate::experiment::table::{RunRecord, Tables};

use super::chart::Point;
use super::theme::{self, Style};

/// The runs of one protocol in one variant: one line of a figure.
pub(super) struct Group<'a> {
    pub(super) protocol: &'a str,
    /// The values of the swept keys that tell it from others of its protocol.
    pub(super) variant: Vec<(&'a str, String)>,
    pub(super) style: Style,
    pub(super) runs: Vec<&'a RunRecord>,
    /// Whether there is no other protocol to be told from.
    alone: bool,
}

/// More lines than this cannot be told apart: crossing lines, and lines with a place of their own
/// in the legend.
const MOST_CROSSING: usize = 9;
const MOST_ALONG: usize = 18;

impl Group<'_> {
    /// The name of the line.
    pub(super) fn label(&self) -> String {
        let told = self.variant.iter().filter(|(_, value)| value != "-");
        let told = told.map(|(key, value)| said(key, value));
        let protocol = theme::display(self.protocol).to_owned();
        let protocol = (!self.alone).then_some(protocol);
        protocol
            .into_iter()
            .chain(told)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The medians of a measure along a key, in ascending order of the key's values.
    pub(super) fn points(
        &self,
        key: &str,
        measure: impl Fn(&RunRecord) -> Option<f64>,
    ) -> Vec<Point> {
        let mut values: Vec<(f64, f64)> = Vec::new();
        for run in &self.runs {
            if let (Some(x), Some(y)) = (coordinate(run, key), measure(run)) {
                values.push((x, y));
            }
        }
        points(values)
    }
}

/// The medians of values that have the same x.
pub(super) fn points(mut values: Vec<(f64, f64)>) -> Vec<Point> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let same_x = values.chunk_by(|a, b| a.0 == b.0);
    let medians = same_x.filter_map(|same| {
        let Summary { median, band, .. } = stats::summarise(same.iter().map(|(_, y)| *y))?;
        Some(Point {
            x: same[0].0,
            y: median,
            low: band.low,
            high: band.high,
        })
    });
    medians.collect()
}

/// All runs in groups: by protocol, and by those swept keys that vary where `along` and the
/// keys before do not. Protocols stand in the order of the legend, variants in ascending order.
fn groups<'a>(tables: &'a Tables, along: Option<&str>) -> Vec<Group<'a>> {
    let splits = splitting_keys(tables, along);
    let mut groups: Vec<Group<'a>> = Vec::new();
    for run in tables.records() {
        let variant: Vec<(&str, String)> =
            splits.iter().map(|key| (*key, text(run, key))).collect();
        let protocol = run.row.protocol.as_str();
        let same = |group: &&mut Group<'a>| group.protocol == protocol && group.variant == variant;
        match groups.iter_mut().find(same) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group {
                protocol,
                variant,
                style: theme::style(protocol, 0, 1),
                runs: vec![run],
                alone: false,
            }),
        }
    }
    groups.sort_by_cached_key(|group| (rank(group.protocol), ascending(&group.variant)));
    leave_out_what_is_common(&mut groups);
    dress(&mut groups);
    groups
}

/// Settings that all variants of a protocol share do not tell them apart. A profile is told always.
fn leave_out_what_is_common(groups: &mut [Group<'_>]) {
    let told: Vec<(String, Vec<String>)> = groups
        .iter()
        .map(|group| {
            let value = group.variant.iter().find(|(key, _)| *key == SETTINGS);
            let own = value.map_or(Vec::new(), |(_, value)| settings(value));
            (group.protocol.to_owned(), own)
        })
        .collect();
    for (group, (protocol, own)) in groups.iter_mut().zip(&told) {
        let variants = || told.iter().filter(|(other, _)| other == protocol);
        let apart = |setting: &&String| {
            setting.starts_with("profile:") || !variants().all(|(_, all)| all.contains(setting))
        };
        let kept: Vec<&str> = own.iter().filter(apart).map(String::as_str).collect();
        let value = group.variant.iter_mut().find(|(key, _)| *key == SETTINGS);
        if let (Some((_, value)), false) = (value, own.is_empty()) {
            *value = match kept.is_empty() {
                true => "-".into(),
                false => format!("{{{protocol}:{{{}}}}}", kept.join(";")),
            };
        }
    }
}

/// The swept key whose value is a protocol with its settings.
const SETTINGS: &str = "protocol.value";

/// The settings in `{protocol:{a:1;b:{c:2;d:3}}}`: `a:1` and `b:{c:2;d:3}`.
fn settings(value: &str) -> Vec<String> {
    let inner = value.split_once(":{").map_or("", |(_, inner)| inner);
    let inner = inner.strip_suffix("}}").unwrap_or("");
    let mut depth = 0_i32;
    let mut all = vec![String::new()];
    for c in inner.chars() {
        depth += i32::from(c == '{' || c == '[') - i32::from(c == '}' || c == ']');
        if c == ';' && depth == 0 {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all.retain(|setting| !setting.is_empty());
    all
}

/// As [`groups`], but where there would be too many lines only the last variant of each protocol,
/// which is that of the greatest values. Says so in a sentence.
pub(super) fn few_groups<'a>(tables: &'a Tables, along: Option<&str>) -> (Vec<Group<'a>>, String) {
    let mut groups = groups(tables, along);
    let most = along.map_or(MOST_CROSSING, |_| MOST_ALONG);
    if groups.len() <= most {
        return (groups, String::new());
    }
    let mut last: BTreeMap<(usize, &str), Group<'_>> = BTreeMap::new();
    for group in groups {
        last.insert(rank(group.protocol), group);
    }
    groups = last.into_values().collect();
    let variant = groups.first().map(|group| group.variant.clone());
    let shared = |pair: &(&str, String)| groups.iter().all(|group| group.variant.contains(pair));
    let shown: Vec<String> = variant
        .unwrap_or_default()
        .iter()
        .filter(|pair| shared(pair))
        .map(|(key, value)| said(key, value))
        .collect();
    for group in &mut groups {
        let all: Vec<(&str, String)> = group.variant.clone();
        group.variant = all
            .into_iter()
            .filter(|(key, value)| !shown.contains(&said(key, value)))
            .collect();
    }
    dress(&mut groups);
    (groups, format!("Shown: {}.", shown.join(", ")))
}

/// Gives each group its looks. Variants of one protocol are shades of its colour; if there is no
/// other protocol to be told from, and no order among the variants, each has a colour of its own.
fn dress(groups: &mut [Group<'_>]) {
    let one = groups
        .iter()
        .all(|group| group.protocol == groups[0].protocol);
    let ordered = |group: &Group<'_>| group.variant.iter().all(|(_, v)| quantity(v).is_some());
    if one && groups.len() > 1 && !groups.iter().all(ordered) {
        for (index, group) in groups.iter_mut().enumerate() {
            group.style = theme::any("", 2 * index);
            group.alone = true;
        }
        return;
    }
    let protocols: Vec<String> = groups.iter().map(|g| g.protocol.to_owned()).collect();
    for (index, group) in groups.iter_mut().enumerate() {
        let of_same = |names: &[String]| {
            let same = names.iter().filter(|name| *name == group.protocol);
            same.count()
        };
        let (before, all) = (of_same(&protocols[..index]), of_same(&protocols));
        group.style = theme::style(group.protocol, before, all);
    }
}

/// The keys whose values tell runs apart that nothing before tells apart.
fn splitting_keys<'a>(tables: &'a Tables, along: Option<&str>) -> Vec<&'a str> {
    let class = |run: &RunRecord, splits: &[&str]| {
        let mut class = vec![run.row.protocol.clone()];
        class.extend(along.map(|key| text(run, key)));
        class.extend(splits.iter().map(|key| text(run, key)));
        class
    };
    let mut splits: Vec<&str> = Vec::new();
    for key in ["experiment", "nodes"]
        .into_iter()
        .chain(tables.swept_keys())
    {
        if along == Some(key) {
            continue;
        }
        let mut values: BTreeMap<Vec<String>, String> = BTreeMap::new();
        let varies = tables.records().iter().any(|run| {
            let value = text(run, key);
            let first = values
                .entry(class(run, &splits))
                .or_insert_with(|| value.clone());
            *first != value
        });
        if varies {
            splits.push(key);
        }
    }
    splits
}

/// The value of a key in a run, as text.
fn text(run: &RunRecord, key: &str) -> String {
    match key {
        "experiment" => run.row.experiment.clone(),
        "nodes" => run.row.nodes.to_string(),
        "byzantine" => run.row.byzantine.to_string(),
        key => run.row.swept(key).unwrap_or("-").to_owned(),
    }
}

/// The value of a key in a run as a number: see [`quantity`].
pub(super) fn coordinate(run: &RunRecord, key: &str) -> Option<f64> {
    match key {
        "faults" => Some(crashed(&text(run, key))),
        _ => quantity(&text(run, key)),
    }
}

/// How many nodes the crashes in a list of faults name.
fn crashed(faults: &str) -> f64 {
    let lists = faults.split("crash").skip(1);
    let named = lists.filter_map(|crash| {
        let nodes = crash.split_once("nodes")?.1.split_once('[')?.1;
        let (nodes, _) = nodes.split_once(']')?;
        Some(
            nodes
                .split([';', ','])
                .filter(|node| !node.trim().is_empty())
                .count(),
        )
    });
    named.sum::<usize>() as f64
}

/// How many different numbers a key takes.
pub(super) fn distinct(tables: &Tables, key: &str) -> usize {
    let values = tables
        .records()
        .iter()
        .filter_map(|run| coordinate(run, key));
    let values: BTreeSet<u64> = values.map(f64::to_bits).collect();
    values.len()
}

/// A value as people write it, as a number: durations in milliseconds, rates per second, sizes
/// in bytes, bandwidths in Mbit/s, shares in percent. Of a list or a law, the middle quantity.
pub(super) fn quantity(text: &str) -> Option<f64> {
    if let Some(value) = single(text) {
        return Some(value);
    }
    let outside = |c: char| !(c.is_ascii_alphanumeric() || ".%/".contains(c));
    let parts: Vec<f64> = text.split(outside).filter_map(single).collect();
    if text.contains("median") {
        return parts.first().copied();
    }
    stats::median(&parts)
}

fn single(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = || text.parse().ok().filter(|x: &f64| x.is_finite());
    let span = || Some(text.parse::<Span>().ok()?.nanos() as f64 / 1e6);
    let rate = || Some(text.parse::<Rate>().ok()?.per_kilosecond() as f64 / 1e3);
    let bytes = || Some(text.parse::<Bytes>().ok()?.0 as f64);
    let ratio = || Some(f64::from(text.parse::<Ratio>().ok()?.parts_per_billion()) / 1e7);
    let bandwidth = || Some(text.parse::<Bandwidth>().ok()?.bits_per_second() as f64 / 1e6);
    plain()
        .or_else(span)
        .or_else(rate)
        .or_else(bytes)
        .or_else(ratio)
        .or_else(bandwidth)
}

/// A swept key with its value, in few words. Choices that speak for themselves stand alone.
fn said(key: &str, value: &str) -> String {
    match key {
        "contract.authentication" | "batch.wait" => value.to_owned(),
        "execution" => said_execution(value),
        "adversaries" => said_adversaries(value),
        "faults" => said_faults(value),
        _ if key.ends_with(".policy") && ["and", "or"].contains(&value) => value.to_uppercase(),
        // A protocol with settings: those alone, without the name.
        "protocol.value" => {
            let plain = value.replace(['{', '}'], "");
            let settings = plain.split_once(':').map_or("", |(_, settings)| settings);
            // A profile speaks for itself.
            let settings = settings.replace("profile:", "").replace(';', ", ");
            let words = settings.replace(':', " ");
            let words = words.split_whitespace().collect::<Vec<_>>();
            let words = words.join(" ").replace(" ,", ",");
            let plainer = [
                ("monitors none", "no monitors"),
                ("commit_notice true", "notices"),
                ("publish full", "full"),
                ("publish sparse", "sparse"),
                ("supervision true", "supervised"),
                ("group_certified_votes true", "certified votes"),
                ("group_certified_votes false", "votes not certified"),
                ("carry_commit_cert true", "certified blocks"),
                ("carry_commit_cert false", "blocks not certified"),
            ];
            plainer
                .iter()
                .fold(words, |words, (key, plain)| words.replace(key, plain))
        }
        _ => format!("{} {value}", short(key)),
    }
}

/// The first behaviour of a list of adversaries, if there is one.
pub(super) fn behaviour(value: &str) -> Option<&str> {
    let mut words = value.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.find(|word| !word.is_empty())
}

/// How many nodes do what, of one behaviour.
/// The first fault, and the first few nodes that it names.
fn said_faults(value: &str) -> String {
    let mut words = value.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let Some(fault) = words.find(|word| !word.is_empty()) else {
        return "no faults".to_owned();
    };
    let listed = value.find("odes:[").or_else(|| value.find("groups:[["));
    let named = listed.map_or("", |at| &value[at..]);
    let named = named.trim_start_matches(|c: char| !c.is_ascii_digit());
    let named = named.split(']').next().unwrap_or_default();
    match named.replace(';', ", ") {
        nodes if nodes.is_empty() => fault.to_owned(),
        nodes => format!("{fault} of {nodes}"),
    }
}
fn said_adversaries(value: &str) -> String {
    let Some(behaviour) = behaviour(value) else {
        return "all honest".to_owned();
    };
    let words = value.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    // One of them, if no number is told.
    let count = words.skip_while(|word| !["leader", "random"].contains(word));
    let mut count = count.skip(1).skip_while(|word| word.is_empty());
    let count = count.next().and_then(|word| word.parse::<u32>().ok());
    format!("{} {behaviour}", count.unwrap_or(1))
}

/// An execution model with those of its settings that are not about whom to ask.
fn said_execution(value: &str) -> String {
    let plain = value.replace(['{', '}'], "");
    let Some((name, settings)) = plain.split_once(':') else {
        return plain;
    };
    let settings = settings.split(';').map(str::trim);
    let told =
        settings.filter(|text| !text.starts_with("policy") && !text.starts_with("endorsers"));
    told.fold(name.to_owned(), |said, setting| {
        format!("{said}, {}", setting.replace(": ", ":").replace(':', " "))
    })
}

/// A swept key in few words.
fn short(key: &str) -> &str {
    match key {
        "workload.rate" => "load",
        "batch.max" => "batch",
        "nodes" => "n =",
        "experiment" => "in",
        _ if key.ends_with("latency") => "delay",
        _ => key.rsplit('.').next().unwrap_or(key),
    }
}

/// The order of protocols; unknown ones follow by name.
fn rank(protocol: &str) -> (usize, &str) {
    (theme::rank(protocol), protocol)
}

/// A key that orders variants by number where they are numbers. The bits of a number that is not
/// negative ascend with the number.
fn ascending(variant: &[(&str, String)]) -> Vec<(u64, String)> {
    let order = variant.iter().map(|(_, value)| {
        // An empty list is the least of lists.
        let number = match value.as_str() {
            "[]" => 0.0,
            value => quantity(value).unwrap_or(f64::MAX),
        };
        (number.max(0.0).to_bits(), value.clone())
    });
    order.collect()
}

/// What the lines and bands are, as a sentence.
pub(super) fn about_seeds<'a>(points: impl IntoIterator<Item = Vec<&'a RunRecord>>) -> String {
    let mut counts: BTreeSet<usize> = BTreeSet::new();
    for runs in points {
        let mut seeds: BTreeMap<u64, usize> = BTreeMap::new();
        for run in runs {
            *seeds.entry(run.row.point).or_default() += 1;
        }
        counts.extend(seeds.values());
    }
    let (Some(least), Some(most)) = (counts.first(), counts.last()) else {
        return String::new();
    };
    let number = if least == most {
        most.to_string()
    } else {
        format!("{least} to {most}")
    };
    let zeros = vec![0.0; *least];
    let coverage = stats::median_interval(&zeros).map_or(0.0, |band| band.coverage);
    if *most == 1 {
        "One run for each point.".to_owned()
    } else if coverage >= 0.95 {
        format!("Median of {number} seeds; band: 95% interval of the median.")
    } else {
        let percent = libm::round(coverage * 1000.0) / 10.0;
        let band = format!("least to greatest, a {percent}% interval of the median");
        format!("Median of {number} seeds; band: {band}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::table::Row;

    #[test]
    fn settings_are_told_apart_at_the_outermost_level() {
        let value = "{mbft:{publish:full;times:[4s;8s];upper:{pipeline:1;view_timeout:60s}}}";
        let told = [
            "publish:full",
            "times:[4s;8s]",
            "upper:{pipeline:1;view_timeout:60s}",
        ];
        assert_eq!(settings(value), told);
        assert_eq!(settings("raft"), [""; 0]);
    }

    #[test]
    fn quantities_are_read_with_their_units() {
        for (text, value) in [
            ("7", Some(7.0)),
            ("50ms", Some(50.0)),
            ("2s", Some(2000.0)),
            ("500/s", Some(500.0)),
            ("1KiB", Some(1024.0)),
            ("0.5%", Some(0.5)),
            ("100Mbps", Some(100.0)),
            ("[200us; 300us; 1ms]", Some(0.3)),
            ("{lognormal: {median: 12ms; p99: 40ms}}", Some(12.0)),
            ("constant: 5ms", Some(5.0)),
            ("{uniform: [10ms; 30ms]}", Some(20.0)),
            ("pbft", None),
            ("unlimited", None),
            ("", None),
        ] {
            assert_eq!(quantity(text), value, "{text}");
        }
    }

    #[test]
    fn adversaries_are_said_in_two_words() {
        for (value, words) in [
            ("[]", "all honest"),
            (
                "[{equivocate: {nodes: leader; during: [5s]}}]",
                "1 equivocate",
            ),
            ("[{silent: {nodes: {random: 3}}}]", "3 silent"),
        ] {
            assert_eq!(said("adversaries", value), words);
        }
    }

    fn run(protocol: &str, nodes: u64, batch: &str, load: &str) -> RunRecord {
        let row = Row {
            protocol: protocol.into(),
            nodes,
            point: nodes * 1000
                + batch.len() as u64 * 10
                + load.len() as u64
                + u64::from(protocol == "raft"),
            swept: vec![
                ("batch.max".into(), batch.into()),
                ("workload.rate".into(), load.into()),
            ],
            ..Row::default()
        };
        RunRecord {
            row,
            ..RunRecord::default()
        }
    }

    fn labels(groups: &[Group<'_>]) -> Vec<String> {
        groups.iter().map(Group::label).collect()
    }

    #[test]
    fn lines_are_split_by_what_varies_besides_the_axis() {
        let mut runs = Vec::new();
        for protocol in ["pbft", "raft"] {
            for nodes in [4, 7] {
                runs.push(run(protocol, nodes, "200", "1/s"));
                runs.push(run(protocol, nodes, "50", "1/s"));
            }
        }
        let tables = Tables::new(runs).unwrap();
        let along = groups(&tables, Some("nodes"));
        assert_eq!(
            labels(&along),
            [
                "Raft, batch 50",
                "Raft, batch 200",
                "PBFT, batch 50",
                "PBFT, batch 200"
            ]
        );
        assert_ne!(along[0].style, along[1].style);
        assert_eq!(labels(&groups(&tables, None)).len(), 8);
    }

    /// Two keys that are swept as pairs vary together: neither splits a line along the other.
    #[test]
    fn keys_that_vary_together_do_not_split() {
        let runs = vec![run("raft", 4, "50", "1/s"), run("raft", 7, "200", "10/s")];
        let tables = Tables::new(runs).unwrap();
        assert_eq!(labels(&groups(&tables, Some("nodes"))), ["Raft"]);
        assert_eq!(
            labels(&groups(&tables, None)),
            ["Raft, n = 4", "Raft, n = 7"]
        );
    }

    #[test]
    fn too_many_lines_are_reduced_to_the_last_of_each_protocol() {
        let runs = (4..20).map(|nodes| run("raft", nodes, "50", "1/s"));
        let tables = Tables::new(runs.collect()).unwrap();
        let (few, note) = few_groups(&tables, None);
        assert_eq!(
            (labels(&few), note.as_str()),
            (vec!["Raft".to_owned()], "Shown: n = 19.")
        );
    }
}
