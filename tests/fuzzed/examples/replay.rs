//! Runs inputs through the body of a fuzz target, without a fuzzer: to look at a finding, and to measure what the inputs reach.
//!
//! ```text
//! cargo run -p rpcplugin-fuzzed --example replay -- TARGET FILE-OR-FOLDER...
//! ```

/// The targets are those of a Unix system.
#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    replay::run()
}

#[cfg(unix)]
#[expect(clippy::print_stdout, reason = "this is a program for a terminal")]
mod replay {
    use std::{
        fs, io,
        path::{Path, PathBuf},
    };

    use rpcplugin_fuzzed::TARGETS;

    /// Runs the inputs that the arguments name.
    pub(super) fn run() -> io::Result<()> {
        let mut arguments = std::env::args().skip(1);
        let name = arguments.next().unwrap_or_default();
        let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
            return Err(io::Error::other(format!("no target is called {name:?}")));
        };
        let mut count = 0;
        for input in arguments.map(PathBuf::from) {
            for file in files(&input)? {
                (target.run)(&fs::read(file)?);
                count += 1;
            }
        }
        println!("{name}: {count} inputs");
        Ok(())
    }

    /// A file, or the files in a folder.
    fn files(input: &Path) -> io::Result<Vec<PathBuf>> {
        if input.is_dir() {
            fs::read_dir(input)?.map(|entry| entry.map(|entry| entry.path())).collect()
        } else {
            Ok(vec![input.to_owned()])
        }
    }
}
