//! Reads the network: sites and who lives there, links, and measured matrices of regions.

use std::collections::{BTreeMap, BTreeSet};

use super::law::{Latency, latency};
use super::reader::{Fields, Reader};
use super::schema::{Link, Network, Site, SiteLink};
use super::tree::{Node, Step, Value, shorten};
use super::trouble::node_id;
use super::whole::Around;
use crate::base::distribution::Law;
use crate::base::node::NodeId;
use crate::base::time::Span;
use crate::base::units::Bandwidth;
use crate::network::regions::{MATRICES, Matrix, matrix};

/// The keys of `network`.
pub const KEYS: &[&str] = &["sites", "within", "links", "matrix", "bandwidth", "ordered"];
/// The keys of `network.within`.
pub const WITHIN_KEYS: &[&str] = &["latency", "bandwidth"];
/// The keys of each of `network.links`.
pub const LINK_KEYS: &[&str] = &["between", "latency", "bandwidth"];
/// Links at most.
const LINKS_MAX: usize = 10_000;
/// Sites at most.
const SITES_MAX: usize = 1_000;
/// What links between sites carry if nothing is written.
const BETWEEN: Bandwidth = Bandwidth::from_bits_per_second(100_000_000);

/// The network of a scenario that says nothing of it: one place for all.
pub fn single_site(nodes: usize) -> Network {
    Network {
        sites: deal(vec!["main".into()], nodes),
        within: local_network(),
        links: Vec::new(),
        ordered: false,
    }
}

fn local_network() -> Link {
    let quantiles = [200, 300, 1000].map(Span::from_micros).to_vec();
    Link {
        latency: Latency {
            law: Law::Quantiles(quantiles),
        },
        bandwidth: Bandwidth::from_bits_per_second(1_000_000_000),
    }
}

/// Reads `network`.
pub fn network<'t>(reader: &mut Reader<'t>, node: &'t Node, around: Around) -> Option<Network> {
    let fields = reader.fields(node, KEYS)?;
    let matrix = reader.field(fields, "matrix", |reader, node| {
        let choices: Vec<(&str, &str)> = MATRICES.iter().map(|m| (m.name, m.name)).collect();
        reader.choice(node, &choices).and_then(matrix)
    });
    if matrix.is_some() && !fields.has("sites") {
        reader.missing("sites", "[eu-west-1, us-east-1]");
    }
    let sites = match fields.get("sites") {
        Some(node) => reader.inside(Step::Key("sites".into()), |reader| {
            sites(reader, node, around, matrix)
        }),
        None => Some(single_site(around.nodes.unwrap_or(1)).sites),
    };
    let within = reader.or(fields, "within", local_network(), within);
    let bandwidth = reader.or(fields, "bandwidth", BETWEEN, Reader::quantity);
    let ordered = reader.or(fields, "ordered", false, Reader::flag);
    let before = reader.noted();
    let links = links(reader, fields, bandwidth, sites.as_deref());
    let mut network = Network {
        sites: sites?,
        within,
        links,
        ordered,
    };
    if let Some(matrix) = matrix {
        measured_links(&mut network, matrix, bandwidth);
    }
    if reader.noted() == before {
        connected(reader, &network);
    }
    Some(network)
}

fn within<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Link> {
    let fields = reader.fields(node, WITHIN_KEYS)?;
    let standard = local_network();
    Some(Link {
        latency: reader.or(fields, "latency", standard.latency, latency),
        bandwidth: reader.or(fields, "bandwidth", standard.bandwidth, Reader::quantity),
    })
}

/// Nodes dealt to the sites in turn.
fn deal(names: Vec<String>, nodes: usize) -> Vec<Site> {
    let count = names.len();
    let site = |(number, name)| Site {
        name,
        nodes: (number..nodes).step_by(count).map(NodeId::at).collect(),
    };
    names.into_iter().enumerate().map(site).collect()
}

