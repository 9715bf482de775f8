//! Axes: from values to places, and which values are named.

/// How values are spread along an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spread {
    /// Equal steps are equal distances.
    Linear,
    /// Equal ratios are equal distances.
    Log,
}

/// A value with a mark on the axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tick {
    pub(super) at: f64,
    /// What is written there; nothing for a mark between two named ones.
    pub(super) name: Option<String>,
}

/// An axis from a least to a greatest value.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Axis {
    /// What it measures, with the unit.
    pub(super) label: String,
    pub(super) spread: Spread,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) ticks: Vec<Tick>,
}

impl Axis {
    /// Where a value lies, from 0 at the start of the axis to 1 at its end. Values outside are
    /// brought to the nearer end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.spread {
            Spread::Linear => (value - self.from) / (self.to - self.from),
            Spread::Log => {
                libm::log(value.max(self.from) / self.from) / libm::log(self.to / self.from)
            }
        };
        share.clamp(0.0, 1.0)
    }

    /// An axis from zero that holds all values.
    pub(super) fn from_zero(label: &str, values: &[f64], headroom: f64) -> Self {
        let greatest = values.iter().copied().fold(0.0, f64::max);
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        let step = nice_step(greatest * headroom, 7.0);
        let to = libm::ceil(greatest * headroom / step - 1e-9) * step;
        Self::linear(label, 0.0, to, step)
    }

    /// A linear axis that ends where the values end.
    pub(super) fn tight(label: &str, values: &[f64]) -> Self {
        let (least, greatest) = extent(values);
        let from = if least > 0.35 * greatest { least } else { 0.0 };
        let room = 0.04 * (greatest - from).max(greatest.abs() * 0.1).max(1e-9);
        let start = if from > 0.0 { from - room } else { 0.0 };
        Self::linear(
            label,
            start,
            greatest + room,
            nice_step(greatest - from, 7.0),
        )
    }

    /// A logarithmic axis that holds all values above zero, between numbers that begin with
    /// 1, 2 or 5.
    pub(super) fn log(label: &str, values: &[f64]) -> Self {
        let positive: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
        let (least, greatest) = extent(&positive);
        let all = round_numbers(least, greatest);
        let from = all.iter().copied().rfind(|v| *v <= least * 0.94);
        let to = all.iter().copied().find(|v| *v >= greatest * 1.06);
        let (from, to) = (from.unwrap_or(least / 2.0), to.unwrap_or(greatest * 2.0));
        let decades = libm::log10(to / from);
        let ticks = all
            .iter()
            .filter(|v| (from * 0.999..=to * 1.001).contains(*v));
        let ticks = ticks.map(|at| Tick {
            at: *at,
            name: (decades < 3.2 || is_power_of_ten(*at)).then(|| show(*at)),
        });
        Self {
            label: label.to_owned(),
            spread: Spread::Log,
            from,
            to,
            ticks: ticks.collect(),
        }
    }

    /// An axis whose ticks are the values themselves, which are few and chosen: by ratios if they
    /// are positive and far apart. Round numbers are the ticks if the values are many.
    pub(super) fn at_values(label: &str, values: &[f64]) -> Self {
        const MANY: usize = 16;
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let (least, greatest) = extent(&values);
        let ratios = least > 0.0 && greatest / least >= 4.0;
        let mut axis = match (ratios, values.len() > MANY) {
            (true, true) => return Self::log(label, &values),
            (false, true) => return Self::tight(label, &values),
            (false, false) => Self::tight(label, &values),
            (true, false) => {
                let room = libm::pow(greatest / least, 0.04);
                Self {
                    label: label.to_owned(),
                    spread: Spread::Log,
                    from: least / room,
                    to: greatest * room,
                    ticks: Vec::new(),
                }
            }
        };
        let ticks = values.iter().map(|at| Tick {
            at: *at,
            name: Some(show(*at)),
        });
        axis.ticks = ticks.collect();
        axis
    }

    /// An axis whose ticks are the values themselves, at equal distances if they are equally far
    /// apart.
    pub(super) fn at_steps(label: &str, values: &[f64]) -> Self {
        let mut axis = Self::at_values(label, values);
        let Self { from, to, .. } = Self::tight(label, values);
        (axis.spread, axis.from, axis.to) = (Spread::Linear, from, to);
        axis
    }

    /// From 0 to 1 in percent.
    pub(super) fn share(label: &str) -> Self {
        let ticks = (0..=4).map(|quarter| Tick {
            at: f64::from(quarter) / 4.0,
            name: Some(format!("{}%", quarter * 25)),
        });
        Self {
            label: label.to_owned(),
            spread: Spread::Linear,
            from: 0.0,
            to: 1.0,
            ticks: ticks.collect(),
        }
    }

    fn linear(label: &str, from: f64, to: f64, step: f64) -> Self {
        let first = libm::ceil(from / step - 1e-9);
        let last = libm::floor(to / step + 1e-9);
        // At most a dozen: the step is a tenth of the extent at least.
        let ticks = (0..)
            .map(|i| first + f64::from(i))
            .take_while(|k| *k <= last);
        let ticks = ticks.take(50).map(|k| Tick {
            at: k * step,
            name: Some(show(k * step)),
        });
        Self {
            label: label.to_owned(),
            spread: Spread::Linear,
            from,
            to,
            ticks: ticks.collect(),
        }
    }

    /// Takes away the names that would run into one another: `room` is how much of the axis a
    /// name of so many characters needs. The first and the last stay.
    pub(super) fn thin(&mut self, room: impl Fn(&str) -> f64) {
        let places: Vec<f64> = self.ticks.iter().map(|tick| self.place(tick.at)).collect();
        let mut order: Vec<usize> = (0..self.ticks.len()).collect();
        // Ends first, then powers of ten, then the rest from the left.
        let last = self.ticks.len().saturating_sub(1);
        order.sort_by_key(|i| {
            (
                *i != 0 && *i != last,
                !is_power_of_ten(self.ticks[*i].at),
                *i,
            )
        });
        let mut kept: Vec<(f64, f64)> = Vec::new();
        for i in order {
            let Some(name) = &self.ticks[i].name else {
                continue;
            };
            let half = room(name) / 2.0;
            let clear = kept
                .iter()
                .all(|(at, other)| (at - places[i]).abs() >= half + other);
            if clear {
                kept.push((places[i], half));
            } else {
                self.ticks[i].name = None;
            }
        }
    }
}

