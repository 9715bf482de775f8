//! Whose endorsements a transaction needs: an expression over nodes, as in Hyperledger Fabric.
//!
//! Written as `n2`, `AND(n0, n1)`, `OR(n0, n1)` or `OutOf(2, n0, n1, OR(n2, n3))`, nested as one
//! likes.

use std::fmt;

use crate::base::node::{NodeId, PositionSet};

/// A condition on the set of nodes that endorse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Policy {
    /// This node endorses.
    Node(NodeId),
    /// So many of these conditions hold: all of them for `AND`, one for `OR`.
    OutOf(usize, Vec<Policy>),
}

/// Expressions nested deeper are refused.
const DEPTH_MAX: usize = 16;
/// Names in one expression at most.
const NODES_MAX: usize = 1_000;

impl Policy {
    /// All of the nodes `n0` to `n(count-1)`.
    pub fn all(count: usize) -> Self {
        Self::OutOf(
            count,
            (0..count).map(|at| Self::Node(NodeId::at(at))).collect(),
        )
    }

    /// Any one of the nodes `n0` to `n(count-1)`.
    pub fn any(count: usize) -> Self {
        Self::OutOf(1, (0..count).map(|at| Self::Node(NodeId::at(at))).collect())
    }

    /// Reads an expression over the nodes `n0` to `n(nodes-1)`.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the expression.
    pub fn parse(text: &str, nodes: usize) -> Result<Self, String> {
        let mut parser = Parser {
            text,
            at: 0,
            nodes,
            names: 0,
        };
        let policy = parser.expression(0)?;
        parser.skip_spaces();
        match parser.rest() {
            "" => Ok(policy),
            rest => Err(format!("goes on after its end with `{}`", head(rest))),
        }
    }

    /// Whether these nodes, by index, are enough.
    pub fn holds(&self, endorsed: &PositionSet) -> bool {
        match self {
            Self::Node(node) => endorsed.contains(node.index()),
            Self::OutOf(least, parts) => {
                parts.iter().filter(|part| part.holds(endorsed)).count() >= *least
            }
        }
    }

