//! Says what a run was expected to show and has not shown.

use super::schema::{Expect, Liveness, Safety, Side};
use crate::observe::checks::{Verdict, Word};

/// Which expectations of a scenario an outcome does not meet, as sentences. `column` gives the
/// value of a numeric column of `runs.csv`, if it has one.
pub fn unmet(
    expect: &Expect,
    verdict: &Verdict,
    column: impl Fn(&str) -> Option<f64>,
) -> Vec<String> {
    let mut unmet = Vec::new();
    let first = verdict
        .violations
        .first()
        .map_or(String::new(), |violation| {
            format!(" ({}: {})", violation.property.name(), violation.detail)
        });
    let safe = verdict.safety == Word::Holds;
    match expect.safety {
        Some(Safety::Holds) if !safe => unmet.push(format!("safety is violated{first}")),
        Some(Safety::Violated) if safe => unmet.push("safety holds".into()),
        Some(Safety::Holds | Safety::Violated) | None => {}
    }
    let stalls = verdict.liveness == Word::Violated
        || (verdict.liveness == Word::OutsideModel && verdict.stalled);
    match expect.liveness {
        Liveness::Holds if verdict.liveness != Word::Holds => {
            unmet.push(format!("liveness is {}{first}", verdict.liveness.name()));
        }
        Liveness::Violated if !stalls => {
            unmet.push(format!("liveness is {}", verdict.liveness.name()));
        }
        Liveness::Holds | Liveness::Violated | Liveness::Any => {}
    }
    for (key, bound) in &expect.bounds {
        let limit = bound.thousandths as f64 / 1000.0;
        let value = column(&bound.column);
        let met = value.is_some_and(|value| match bound.side {
            Side::Min => value >= limit,
            Side::Max => value <= limit,
        });
        if !met {
            let value = value.map_or("nothing".into(), |value| value.to_string());
            unmet.push(format!("{key} is {limit} but {} is {value}", bound.column));
        }
    }
    unmet
}