fn sites<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    around: Around,
    matrix: Option<&Matrix>,
) -> Option<Vec<Site>> {
    let count = match &node.value {
        Value::List(names) => names.len(),
        Value::Map(sites) => sites.len(),
        Value::Null | Value::Scalar { .. } => 0,
    };
    if count == 0 {
        let what = "site names, like `[north, south]`, or a map from site to nodes";
        reader.expected(node, what);
        return None;
    }
    if count > SITES_MAX {
        reader.refuse(format!(
            "has {count} sites: at most {SITES_MAX} are possible"
        ));
        return None;
    }
    match &node.value {
        Value::Map(_) => placed(reader, node, around, matrix),
        Value::Null | Value::Scalar { .. } | Value::List(_) => {
            let mut seen = BTreeSet::new();
            let names = reader.list(node, "site names", |reader, node| {
                let name = reader.text(node)?;
                if !seen.insert(name.clone()) {
                    reader.refuse(format!("the site `{}` is listed twice", shorten(&name)));
                }
                site_name(reader, &name, matrix)
            })?;
            (names.len() == count).then(|| deal(names, around.nodes.unwrap_or(1)))
        }
    }
}

/// A name that can stand in a table without quotes and, with a matrix, names one of its regions.
fn site_name(reader: &mut Reader<'_>, name: &str, matrix: Option<&Matrix>) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        reader.refuse(format!(
            "`{}` is not a site name: up to 64 letters, digits, `-`, `_` and `.`",
            shorten(name)
        ));
        return None;
    }
    if let Some(matrix) = matrix
        && !matrix.regions.contains(&name)
    {
        let help = match reader.near(name, matrix.regions.iter().copied()) {
            Some(region) => format!("did you mean `{region}`?"),
            None => format!("its regions are {}", matrix.regions.join(", ")),
        };
        reader.refuse_with(format!("`{name}` is no region of {}", matrix.name), help);
        return None;
    }
    Some(name.into())
}

/// Sites with the nodes that live there; every node exactly once.
fn placed<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    around: Around,
    matrix: Option<&Matrix>,
) -> Option<Vec<Site>> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let mut homes: BTreeMap<NodeId, &str> = BTreeMap::new();
    let mut sites = Vec::new();
    let mut sound = true;
    for entry in entries {
        let site = reader.inside(Step::Key(entry.key.clone()), |reader| {
            let name = site_name(reader, &entry.key, matrix)?;
            let mut nodes = reader.list(&entry.node, "a list of nodes", |reader, node| {
                let id = node_id(reader, node, around)?;
                if let Some(home) = homes.insert(id, &entry.key) {
                    reader.refuse(format!("node {} lives in `{home}` already", id.0));
                }
                Some(id)
            })?;
            nodes.sort_unstable();
            let Value::List(written) = &entry.node.value else {
                return None;
            };
            (nodes.len() == written.len()).then_some(Site { name, nodes })
        });
        sound &= site.is_some();
        sites.extend(site);
    }
    let missing = (0..around.nodes?).filter(|node| !homes.contains_key(&NodeId::at(*node)));
    let missing: Vec<String> = missing.take(6).map(|node| node.to_string()).collect();
    if sound && !missing.is_empty() {
        let shown = missing[..missing.len().min(5)].join(", ");
        let more = if missing.len() > 5 { ", …" } else { "" };
        reader.refuse_with(
            format!("has no place for these nodes: {shown}{more}"),
            "place every node once, or write a list of sites to deal them in turn",
        );
        return None;
    }
    sound.then_some(sites)
}

