//! Quantities as people write them: `50ms`, `100 Mbit/s`, `1KiB`, `500/s`, `0.1%`.
//!
//! Every value is kept as an exact integer (nanoseconds, bits per second, bytes, events per
//! thousand seconds, parts per thousand million); what is not a whole number of those is refused
//! rather than rounded. The space before the unit is optional. Bits and bytes are never mixed:
//! `100Mbps` and `100 Mbit/s` both mean bits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::{Span, Time, Window};

/// How many bits a link carries in a second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Bandwidth(u64);

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Bytes(pub u64);

/// How often something happens: events per thousand seconds, so that `0.5/s` is exact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rate(u64);

/// A share of a whole in parts per thousand million, from 0 to 100 %.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Ratio(u32);

/// Why a text is not a quantity. Prints as a sentence that says what to write instead.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl Bandwidth {
    /// Faster than any cost: a message takes no time to send.
    pub const UNLIMITED: Self = Self(u64::MAX);

    /// `bits` bits a second. Zero is refused where it is read.
    pub const fn from_bits_per_second(bits: u64) -> Self {
        Self(bits)
    }

    /// Bits a second.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Picoseconds it takes to send one byte, rounded up; zero when unlimited.
    pub fn picos_per_byte(self) -> u64 {
        if self == Self::UNLIMITED {
            0
        } else {
            8_000_000_000_000_u64.div_ceil(self.0)
        }
    }
}

impl Rate {
    /// `millis` events in a thousand seconds.
    pub const fn from_per_kilosecond(millis: u64) -> Self {
        Self(millis)
    }

    /// Events in a thousand seconds.
    pub const fn per_kilosecond(self) -> u64 {
        self.0
    }

    /// The mean time between two events, rounded down.
    pub fn interval(self) -> Span {
        Span::from_nanos(1_000_000_000_000 / self.0.max(1))
    }
}

impl Ratio {
    /// Never.
    pub const ZERO: Self = Self(0);
    /// Always.
    pub const ONE: Self = Self(1_000_000_000);

    /// `parts` in a thousand million.
    pub fn from_parts_per_billion(parts: u32) -> Self {
        assert!(parts <= Self::ONE.0, "a ratio is at most one");
        Self(parts)
    }

    /// Parts in a thousand million.
    pub const fn parts_per_billion(self) -> u32 {
        self.0
    }
}

const SPAN_UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const BANDWIDTH_UNITS: &[(&str, u64)] = &[
    ("bit/s", 1),
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
    ("bps", 1),
    ("kbps", 1_000),
    ("Mbps", 1_000_000),
    ("Gbps", 1_000_000_000),
];
const BYTE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
const RATE_UNITS: &[(&str, u64)] = &[("/s", 1_000), ("tx/s", 1_000), ("/min", 0)];
const RATIO_UNITS: &[(&str, u64)] = &[("%", 10_000_000)];

/// Reads `text` as a decimal number and one of `units`, exactly.
fn parse(text: &str, what: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim_start());
    let names: Vec<&str> = units
        .iter()
        .filter(|(_, factor)| *factor > 0)
        .map(|(name, _)| *name)
        .collect();
    let shown = shorten(text);
    if number.is_empty() {
        return Err(UnitError(format!(
            "`{shown}` is not {what}: write a number and a unit, like `5{}` (units: {})",
            names[names.len() / 2],
            names.join(", ")
        )));
    }
    if unit.is_empty() {
        return Err(UnitError(format!(
            "{what} `{shown}` has no unit: write `{number}{}` (units: {})",
            names[names.len() / 2],
            names.join(", ")
        )));
    }
    let Some(&(_, factor)) = units
        .iter()
        .find(|(name, factor)| *name == unit && *factor > 0)
    else {
        let near = units
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let hint = near.map_or(String::new(), |(name, _)| {
            format!("; did you mean `{name}`?")
        });
        return Err(UnitError(format!(
            "`{}` is not a unit of {what} (units: {}){hint}",
            shorten(unit),
            names.join(", ")
        )));
    };
    scale(number, factor).ok_or_else(|| {
        UnitError(format!(
            "`{shown}` is not {what} that can be held exactly as a whole number"
        ))
    })
}

/// `number × factor` if it is a whole number that fits.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = u32::try_from(fraction.len())
        .ok()
        .filter(|digits| *digits <= 18)?;
    let ten = 10_u128.pow(digits);
    let whole: u128 = whole.parse::<u64>().ok()?.into();
    let part: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?.into()
    };
    let scaled = (whole * ten + part).checked_mul(u128::from(factor))?;
    (scaled % ten == 0)
        .then_some(scaled / ten)
        .and_then(|value| u64::try_from(value).ok())
}

