//! The errors of the code generator.

use std::{fmt, io, path::PathBuf};

use miette::Diagnostic;

use crate::message_limit_patch::PatchFailed;

/// The code cannot be generated.
///
/// [`Debug`] writes the error with its causes and its help, because Cargo shows `Debug` when a build script fails.
#[derive(thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum BuildError {
    /// A source has an error.
    #[error("the .proto files cannot be compiled")]
    #[diagnostic(
        code(rpcplugin::base::build_proto),
        help("correct the file at the position above; imports are searched in the include directories")
    )]
    Proto(#[source] protox::Error),
    /// The code cannot be written.
    #[error("the code cannot be written to {}", path.display())]
    #[diagnostic(
        code(rpcplugin::base::build_cannot_write),
        help("create the directory and make it writable; Cargo does so for OUT_DIR")
    )]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system or the generator.
        source: io::Error,
    },
    /// The output directory is not set.
    #[error("the directory for the code is not set")]
    #[diagnostic(
        code(rpcplugin::base::build_no_out_dir),
        help(
            "call `compile` in a build script, where Cargo sets OUT_DIR, or set a directory with `out_dir`"
        )
    )]
    NoOutDir,
    /// The limit on messages cannot be removed from the code.
    #[error("the limit on messages cannot be removed from {}", path.display())]
    #[diagnostic(code(rpcplugin::base::build_limit_not_removed))]
    PatchFailed {
        /// The file.
        path: PathBuf,
        /// The text that was not found.
        #[diagnostic_source]
        source: PatchFailed,
    },
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Self::Proto(error) = self {
            // Only the `Debug` of protox has file, line and column.
            write!(f, "\n  because {error:?}")?;
        } else {
            let mut source = std::error::Error::source(self);
            while let Some(cause) = source {
                write!(f, "\n  because {cause}")?;
                source = cause.source();
            }
        }
        let inner = self.diagnostic_source().and_then(Diagnostic::help);
        if let Some(help) = inner.or_else(|| self.help()) {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}