fn links<'t>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    bandwidth: Bandwidth,
    sites: Option<&[Site]>,
) -> Vec<SiteLink> {
    let mut pairs = BTreeSet::new();
    reader.or(fields, "links", Vec::new(), |reader, node| {
        if let Value::List(items) = &node.value
            && items.len() > LINKS_MAX
        {
            let count = items.len();
            reader.refuse(format!(
                "has {count} links: at most {LINKS_MAX} are possible"
            ));
            return None;
        }
        reader.list(node, "a list of links", |reader, node| {
            let fields = reader.fields(node, LINK_KEYS)?;
            let between = reader.require(fields, "between", "[north, south]", |reader, node| {
                let between = pair_of_sites(reader, node, sites)?;
                let mut pair = between.clone();
                pair.sort();
                if !pairs.insert(pair) {
                    let [a, b] = &between;
                    reader.refuse(format!("there is a link between {a} and {b} already"));
                }
                Some(between)
            });
            let latency = reader.require(fields, "latency", "10ms", latency);
            Some(SiteLink {
                between: between?,
                latency: latency?,
                bandwidth: reader.or(fields, "bandwidth", bandwidth, Reader::quantity),
            })
        })
    })
}

/// Two different sites that exist, as far as that is known.
pub fn pair_of_sites<'t>(
    reader: &mut Reader<'t>,
    node: &'t Node,
    sites: Option<&[Site]>,
) -> Option<[String; 2]> {
    let what = "two sites, like `[north, south]`";
    let names = reader.list(node, what, |reader, node| {
        let name = reader.text(node)?;
        let Some(sites) = sites else {
            return Some(name.to_string());
        };
        let names = || sites.iter().map(|site| &*site.name);
        if names().any(|site| site == &*name) {
            return Some(name.to_string());
        }
        let help = match reader.near(&name, names()) {
            Some(site) => format!("did you mean `{site}`?"),
            None => format!(
                "the sites are {}",
                shorten(&names().collect::<Vec<_>>().join(", "))
            ),
        };
        reader.refuse_with(format!("no site is named `{}`", shorten(&name)), help);
        None
    })?;
    let Value::List(items) = &node.value else {
        return None;
    };
    match (<[String; 2]>::try_from(names), items.len()) {
        (Ok([a, b]), 2) if a == b => {
            reader.refuse_with(
                format!("joins `{a}` with itself"),
                "the link inside a site is `network.within`",
            );
            None
        }
        (Ok(pair), 2) => Some(pair),
        (_, 2) => None,
        (_, count) => {
            reader.refuse(format!("must be {what}, but names {count}"));
            None
        }
    }
}

/// Adds the measured links that are not written out.
fn measured_links(network: &mut Network, matrix: &Matrix, bandwidth: Bandwidth) {
    let written: BTreeSet<[String; 2]> = network
        .links
        .iter()
        .map(|link| {
            let mut pair = link.between.clone();
            pair.sort();
            pair
        })
        .collect();
    for (number, from) in network.sites.iter().enumerate() {
        for to in &network.sites[number + 1..] {
            let mut pair = [from.name.clone(), to.name.clone()];
            let between = pair.clone();
            pair.sort();
            let Some(delay) = matrix.one_way(&from.name, &to.name) else {
                continue;
            };
            if !written.contains(&pair) {
                network.links.push(SiteLink {
                    between,
                    latency: Latency::constant(delay),
                    bandwidth,
                });
            }
        }
    }
}

/// Every site must be reachable from the first.
fn connected(reader: &mut Reader<'_>, network: &Network) {
    let mut neighbours: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for link in &network.links {
        let [a, b] = &link.between;
        neighbours.entry(a).or_default().push(b);
        neighbours.entry(b).or_default().push(a);
    }
    let first = &*network.sites[0].name;
    let mut reached = BTreeSet::from([first]);
    let mut waiting = vec![first];
    while let Some(site) = waiting.pop() {
        for next in neighbours.get(site).into_iter().flatten() {
            if reached.insert(next) {
                waiting.push(next);
            }
        }
    }
    let cut = network
        .sites
        .iter()
        .find(|site| !reached.contains(&*site.name));
    if let Some(site) = cut {
        let rule = format!("no path of links leads from `{first}` to `{}`", site.name);
        let help = format!(
            "add `- {{ between: [{first}, {}], latency: 10ms }}`",
            site.name
        );
        reader.refuse_at(&[Step::Key("links".into())], rule, Some(help));
    }
}
