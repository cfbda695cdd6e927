//! `cargo xtask api`: what each library lets its users see, one file for each in `docs/api`.
//!
//! The listing is read from the sources, because it then depends on no compiler: neither on a nightly one nor on the
//! release that happens to be installed. It has what `lib.rs` leads to: items, the public part of types, methods, and
//! the traits that types have by derive or by hand. Of what macros write it has the settings, and nothing else.

mod listing;
mod sources;
mod tables;

use std::fs;

use crate::workspace::{self, Outcome, Workspace};

/// Options of `cargo xtask api`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail if a listing is not what the code gives
    #[arg(long)]
    pub(crate) check: bool,
}

const DIRECTORY: &str = "docs/api";

/// Writes the listings, or checks them.
pub(crate) fn run(options: &Options) -> Outcome {
    let directory = workspace::root().join(DIRECTORY);
    fs::create_dir_all(&directory)?;
    let mut differ = 0;
    let mut known = Vec::new();
    for library in Workspace::load()?.crates.iter().filter(|one| one.published && one.is_library()) {
        let text = listing::of(&library.name, &sources::read(&library.front_page)?)?;
        let name = format!("{}.txt", library.name);
        let path = directory.join(&name);
        let listed = fs::read_to_string(&path).unwrap_or_default();
        if listed == text {
            println!("ok    {DIRECTORY}/{name}");
        } else if options.check {
            differ += 1;
            println!("BAD   {DIRECTORY}/{name}");
            difference(&listed, &text).iter().for_each(|line| println!("      {line}"));
        } else {
            fs::write(&path, text)?;
            println!("wrote {DIRECTORY}/{name}");
        }
        known.push(name);
    }
    for stray in fs::read_dir(&directory)?.flatten().map(|entry| entry.file_name().display().to_string()) {
        if !known.contains(&stray) {
            differ += 1;
            println!("BAD   {DIRECTORY}/{stray}: there is no such library");
        }
    }
    match differ {
        0 => Ok(()),
        _ => Err("the public API is not as listed; if that is meant, run `cargo xtask api` and see CONTRIBUTING.md"
            .into()),
    }
}

/// Lines that went and lines that came, without those that both texts begin or end with.
fn difference(old: &str, new: &str) -> Vec<String> {
    let (mut old, mut new) = (old.lines().collect::<Vec<_>>(), new.lines().collect::<Vec<_>>());
    let same = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    old.drain(..same);
    new.drain(..same);
    while !old.is_empty() && old.last() == new.last() {
        old.pop();
        new.pop();
    }
    let gone = old.into_iter().map(|line| format!("- {line}"));
    gone.chain(new.into_iter().map(|line| format!("+ {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_what_changed() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), ["- b", "+ x"]);
        assert_eq!(difference("a\nc\n", "a\nb\nc\n"), ["+ b"]);
        assert!(difference("a\n", "a\n").is_empty());
    }
}