/// At most sixty characters of `text`, control characters escaped.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 {
        shown.push('…');
    }
    shown
}

impl FromStr for Span {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, "a duration", SPAN_UNITS).map(Span::from_nanos)
    }
}

impl FromStr for Bandwidth {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "unlimited" {
            return Ok(Self::UNLIMITED);
        }
        let bits = parse(text, "a bandwidth", BANDWIDTH_UNITS)?;
        if bits == 0 {
            return Err(UnitError("a bandwidth must be greater than zero".into()));
        }
        Ok(Self(bits))
    }
}

impl FromStr for Bytes {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, "a size", BYTE_UNITS).map(Self)
    }
}

impl FromStr for Rate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, "a rate", RATE_UNITS).map(Self)
    }
}

impl FromStr for Ratio {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let parts = parse(text, "a percentage", RATIO_UNITS)?;
        u32::try_from(parts)
            .ok()
            .filter(|parts| *parts <= Self::ONE.0)
            .map(Self)
            .ok_or_else(|| UnitError(format!("`{}` is more than 100%", shorten(text))))
    }
}

/// Prints `value` with the largest unit that divides it.
fn with_unit(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let (name, factor) = units
        .iter()
        .filter(|(_, factor)| *factor > 0 && value.is_multiple_of(*factor) && value > 0)
        .max_by_key(|(_, factor)| *factor)
        .unwrap_or(&units[0]);
    write!(f, "{}{name}", value / factor)
}

/// Prints `value / scale` as a decimal without trailing zeros.
fn decimal(f: &mut fmt::Formatter<'_>, value: u64, scale: u64, unit: &str) -> fmt::Result {
    let digits = scale.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / scale, value % scale);
    write!(
        f,
        "{}{unit}",
        text.trim_end_matches('0').trim_end_matches('.')
    )
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNLIMITED {
            return f.write_str("unlimited");
        }
        with_unit(f, self.0, &BANDWIDTH_UNITS[..4])
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_unit(f, self.0, BYTE_UNITS)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(f, self.0, 1_000, "/s")
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(f, u64::from(self.0), 10_000_000, "%")
    }
}

/// Reads a quantity from its text.
fn read<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = UnitError>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bandwidth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl Serialize for Bandwidth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    /// A window is written `[20s, 40s]`, or `[20s]` when it never closes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ends = Vec::<Span>::deserialize(deserializer)?;
        let instant = |span: Span| Time::ZERO + span;
        match ends[..] {
            [from] => Ok(Self {
                from: instant(from),
                until: None,
            }),
            [from, until] if from < until => Ok(Self {
                from: instant(from),
                until: Some(instant(until)),
            }),
            [from, until] => Err(serde::de::Error::custom(format!(
                "the window [{from}, {until}] ends before it begins: write the earlier time first"
            ))),
            _ => Err(serde::de::Error::custom(
                "a window is `[from, until]`, like `[20s, 40s]`",
            )),
        }
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ends = std::iter::once(self.from).chain(self.until);
        serializer.collect_seq(ends.map(|end| end.since(Time::ZERO)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact_and_print_as_they_are_read() {
        for text in ["150ms", "2s", "1ns", "90us", "2500us"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("0.5 ms".parse::<Span>().unwrap(), Span::from_micros(500));
        assert_eq!("100Mbps".parse::<Bandwidth>(), "100 Mbit/s".parse());
        assert_eq!(
            "1Gbps".parse::<Bandwidth>().unwrap().picos_per_byte(),
            8_000
        );
        assert_eq!("256KiB".parse::<Bytes>().unwrap().to_string(), "256KiB");
        assert_eq!("0.5/s".parse::<Rate>().unwrap().to_string(), "0.5/s");
        assert_eq!(
            "0.1%".parse::<Ratio>().unwrap().parts_per_billion(),
            1_000_000
        );
        assert_eq!("0.1%".parse::<Ratio>().unwrap().to_string(), "0.1%");
    }

    #[test]
    fn a_refused_quantity_says_what_to_write() {
        let refused = |text: &str| text.parse::<Span>().unwrap_err().to_string();
        assert!(refused("200").contains("has no unit: write `200"));
        assert!(refused("200MS").contains("did you mean `ms`?"));
        assert!(refused("0.3ns").contains("exactly"));
        assert!(refused("-5ms").contains("is not a duration"));
        assert!(refused("1e400s").contains("not a unit"));
        assert!(refused("99999999999999999999s").contains("exactly"));
        assert!("101%".parse::<Ratio>().is_err());
        assert!("0Mbps".parse::<Bandwidth>().is_err());
    }
}
