//! How things look: a colour and a marker per protocol, the same in every figure.
//!
//! The colours are those of Okabe and Ito, which people with any colour vision tell apart; the
//! markers tell the same protocols apart in print without colour.

/// A colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

/// The shape of a data point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Marker {
    Circle,
    Square,
    Up,
    Down,
    Diamond,
    Pentagon,
    Cross,
}

/// How one series looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Style {
    pub(super) colour: Rgb,
    pub(super) marker: Marker,
    /// Whether markers are outlines, which tells neighbouring variants of a protocol apart.
    pub(super) hollow: bool,
}

pub(super) const INK: Rgb = Rgb(34, 34, 34);
pub(super) const SOFT_INK: Rgb = Rgb(95, 95, 95);
pub(super) const GRID: Rgb = Rgb(228, 228, 228);
pub(super) const SHADE: Rgb = Rgb(240, 240, 240);
pub(super) const PAPER: Rgb = Rgb(255, 255, 255);

/// Known protocols in the order they are drawn and listed: name, name in figures, looks.
const PROTOCOLS: &[(&str, &str, Rgb, Marker)] = &[
    ("raft", "Raft", Rgb(0, 114, 178), Marker::Circle),
    ("iraft", "Improved Raft", Rgb(86, 180, 233), Marker::Square),
    ("pbft", "PBFT", Rgb(213, 94, 0), Marker::Up),
    ("krbft", "K-RBFT", Rgb(230, 159, 0), Marker::Diamond),
    ("mbft", "MBFT", Rgb(0, 158, 115), Marker::Down),
    ("hotstuff", "HotStuff", Rgb(204, 121, 167), Marker::Pentagon),
    ("layers", "Layers", Rgb(90, 90, 90), Marker::Cross),
];

impl Rgb {
    /// This colour with a share of another, from 0 to 1.
    pub(super) fn mix(self, other: Self, share: f64) -> Self {
        let blend = |a: u8, b: u8| {
            let value = f64::from(a) + (f64::from(b) - f64::from(a)) * share;
            libm::round(value) as u8
        };
        Self(
            blend(self.0, other.0),
            blend(self.1, other.1),
            blend(self.2, other.2),
        )
    }

    /// Darker, for lines drawn upon lines of this colour.
    pub(super) fn darker(self) -> Self {
        self.mix(INK, 0.55)
    }
}

/// The place of a protocol in legends and tables. Unknown ones follow the known.
pub(super) fn rank(protocol: &str) -> usize {
    let known = PROTOCOLS.iter().position(|(name, ..)| *name == protocol);
    known.unwrap_or(PROTOCOLS.len())
}

/// The name of a protocol as the literature writes it.
pub(super) fn display(protocol: &str) -> &str {
    PROTOCOLS
        .get(rank(protocol))
        .map_or(protocol, |(_, name, ..)| name)
}

/// The looks of variant `index` of `count` of a protocol: variants go from dark to light.
pub(super) fn style(protocol: &str, index: usize, count: usize) -> Style {
    let unknown = ("", "", INK, Marker::Cross);
    let (_, _, colour, marker) = *PROTOCOLS.get(rank(protocol)).unwrap_or(&unknown);
    let place = if count > 1 {
        index as f64 / (count - 1) as f64
    } else {
        0.5
    };
    let colour = if place < 0.5 {
        colour.mix(INK, 1.1 * (0.5 - place))
    } else {
        colour.mix(PAPER, 1.1 * (place - 0.5))
    };
    Style {
        colour,
        marker,
        hollow: index % 2 == 1,
    }
}

/// The looks of a series that may be no protocol of ours, by its place among others.
pub(super) fn any(name: &str, index: usize) -> Style {
    let known = rank(name) < PROTOCOLS.len();
    let name = if known {
        name
    } else {
        PROTOCOLS[index % PROTOCOLS.len()].0
    };
    style(name, 0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_protocols_look_alike_in_colour_or_in_shape() {
        for (index, (name, ..)) in PROTOCOLS.iter().enumerate() {
            for (other, ..) in &PROTOCOLS[..index] {
                let (one, two) = (style(name, 0, 1), style(other, 0, 1));
                assert_ne!(one.colour, two.colour, "{name} {other}");
                assert_ne!(one.marker, two.marker, "{name} {other}");
            }
        }
    }

    #[test]
    fn a_single_variant_has_the_colour_of_its_protocol() {
        assert_eq!(style("raft", 0, 1).colour, Rgb(0, 114, 178));
        assert_ne!(style("raft", 0, 2), style("raft", 1, 2));
        assert_eq!(display("hotstuff"), "HotStuff");
        assert_eq!(display("tendermint"), "tendermint");
    }
}
