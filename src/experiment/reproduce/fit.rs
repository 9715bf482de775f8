//! How the constants were found: one constant per scenario, on the points that are marked, so
//! that their errors balance.

use rayon::prelude::*;
use serde_json::Value;

use super::{Conduct, Point, Series, Target, Template, error};
use crate::scenario::{Refusal, Scenario};

/// A value of a scenario that no publication tells.
#[derive(Debug)]
pub struct Constant {
    /// The dotted key.
    pub key: &'static str,
    /// The least and the greatest value in question, in microseconds.
    pub range: (u64, u64),
}

/// A constant found again.
#[derive(Clone, PartialEq, Debug)]
pub struct Fit {
    /// The scenario.
    pub template: &'static str,
    /// The dotted key.
    pub key: &'static str,
    /// As it stands in the scenario.
    pub frozen: String,
    /// Whether that is another value than the one found.
    pub drifted: bool,
    /// As it is found, in microseconds.
    pub found_us: u64,
    /// The errors of the fitted points with it, in percent: series, place, error.
    pub errors: Vec<(&'static str, f64, f64)>,
}

/// The points a constant was fitted on, with their series.
type Fitted = Vec<(&'static Series, &'static Point)>;

/// Finds every constant of a target again, to a microsecond: the value with which the errors of
/// its points, in percent, add up to zero. With one point that is no error, with two it is errors
/// of one size and opposite signs.
///
/// # Errors
/// If a scenario is refused.
pub fn refit(target: &Target, conduct: &Conduct<'_>) -> Result<Vec<Fit>, Refusal> {
    let mut fits = Vec::new();
    for template in target.templates() {
        let Some(constant) = &template.constant else {
            continue;
        };
        let series = target.series.iter();
        let series = series.filter(|series| series.template.name == template.name);
        let fitted: Fitted = series
            .flat_map(|series| series.points.iter().map(move |point| (series, point)))
            .filter(|(_, point)| point.fitted)
            .collect();
        let found_us = balance(constant.range, |us| {
            let errors = errors(template, constant.key, us, &fitted, conduct)?;
            Ok(errors.iter().map(|(_, _, error)| error).sum())
        })?;
        let written = conduct.scenario(template, &[])?;
        let found = conduct.scenario(template, &[(constant.key, &format!("{found_us}us"))])?;
        fits.push(Fit {
            template: template.name,
            key: constant.key,
            frozen: value(&written, constant.key),
            drifted: written.hash() != found.hash(),
            found_us,
            errors: errors(template, constant.key, found_us, &fitted, conduct)?,
        });
    }
    Ok(fits)
}

/// The value of a dotted key of a scenario, as text.
fn value(scenario: &Scenario, key: &str) -> String {
    let tree = serde_json::to_value(scenario).expect("maps with text keys are JSON");
    let found = tree.pointer(&format!("/{}", key.replace('.', "/")));
    // A latency is a map from its law to the value.
    let inner = |value: &Value| {
        value
            .as_object()
            .and_then(|map| map.values().next().cloned())
    };
    let plain = found.map(|value| inner(value).unwrap_or_else(|| value.clone()));
    let text = plain.as_ref().and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The errors of points with a value of the constant.
fn errors(
    template: &Template,
    key: &str,
    us: u64,
    fitted: &Fitted,
    conduct: &Conduct<'_>,
) -> Result<Vec<(&'static str, f64, f64)>, Refusal> {
    let value = format!("{us}us");
    let each = fitted.par_iter().map(|(series, point)| {
        let mut set = point.set.to_vec();
        set.push((key, &value));
        let scenario = conduct.scenario(template, &set)?;
        let error = error(point.published, conduct.ours(series, &scenario));
        Ok((series.name, point.x, error.unwrap_or(f64::INFINITY)))
    });
    each.collect()
}

/// The whole number at which a monotone function is nearest to zero; the better end if it has no
/// zero in the range.
fn balance(
    (mut low, mut high): (u64, u64),
    mut sum: impl FnMut(u64) -> Result<f64, Refusal>,
) -> Result<u64, Refusal> {
    let (mut at_low, mut at_high) = (sum(low)?, sum(high)?);
    while high - low > 1 && (at_low < 0.0) != (at_high < 0.0) {
        let middle = low + (high - low) / 2;
        let at_middle = sum(middle)?;
        if (at_middle < 0.0) == (at_low < 0.0) {
            (low, at_low) = (middle, at_middle);
        } else {
            (high, at_high) = (middle, at_middle);
        }
    }
    Ok(if at_low.abs() <= at_high.abs() {
        low
    } else {
        high
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_balance_whether_they_rise_or_fall() {
        let rising = |us: u64| Ok(us as f64 - 618.4);
        assert_eq!(balance((0, 2_000), rising).unwrap(), 618);
        let falling = |us: u64| Ok(618.6 - us as f64);
        assert_eq!(balance((0, 2_000), falling).unwrap(), 619);
        assert_eq!(balance((700, 2_000), rising).unwrap(), 700);
        assert_eq!(balance((0, 600), rising).unwrap(), 600);
    }
}