/// A number as people write it: few digits, thousands apart.
pub(super) fn show(value: f64) -> String {
    let size = value.abs();
    if size >= 1e9 || (size > 0.0 && size < 1e-3) {
        return format!("{value:e}");
    }
    let rounded = libm::round(value * 1e6) / 1e6;
    let text = if size >= 1000.0 {
        format!("{:.0}", libm::round(value))
    } else {
        rounded.to_string()
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |rest| ("\u{2212}", rest));
    let mut grouped = String::from(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 && digits.len() > 4 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// The least and the greatest of the values; 1 and 10 of nothing.
pub(super) fn extent(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if least <= greatest {
        (least, greatest)
    } else {
        (1.0, 10.0)
    }
}

/// A step of 1, 2, 2.5 or 5 times a power of ten that divides the extent into about `parts`.
fn nice_step(extent: f64, parts: f64) -> f64 {
    let raw = (extent / parts).max(1e-9);
    let ten = power_of_ten(libm::floor(libm::log10(raw)));
    let step = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|m| m * ten >= raw * 0.999);
    step.unwrap_or(10.0) * ten
}

/// All numbers that begin with 1, 2 or 5, somewhat beyond both ends.
fn round_numbers(least: f64, greatest: f64) -> Vec<f64> {
    let first = libm::floor(libm::log10(least)) as i32 - 1;
    let last = libm::ceil(libm::log10(greatest)) as i32 + 1;
    let decades = (first..=last).flat_map(|k| {
        let ten = power_of_ten(f64::from(k));
        [1.0, 2.0, 5.0].map(|m| m * ten)
    });
    decades.collect()
}

/// Exact for whole exponents that a decimal can be.
fn power_of_ten(exponent: f64) -> f64 {
    let text = format!("1e{exponent:.0}");
    text.parse().unwrap_or_else(|_| libm::exp10(exponent))
}

fn is_power_of_ten(value: f64) -> bool {
    value > 0.0 && (power_of_ten(libm::round(libm::log10(value))) / value - 1.0).abs() < 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        let named = axis.ticks.iter().filter_map(|tick| tick.name.as_deref());
        named.collect()
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (value, text) in [
            (0.1 + 0.2, "0.3"),
            (1500.0, "1500"),
            (15000.0, "15,000"),
            (1234567.0, "1,234,567"),
            (-0.25, "\u{2212}0.25"),
            (0.0, "0"),
            (1e12, "1e12"),
        ] {
            assert_eq!(show(value), text);
        }
    }

    #[test]
    fn linear_axes_begin_at_zero_and_end_at_a_round_number() {
        let axis = Axis::from_zero("t", &[3.0, 871.0], 1.05);
        assert_eq!(names(&axis), ["0", "200", "400", "600", "800", "1000"]);
        assert_eq!((axis.place(500.0), axis.place(2000.0)), (0.5, 1.0));
        assert_eq!(
            Axis::from_zero("t", &[], 1.0).to,
            1.0,
            "nothing to show is no reason to fail"
        );
    }

    #[test]
    fn logarithmic_axes_name_round_numbers_around_the_values() {
        let axis = Axis::log("t", &[3.0, 871.0, 0.0]);
        assert_eq!(
            names(&axis),
            ["2", "5", "10", "20", "50", "100", "200", "500", "1000"]
        );
        assert!((axis.place(2.0) - 0.0).abs() < 1e-12);
        let wide = Axis::log("t", &[3.0, 871_000.0]);
        assert_eq!(
            names(&wide),
            ["10", "100", "1000", "10,000", "100,000", "1,000,000"]
        );
    }

    #[test]
    fn chosen_values_are_the_ticks_and_crowded_names_give_way() {
        let mut axis = Axis::at_values("n", &[100.0, 4.0, 7.0, 8.0, 4.0]);
        assert_eq!(names(&axis), ["4", "7", "8", "100"]);
        axis.thin(|name| 0.06 + 0.01 * name.len() as f64);
        assert_eq!(names(&axis), ["4", "7", "100"]);
        let near = Axis::at_values("n", &[4.0, 7.0]);
        assert_eq!(
            (names(&near), near.spread),
            (vec!["4", "7"], Spread::Linear)
        );
        let steps = Axis::at_steps("n", &[1.0, 2.0, 5.0]);
        assert_eq!(names(&steps), ["1", "2", "5"]);
        let gaps = [1.0, 2.0, 5.0].map(|value| steps.place(value));
        assert!(((gaps[2] - gaps[1]) / (gaps[1] - gaps[0]) - 3.0).abs() < 1e-9);
        let single = Axis::at_values("n", &[4.0]);
        assert!(
            (0.0..=1.0).contains(&single.place(4.0)),
            "one value is no division by zero"
        );
    }
}
