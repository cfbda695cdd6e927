//! `cargo xtask docs`: the references that are made from the code, `docs/errors.md` and `docs/configuration.md`.
//!
//! Each entry has the text from the code, and names a test. A code that is given to two things or that no test names is a
//! fault, and so is a page that differs from the code, or a test that a page names and that does not exist.

mod citations;
mod configuration;
mod errors;
mod responsibility;
mod sources;

use crate::texts;
use crate::workspace::{self, Outcome};

/// Options of `cargo xtask docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail if a page differs from the code
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
    let texts = texts::load()?;
    let sources = sources::of(&texts);
    let mut faults = Vec::new();
    for page in [errors::page(&sources)?, configuration::page(&sources)] {
        faults.extend(page.faults.into_iter().map(|fault| format!("{}: {fault}", page.path)));
        if !workspace::settle(page.path, page.text.as_bytes(), options.check)? {
            faults.push(format!("{}: is not what the code gives; run `cargo xtask docs`", page.path));
        }
    }
    faults.extend(citations::faults(&sources, &texts));
    for fault in &faults {
        println!("BAD   {fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{} faults in the references", faults.len()).into()) }
}
