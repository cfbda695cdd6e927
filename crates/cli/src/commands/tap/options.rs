//! What is shown, and where.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use clap::Args;

use super::given::GivenCertificates;
use crate::schema::SchemaArgs;

/// What is shown, and where.
#[derive(Debug, Args)]
pub(super) struct TapOptions {
    /// The file to append to, such as /dev/tty, or the directory for a new file. By default it is a new file in the directory for temporary
    /// files, which the first line on stderr names.
    #[arg(long, short = 'o', value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    /// Also writes everything into this file, values included, for `rpcplugin replay`. Only this user can read a new file.
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Shows only the calls of a method or of a service, such as Store/Get, Get or kv.v1.Store. Can be repeated.
    #[arg(long, value_name = "METHOD")]
    pub(super) only: Vec<String>,
    /// Shows texts, bytes and metadata, which may be secrets, and not only their lengths.
    #[arg(long)]
    pub(super) show_values: bool,
    #[command(flatten)]
    pub(super) certificates: GivenCertificates,
    #[command(flatten)]
    pub(super) schema: SchemaArgs,
}

impl TapOptions {
    /// Whether an option is given.
    pub(super) fn is_given(&self) -> bool {
        self.words().is_ok_and(|words| !words.is_empty())
    }

    /// Returns the options as words of a command line, with absolute paths.
    pub(super) fn words(&self) -> io::Result<Vec<OsString>> {
        let mut words = Vec::new();
        let mut path = |flag: &str, path: &Path| {
            words.extend([flag.into(), std::path::absolute(path)?.into_os_string()]);
            io::Result::Ok(())
        };
        if let Some(output) = &self.output {
            path("--output", output)?;
        }
        if let Some(record) = &self.record {
            path("--record", record)?;
        }
        for (flag, file) in self.certificates.named() {
            path(flag, file)?;
        }
        for file in &self.schema.proto {
            path("--proto", file)?;
        }
        for dir in &self.schema.proto_path {
            path("--proto-path", dir)?;
        }
        if let Some(set) = &self.schema.descriptor_set {
            path("--descriptor-set", set)?;
        }
        words.extend(self.only.iter().map(|method| format!("--only={method}").into()));
        words.extend(self.show_values.then(|| "--show-values".into()));
        Ok(words)
    }
}
