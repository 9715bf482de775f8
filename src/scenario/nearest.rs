//! What the user probably meant: the nearest of the valid names.

/// The valid name nearest to what was written, if it is near enough to be meant.
pub fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Nothing so long is a misspelling, and the distance takes the product of the lengths.
    if written.chars().count() > 64 {
        return None;
    }
    let best = names
        .into_iter()
        .map(|name| (distance(&fold(written), &fold(name)), name))
        .min_by_key(|(distance, _)| *distance);
    let (distance, name) = best?;
    let length = written.chars().count().max(name.chars().count());
    (distance <= 1.max(length / 3)).then_some(name)
}

/// Case, and the marks that join words, are not told apart.
fn fold(name: &str) -> Vec<char> {
    name.chars()
        .flat_map(char::to_lowercase)
        .map(|character| if character == '-' { '_' } else { character })
        .collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_their_name_and_other_words_none() {
        let names = ["latency", "bandwidth", "between", "per_message"];
        for (written, meant) in [
            ("latancy", Some("latency")),
            ("Latency", Some("latency")),
            ("latnecy", Some("latency")),
            ("l\u{430}tency", Some("latency")),
            ("per-message", Some("per_message")),
            ("band_width", Some("bandwidth")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names), meant, "{written}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), names), None);
    }
}
