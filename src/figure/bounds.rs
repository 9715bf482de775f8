//! What links allow at most, by how often each protocol sends a transaction over the busiest one.

use crate::experiment::table::Tables;

use super::chart::Theory;
use super::curve::{self, Line};
use super::series;

/// Mean bytes of a transaction of the usual mix.
const BODY_BYTES: f64 = 598.0;

/// Members of each low-level group of MBFT, and of its upper group, unless a scenario says
/// otherwise; and the groups of K-RBFT.
const LOW: f64 = 4.0;
const UPPER: f64 = 4.0;
const GROUPS: f64 = 4.0;

/// How the nodes of a line agree, as far as its bytes depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Leader,
    Groups,
    Full,
    Sparse,
}

impl Way {
    fn of(line: &Line<'_>) -> Option<Self> {
        let config = line.group.runs.first()?.row.swept("protocol.value");
        let sparse =
            config.is_some_and(|config| config.replace(' ', "").contains("publish:sparse"));
        match line.group.protocol {
            "raft" | "pbft" => Some(Self::Leader),
            "krbft" => Some(Self::Groups),
            "mbft" if sparse => Some(Self::Sparse),
            "mbft" => Some(Self::Full),
            _ => None,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Leader => "one leader",
            Self::Groups => "K-RBFT, equal groups",
            Self::Full => "MBFT in full",
            Self::Sparse => "MBFT, sparse",
        }
    }

    /// Copies of a transaction over all links.
    fn copies(self, n: f64) -> f64 {
        match self {
            Self::Leader | Self::Groups => n - 1.0,
            Self::Full => LOW - 1.0 + UPPER + n - UPPER,
            Self::Sparse => LOW - 1.0 + UPPER,
        }
    }

    /// Copies over the busiest link for each transaction of all.
    fn busiest(self, n: f64) -> f64 {
        let groups = libm::floor((n - UPPER) / LOW);
        let group = (LOW - 1.0 + UPPER) / groups;
        match self {
            Self::Leader => n - 1.0,
            Self::Groups => GROUPS - 1.0 + libm::ceil(n / GROUPS) - 1.0,
            // A primary of a group sends, a member of the upper group receives and sends on.
            Self::Full => group.max(1.0).max((n - UPPER) / UPPER),
            Self::Sparse => group.max(1.0),
        }
    }
}

/// The bandwidth that an experiment names, in Mbit/s.
pub(super) fn bandwidth(tables: &Tables) -> Option<f64> {
    let row = &tables.records().first()?.row;
    let mut swept = row.swept.iter();
    let (_, value) = swept.find(|(key, _)| key.ends_with("bandwidth"))?;
    series::quantity(value)
}

/// Messages for a large block of MBFT with every group in it, and nobody missing.
pub(super) fn large_block(n: f64) -> f64 {
    let groups = libm::floor((n - UPPER) / LOW);
    let agreed = 2.0 * UPPER * (UPPER - 1.0) + n - UPPER;
    groups * (2.0 * (LOW - 1.0) + UPPER) + agreed
}

/// What the busiest link allows.
pub(super) fn capacity(line: &Line<'_>) -> Vec<Theory> {
    let bandwidth = line.group.runs.first().and_then(|run| {
        let mut swept = run.row.swept.iter();
        let (_, value) = swept.find(|(key, _)| key.ends_with("bandwidth"))?;
        series::quantity(value)
    });
    let (Some(way), Some(bandwidth)) = (Way::of(line), bandwidth) else {
        return Vec::new();
    };
    let bodies = bandwidth * 1e6 / 8.0 / BODY_BYTES;
    curve::formula(line, way.label(), |n| bodies / way.busiest(n))
}

/// Bytes of the copies of a transaction, in KiB.
pub(super) fn bytes(line: &Line<'_>) -> Vec<Theory> {
    Way::of(line).map_or(Vec::new(), |way| {
        let copies = |n| way.copies(n) * BODY_BYTES / 1024.0;
        curve::formula(line, way.label(), copies)
    })
}

/// As many times as much as with the fewest groups as there are more groups.
pub(super) fn linear(line: &Line<'_>) -> Vec<Theory> {
    let Some(first) = line.points.first() else {
        return Vec::new();
    };
    let each = first.y / first.x;
    curve::formula(line, "in proportion", |groups| each * groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_link_is_the_leaders_or_the_upper_groups() {
        for (way, n, busiest, copies) in [
            (Way::Leader, 100.0, 99.0, 99.0),
            (Way::Groups, 100.0, 27.0, 99.0),
            (Way::Full, 8.0, 7.0, 11.0),
            (Way::Full, 100.0, 24.0, 103.0),
            (Way::Sparse, 8.0, 7.0, 7.0),
            (Way::Sparse, 32.0, 1.0, 7.0),
            (Way::Sparse, 100.0, 1.0, 7.0),
        ] {
            assert_eq!(way.busiest(n), busiest, "{} {n}", way.label());
            assert_eq!(way.copies(n), copies, "{} {n}", way.label());
        }
        assert_eq!(
            [12.0, 20.0, 40.0, 100.0].map(large_block),
            [52.0, 80.0, 150.0, 360.0]
        );
    }
}
