//! How near two names are.

/// The name that differs least from the given one, if it does not differ too much to be a slip.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A name longer than any known one can be no slip, and need not be compared letter by letter.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let tolerance = (name.chars().count() / 3).max(1);
    let near = known.map(|known| (distance(name, known), known));
    near.filter(|(distance, _)| *distance <= tolerance).min().map(|(_, known)| known)
}

/// How many letters have to be added, left out or exchanged to make one word of the other.
pub(crate) fn distance(from: &str, to: &str) -> usize {
    // The row of the usual table for the letters of `from` seen so far.
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
