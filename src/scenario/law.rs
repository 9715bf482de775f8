//! Latencies: the laws they follow as people write them, and the table that is drawn from.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::reader::{Fields, Reader};
use super::schema::number;
use super::tree::{Node, Step, Value};
use crate::base::distribution::{Distribution, Law};
use crate::base::time::Span;

/// How long messages are under way.
#[derive(Clone, PartialEq, Debug)]
pub struct Latency {
    /// The law as written.
    pub law: Law,
}

/// The names of laws.
pub const LAWS: [&str; 6] = [
    "constant",
    "uniform",
    "normal",
    "lognormal",
    "exponential",
    "pareto",
];
/// Quantiles in a list at most.
const QUANTILES_MAX: usize = 10_000;

impl Latency {
    /// Always the same.
    pub fn constant(span: Span) -> Self {
        Self {
            law: Law::Constant(span),
        }
    }

    /// The table that is drawn from.
    pub fn distribution(&self) -> Distribution {
        Distribution::new(&self.law)
    }

    /// The least value a draw can give: the lookahead of the link.
    pub fn least(&self) -> Span {
        match &self.law {
            Law::Constant(span) | Law::Uniform(span, _) => *span,
            Law::Quantiles(spans) => spans.first().copied().unwrap_or(Span::ZERO),
            Law::Pareto { least, .. } => *least,
            Law::Exponential { floor, .. } => *floor,
            Law::Normal { .. } | Law::Lognormal { .. } => self.distribution().least(),
        }
    }
}

impl Latency {
    /// Whether a draw can be zero.
    fn may_be_zero(&self) -> bool {
        match &self.law {
            // The least draw lies as far below the median as 1.8 times the way up to the 99th
            // percentile, in logarithms: 30^1.8 is less than a thousand.
            Law::Lognormal { median, p99 }
                if *median >= Span::from_micros(1) && *p99 <= *median * 30 =>
            {
                false
            }
            Law::Normal { floor, .. } if *floor > Span::ZERO => false,
            Law::Normal { .. }
            | Law::Lognormal { .. }
            | Law::Constant(_)
            | Law::Uniform(..)
            | Law::Quantiles(_)
            | Law::Exponential { .. }
            | Law::Pareto { .. } => self.least() == Span::ZERO,
        }
    }
}

/// Reads a latency in any of its forms.
pub fn latency<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Latency> {
    let law = match &node.value {
        Value::Scalar { .. } | Value::Null => Law::Constant(reader.quantity(node)?),
        Value::List(_) => Law::Quantiles(quantiles(reader, node)?),
        Value::Map(_) => {
            let (entry, _) = reader.tagged(node, &LAWS)?;
            let step = Step::Key(entry.key.clone());
            reader.inside(step, |reader| law(reader, &entry.key, &entry.node))?
        }
    };
    let latency = Latency { law };
    if latency.may_be_zero() {
        reader.refuse_with(
            "may be zero: no message arrives in the instant in which it is sent, and the least \
             latency is how far the simulation may look ahead",
            "make the least value at least 1us, with a `floor` or a greater `median`",
        );
        return None;
    }
    Some(latency)
}

fn quantiles<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Vec<Span>> {
    let what = "quantiles, like `[1ms, 2ms, 9ms]`";
    let Value::List(items) = &node.value else {
        reader.expected(node, what);
        return None;
    };
    if items.is_empty() || items.len() > QUANTILES_MAX {
        let count = items.len();
        reader.refuse(format!(
            "must have 1 to {QUANTILES_MAX} quantiles, but has {count}"
        ));
        return None;
    }
    let spans: Vec<Span> = reader.list(node, what, Reader::quantity)?;
    if spans.len() < items.len() {
        return None;
    }
    if let Some(fall) = spans.windows(2).position(|pair| pair[0] > pair[1]) {
        let rule = format!("is less than {}, the quantile before it", spans[fall]);
        let help = "write quantiles in ascending order: the least first, the greatest last";
        reader.refuse_at(&[Step::Index(fall + 1)], rule, Some(help.into()));
        return None;
    }
    Some(spans)
}

