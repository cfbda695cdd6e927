//! Why no code was generated.

use std::{fmt, io, path::PathBuf};

use miette::Diagnostic;

use crate::unlimited::NotUnlimited;

/// Why no code was generated.
///
/// [`Debug`] explains with causes and help, because that is what Cargo shows of a build script that fails.
#[derive(thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum BuildError {
    /// The sources are at fault.
    #[error("the .proto files cannot be compiled")]
    #[diagnostic(
        code(rpcplugin::base::build_proto),
        help("correct the file at the place named above; imports are looked for in the include directories")
    )]
    Proto(#[source] protox::Error),
    /// The code could not be written.
    #[error("the code cannot be written to {}", path.display())]
    #[diagnostic(
        code(rpcplugin::base::build_cannot_write),
        help("the directory has to exist and be writable; Cargo sees to that for OUT_DIR")
    )]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system, or the generator, says.
        source: io::Error,
    },
    /// There is no place for the code.
    #[error("there is no directory for the code")]
    #[diagnostic(
        code(rpcplugin::base::build_no_out_dir),
        help("call this from a build script, where Cargo sets OUT_DIR, or name a directory with `out_dir`")
    )]
    NoOutDir,
    /// The limits on messages could not be taken out of the code.
    #[error("the limits on messages cannot be taken out of {}", path.display())]
    #[diagnostic(code(rpcplugin::base::build_limits_remain))]
    LimitsRemain {
        /// The file.
        path: PathBuf,
        /// Why.
        #[diagnostic_source]
        source: NotUnlimited,
    },
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Self::Proto(error) = self {
            // protox shows file, line and column only here.
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
