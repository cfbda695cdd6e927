//! The distance between two names.

/// Returns the known name with the least distance from a name, unless even that distance is too large for a typo.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // No known name is as long, so there is nothing to compare.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let tolerance = (name.chars().count() / 3).max(1);
    let near = known.map(|known| (distance(name, known), known));
    near.filter(|(distance, _)| *distance <= tolerance).min().map(|(_, known)| known)
}

/// The Levenshtein distance between two words.
pub(crate) fn distance(from: &str, to: &str) -> usize {
    // The row of the usual table for the letters of `from` so far.
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (seen, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = seen + 1;
        for (column, other) in to.chars().enumerate() {
            let exchanged = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = exchanged.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters_that_are_added_left_out_or_exchanged() {
        for (from, to, letters) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "", 2),
            ("same", "same", 0),
            ("xabc", "abc", 1),
            ("abc", "xabc", 1),
            ("abcx", "abc", 1),
            ("ab", "ba", 2),
            ("kitten", "sitting", 3),
            ("\u{e9}t\u{e9}", "ete", 2),
        ] {
            assert_eq!(distance(from, to), letters, "{from} {to}");
        }
    }
}