fn law<'t>(reader: &mut Reader<'t>, name: &str, node: &'t Node) -> Option<Law> {
    match name {
        "constant" => reader.quantity(node).map(Law::Constant),
        "uniform" => uniform(reader, node),
        "normal" => {
            let fields = reader.fields(node, &["mean", "deviation", "floor"])?;
            let [mean, deviation, floor] = spans(reader, fields, ["mean", "deviation", "floor"]);
            Some(Law::Normal {
                mean: mean?,
                deviation: deviation?,
                floor: floor?,
            })
        }
        "lognormal" => {
            let fields = reader.fields(node, &["median", "p99"])?;
            let [median, p99] = spans(reader, fields, ["median", "p99"]);
            let (median, p99) = (median?, p99?);
            if median == Span::ZERO || p99 <= median {
                let help = "99% of messages are faster than `p99`, and half than `median`";
                let rule = format!("must be greater than `median`, {median}, and that than zero");
                reader.refuse_at(&[Step::Key("p99".into())], rule, Some(help.into()));
                return None;
            }
            Some(Law::Lognormal { median, p99 })
        }
        "exponential" => {
            let fields = reader.fields(node, &["mean", "floor"])?;
            let [mean, floor] = spans(reader, fields, ["mean", "floor"]);
            Some(Law::Exponential {
                mean: mean?,
                floor: floor?,
            })
        }
        _ => pareto(reader, node),
    }
}

fn uniform<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Law> {
    let what = "the least and the greatest value, like `[1ms, 9ms]`";
    let (Value::List(items), 2) = (&node.value, count(node)) else {
        reader.expected(node, what);
        return None;
    };
    let ends: Vec<Span> = reader.list(node, what, Reader::quantity)?;
    if ends.len() < items.len() {
        return None;
    }
    if ends[0] > ends[1] {
        let rule = format!("[{}, {}] descends", ends[0], ends[1]);
        reader.refuse_with(rule, "write the least value first");
        return None;
    }
    Some(Law::Uniform(ends[0], ends[1]))
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => items.len(),
        Value::Null | Value::Scalar { .. } | Value::Map(_) => 0,
    }
}

fn pareto<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Law> {
    let fields = reader.fields(node, &["least", "shape", "greatest"])?;
    let [least, greatest] = spans(reader, fields, ["least", "greatest"]);
    let shape = reader.require(fields, "shape", "2.5", |reader, node| {
        reader.thousandths(node, 100, 100_000)
    });
    let (least, greatest, shape) = (least?, greatest?, shape?);
    if greatest < least {
        let rule = format!("must not be less than `least`, {least}");
        reader.refuse_at(&[Step::Key("greatest".into())], rule, None);
        return None;
    }
    Some(Law::Pareto {
        least,
        shape_thousandths: u32::try_from(shape).ok()?,
        greatest,
    })
}

/// Required spans by key.
fn spans<'t, const N: usize>(
    reader: &mut Reader<'t>,
    fields: Fields<'t>,
    keys: [&str; N],
) -> [Option<Span>; N] {
    keys.map(|key| reader.require(fields, key, "1ms", Reader::quantity))
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span = |span: &Span| serde_json::Value::from(span.to_string());
        let (name, terms) = match &self.law {
            Law::Quantiles(spans) => return spans.serialize(serializer),
            Law::Constant(span) => return serializer.collect_map([("constant", span)]),
            Law::Uniform(low, high) => {
                return serializer.collect_map([("uniform", [low, high])]);
            }
            Law::Normal {
                mean,
                deviation,
                floor,
            } => {
                let spread = ("deviation", span(deviation));
                (
                    "normal",
                    vec![("mean", span(mean)), spread, ("floor", span(floor))],
                )
            }
            Law::Lognormal { median, p99 } => (
                "lognormal",
                vec![("median", span(median)), ("p99", span(p99))],
            ),
            Law::Exponential { mean, floor } => (
                "exponential",
                vec![("mean", span(mean)), ("floor", span(floor))],
            ),
            Law::Pareto {
                least,
                shape_thousandths,
                greatest,
            } => {
                let shape = ("shape", number(u64::from(*shape_thousandths)));
                let ends = [("least", span(least)), shape, ("greatest", span(greatest))];
                ("pareto", ends.to_vec())
            }
        };
        let terms: BTreeMap<&str, serde_json::Value> = terms.into_iter().collect();
        serializer.collect_map([(name, terms)])
    }
}