    /// A least set of nodes that is enough, in ascending order. Each turn takes other ones, as far
    /// as there is a choice.
    pub fn choose(&self, turn: u64) -> Vec<NodeId> {
        let mut chosen = Vec::new();
        self.choose_into(turn, &mut chosen);
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn choose_into(&self, turn: u64, chosen: &mut Vec<NodeId>) {
        match self {
            Self::Node(node) => chosen.push(*node),
            Self::OutOf(least, parts) => {
                let count = parts.len() as u64;
                let first = (turn % count) as usize;
                let taken = parts.iter().cycle().skip(first).take(*least);
                // What is chosen inside a part changes once all parts have had their turn.
                taken.for_each(|part| part.choose_into(turn / count, chosen));
            }
        }
    }

    /// All nodes that the expression names, in ascending order.
    pub fn nodes(&self) -> Vec<NodeId> {
        fn collect(policy: &Policy, nodes: &mut Vec<NodeId>) {
            match policy {
                Policy::Node(node) => nodes.push(*node),
                Policy::OutOf(_, parts) => parts.iter().for_each(|part| collect(part, nodes)),
            }
        }
        let mut nodes = Vec::new();
        collect(self, &mut nodes);
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::OutOf(least, parts) = self else {
            let Self::Node(node) = self else {
                unreachable!("a policy is a node or a number of parts")
            };
            return write!(f, "{node}");
        };
        match *least {
            all if all == parts.len() => write!(f, "AND(")?,
            1 => write!(f, "OR(")?,
            least => write!(f, "OutOf({least}, ")?,
        }
        for (at, part) in parts.iter().enumerate() {
            write!(f, "{}{part}", if at == 0 { "" } else { ", " })?;
        }
        write!(f, ")")
    }
}

/// Reads an expression from left to right.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    nodes: usize,
    names: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// A name or number: letters and digits.
    fn word(&mut self) -> &'t str {
        self.skip_spaces();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// One character that has to come now.
    fn expect(&mut self, wanted: char) -> Result<(), String> {
        self.skip_spaces();
        if !self.rest().starts_with(wanted) {
            let found = match self.rest() {
                "" => "its end".to_string(),
                rest => format!("`{}`", head(rest)),
            };
            return Err(format!("has {found} where `{wanted}` belongs"));
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn expression(&mut self, depth: usize) -> Result<Policy, String> {
        if depth > DEPTH_MAX {
            return Err(format!("is nested deeper than {DEPTH_MAX}"));
        }
        let word = self.word();
        match word.to_ascii_lowercase().as_str() {
            "and" => {
                self.expect('(')?;
                let parts = self.parts(depth)?;
                Ok(Policy::OutOf(parts.len(), parts))
            }
            "or" => {
                self.expect('(')?;
                Ok(Policy::OutOf(1, self.parts(depth)?))
            }
            "outof" => {
                self.expect('(')?;
                let least = self.word();
                let number = least.parse::<usize>();
                let least = number.map_err(|_| format!("asks OutOf for `{least}` parts"))?;
                self.expect(',')?;
                let parts = self.parts(depth)?;
                if least == 0 || least > parts.len() {
                    return Err(format!("asks for {least} out of {} parts", parts.len()));
                }
                Ok(Policy::OutOf(least, parts))
            }
            "" => Err(match self.rest() {
                "" => "ends where a node belongs".into(),
                rest => format!("has `{}` where a node belongs", head(rest)),
            }),
            name => self.node(name),
        }
    }

    /// Expressions with commas between them, and the bracket that closes them.
    fn parts(&mut self, depth: usize) -> Result<Vec<Policy>, String> {
        let mut parts = vec![self.expression(depth + 1)?];
        loop {
            self.skip_spaces();
            if !self.rest().starts_with(',') {
                break;
            }
            self.expect(',')?;
            parts.push(self.expression(depth + 1)?);
        }
        self.expect(')')?;
        Ok(parts)
    }

    fn node(&mut self, name: &str) -> Result<Policy, String> {
        self.names += 1;
        if self.names > NODES_MAX {
            return Err(format!("names more than {NODES_MAX} nodes"));
        }
        let number = name.strip_prefix('n').and_then(|n| n.parse::<usize>().ok());
        match number {
            Some(number) if number < self.nodes => Ok(Policy::Node(NodeId::at(number))),
            Some(number) => Err(format!(
                "names n{number}, but the nodes are n0 to n{}",
                self.nodes.saturating_sub(1)
            )),
            None => Err(format!(
                "has `{name}` where a node like n0, AND, OR or OutOf belongs"
            )),
        }
    }
}

/// The beginning of a text, to be shown.
fn head(text: &str) -> String {
    text.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nodes: &[usize]) -> PositionSet {
        let mut set = PositionSet::new();
        nodes.iter().for_each(|&node| {
            set.insert(node);
        });
        set
    }

    #[test]
    fn an_expression_says_who_has_to_endorse() {
        let policy = Policy::parse("AND(n0, OutOf(2, n1, n2, n3), or(n1,n4))", 5).unwrap();
        assert!(policy.holds(&set(&[0, 1, 2])));
        assert!(policy.holds(&set(&[0, 2, 3, 4])));
        assert!(!policy.holds(&set(&[0, 2, 3])), "neither n1 nor n4");
        assert!(!policy.holds(&set(&[1, 2, 3, 4])), "not n0");
        assert_eq!(
            policy.to_string(),
            "AND(n0, OutOf(2, n1, n2, n3), OR(n1, n4))"
        );
        assert_eq!(Policy::parse(&policy.to_string(), 5), Ok(policy));
        assert_eq!(Policy::parse(" n3 ", 4), Ok(Policy::Node(NodeId(3))));
    }

    #[test]
    fn every_choice_is_enough_and_least_and_turns_change_it() {
        for text in [
            "n1",
            "AND(n0, n1, n2)",
            "OR(n0, n1, n2)",
            "OutOf(2, n0, n1, n2, n3)",
        ] {
            let policy = Policy::parse(text, 4).unwrap();
            for turn in 0..12 {
                let chosen = policy.choose(turn);
                let all: Vec<usize> = chosen.iter().map(|node| node.index()).collect();
                assert!(policy.holds(&set(&all)), "{text} {chosen:?}");
                for without in &all {
                    let less: Vec<usize> = all.iter().copied().filter(|n| n != without).collect();
                    assert!(!policy.holds(&set(&less)), "{text} {chosen:?}");
                }
            }
        }
        let or = Policy::any(3);
        let turns: Vec<NodeId> = (0..3).flat_map(|turn| or.choose(turn)).collect();
        assert_eq!(turns, [NodeId(0), NodeId(1), NodeId(2)], "each in turn");
        let nested = Policy::parse("AND(n0, OR(n1, n2))", 3).unwrap();
        let second = |turn| nested.choose(turn)[1];
        assert!((0..8).any(|turn| second(turn) == NodeId(1)));
        assert!((0..8).any(|turn| second(turn) == NodeId(2)));
    }

    #[test]
    fn nonsense_is_named() {
        let wrong = |text: &str| Policy::parse(text, 4).unwrap_err();
        for (text, rule) in [
            ("", "ends where a node belongs"),
            ("AND()", "has `)` where a node belongs"),
            ("AND(n0", "has its end where `)` belongs"),
            ("AND n0", "has `n0` where `(` belongs"),
            ("n4", "names n4, but the nodes are n0 to n3"),
            (
                "OR(n0, x)",
                "has `x` where a node like n0, AND, OR or OutOf belongs",
            ),
            ("OutOf(3, n0, n1)", "asks for 3 out of 2 parts"),
            ("OutOf(0, n0)", "asks for 0 out of 1 parts"),
            ("OutOf(n0, n1)", "asks OutOf for `n0` parts"),
            ("n0, n1", "goes on after its end with `, n1`"),
            ("AND(n0; n1)", "has `; n1)` where `)` belongs"),
        ] {
            assert_eq!(wrong(text), rule, "{text}");
        }
        assert!(wrong(&"AND(".repeat(40)).contains("nested deeper"));
        let many = format!("OR({}n0)", "n0, ".repeat(2000));
        assert!(wrong(&many).contains("more than 1000 nodes"));
    }
}
