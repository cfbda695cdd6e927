//! `cargo xtask docs`: the references that are made from the code, `docs/errors.md` and `docs/configuration.md`.
//!
//! Each entry has the text from the code, and names a test. A code that is given to two things or that no test names is a
//! fault, and so is a page that differs from the code, or a test that a page names and that does not exist.

mod citations;
mod configuration;
mod errors;
mod responsibility;
mod sources;

use std::fs;

use crate::workspace::{self, Outcome};

/// Options of `cargo xtask docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail if a page is not what the code gives
    #[arg(long)]
    pub(crate) check: bool,
}

/// A page, and the faults of the code that it describes.
struct Page {
    /// Relative to the workspace.
    path: &'static str,
    text: String,
    faults: Vec<String>,
}

/// Writes the pages, or checks them.
pub(crate) fn run(options: &Options) -> Outcome {
    let sources = sources::load()?;
    let mut faults = Vec::new();
    for page in [errors::page(&sources)?, configuration::page(&sources)] {
        let path = workspace::root().join(page.path);
        faults.extend(page.faults.into_iter().map(|fault| format!("{}: {fault}", page.path)));
        if fs::read_to_string(&path).is_ok_and(|text| text == page.text) {
            println!("ok    {}", page.path);
        } else if options.check {
            faults.push(format!("{}: is not what the code gives; run `cargo xtask docs`", page.path));
        } else {
            fs::write(&path, page.text)?;
            println!("wrote {}", page.path);
        }
    }
    faults.extend(citations::faults(&sources)?);
    for fault in &faults {
        println!("BAD   {fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{} faults in the references", faults.len()).into()) }
}
