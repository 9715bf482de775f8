//! What is counted and what is drawn, held against one another.

use super::*;

#[test]
fn the_draw_agrees_with_the_formula_within_its_interval() {
    let rows = study(&Plan {
        trials: 600,
        ..Plan::default()
    });
    assert_eq!(rows.len(), 4 * 2 * 41);
    let mut inside = 0;
    for row in &rows {
        let (low, high) = wilson(row.lost, row.trials, 5.0);
        assert!(low <= row.exact && row.exact <= high, "{row:?}");
        inside += usize::from(row.low <= row.exact && row.exact <= row.high);
    }
    assert!(inside * 100 >= rows.len() * 88, "{inside}");
    let at = |group, upper, loss, byzantine| {
        let mut rows = rows.iter();
        let row = rows.find(|row| {
            (row.group, row.upper, row.loss, row.byzantine) == (group, upper, loss, byzantine)
        });
        row.unwrap().exact
    };
    // One chosen node never, ten by chance nearly always in groups of four.
    assert!(at(4, 4, Loss::Liveness, 1) == 0.0);
    assert!(at(4, 4, Loss::Liveness, 10) > 0.8);
    assert!((at(4, 4, Loss::Safety, 10) - 0.1137).abs() < 1e-3);
    assert!(at(13, 19, Loss::Safety, 10) < 0.001);
    assert_eq!(read(files(&rows).pop().map(|(_, bytes)| bytes)), Ok(rows));
}
