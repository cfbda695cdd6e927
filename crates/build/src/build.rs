//! From sources to code on disk.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic_prost_build::Builder;

use crate::{error::BuildError, unlimited::unlimited};

/// Generates clients and servers for the services in `protos`, which import each other relative to `includes`, into
/// Cargo's `OUT_DIR`. Beside them it writes their descriptors, `descriptors.bin`.
///
/// # Errors
/// [`BuildError`].
pub fn compile(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), BuildError> {
    Build::new().compile(protos, includes)
}

/// What to generate, and how.
///
/// ```no_run
/// rpcplugin_build::Build::new()
///     .client(false)
///     .configure(|tonic| tonic.bytes(".kv.v1.Entry.value"))
///     .compile(&["proto/kv.proto"], &["proto"])?;
/// # Ok::<(), rpcplugin_build::BuildError>(())
/// ```
#[must_use = "nothing is generated before `compile`"]
pub struct Build {
    tonic: Builder,
    client: bool,
    server: bool,
    out_dir: Option<PathBuf>,
    descriptors: String,
}

impl Build {
    /// Clients and servers, into Cargo's `OUT_DIR`.
    pub fn new() -> Self {
        Self {
            // No `connect` helper: a host's channels come from rpcplugin, and the code then needs no transport.
            tonic: tonic_prost_build::configure().build_transport(false).emit_rerun_if_changed(false),
            client: true,
            server: true,
            out_dir: None,
            descriptors: "descriptors.bin".to_owned(),
        }
    }

    /// Whether to generate clients. Default: true.
    pub fn client(self, client: bool) -> Self {
        Self { client, ..self }
    }

    /// Whether to generate servers and the traits to implement. Default: true.
    pub fn server(self, server: bool) -> Self {
        Self { server, ..self }
    }

    /// The directory for what is generated. Default: Cargo's `OUT_DIR`.
    pub fn out_dir(self, directory: impl Into<PathBuf>) -> Self {
        Self { out_dir: Some(directory.into()), ..self }
    }

    /// The name of the file with the encoded `FileDescriptorSet`, which reflection serves. Default: `descriptors.bin`.
    pub fn descriptors(self, name: impl Into<String>) -> Self {
        Self { descriptors: name.into(), ..self }
    }

    /// Sets any other option of tonic's builder. What the methods above set counts, whatever is set here.
    pub fn configure(self, change: impl FnOnce(Builder) -> Builder) -> Self {
        Self { tonic: change(self.tonic), ..self }
    }

    /// Compiles `protos`, which import each other relative to `includes`, and writes the code and the descriptors.
    ///
    /// Within a build script Cargo is told to run it again when one of the sources changes.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn compile(
        self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), BuildError> {
        let mut set = protox::compile(protos, includes).map_err(BuildError::Proto)?;
        rerun_if_changed(&set, includes);
        let out_dir = self.out_dir.clone().or_else(cargos_out_dir).ok_or(BuildError::NoOutDir)?;
        let descriptors = out_dir.join(&self.descriptors);
        self.generate(set.clone(), &out_dir)?;

        // Comments and positions are of no use at run time.
        for file in &mut set.file {
            file.source_code_info = None;
        }
        write(&descriptors, &set.encode_to_vec())
    }

    /// Writes the code for descriptors that were compiled elsewhere into `out_dir`.
    ///
    /// # Errors
    /// [`BuildError::Write`] and [`BuildError::LimitsRemain`].
    pub fn generate(self, set: FileDescriptorSet, out_dir: &Path) -> Result<(), BuildError> {
        let services = services_by_package(&set);
        self.tonic
            .build_client(self.client)
            .build_server(self.server)
            .out_dir(out_dir)
            .compile_fds(set)
            .map_err(|source| BuildError::Write { path: out_dir.to_owned(), source })?;
        for (package, services) in services {
            let stem = if package.is_empty() { "_" } else { &package };
            let path = out_dir.join(format!("{stem}.rs"));
            let code = fs::read_to_string(&path)
                .map_err(|source| BuildError::Write { path: path.clone(), source })?;
            let count = |wanted: bool| if wanted { services } else { 0 };
            let code = unlimited(&code, count(self.client), count(self.server))
                .map_err(|source| BuildError::LimitsRemain { path: path.clone(), source })?;
            write(&path, code.as_bytes())?;
        }
        Ok(())
    }
}

impl Default for Build {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Build")
            .field("client", &self.client)
            .field("server", &self.server)
            .field("out_dir", &self.out_dir)
            .field("descriptors", &self.descriptors)
            .finish_non_exhaustive()
    }
}

/// How many services each package has that has any.
fn services_by_package(set: &FileDescriptorSet) -> BTreeMap<String, usize> {
    let mut services = BTreeMap::new();
    for file in set.file.iter().filter(|file| !file.service.is_empty()) {
        *services.entry(file.package().to_owned()).or_insert(0) += file.service.len();
    }
    services
}

fn write(path: &Path, content: &[u8]) -> Result<(), BuildError> {
    fs::write(path, content).map_err(|source| BuildError::Write { path: path.to_owned(), source })
}

#[expect(clippy::disallowed_methods, reason = "this is how Cargo tells a build script where to write")]
fn cargos_out_dir() -> Option<PathBuf> {
    std::env::var_os("OUT_DIR").map(PathBuf::from)
}

/// Names the sources to Cargo: all those found in an include directory. The others are protox's own.
#[expect(clippy::print_stdout, reason = "this is how a build script tells Cargo what it has read")]
fn rerun_if_changed(set: &FileDescriptorSet, includes: &[impl AsRef<Path>]) {
    if cargos_out_dir().is_none() {
        return;
    }
    for file in &set.file {
        let found =
            includes.iter().map(|include| include.as_ref().join(file.name())).find(|path| path.exists());
        if let Some(path) = found {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic;

    use super::*;

    const PROTO: &str = r#"
        syntax = "proto3";
        package kv.v1;
        message Nothing {}
        service Kv { rpc Get(Nothing) returns (Nothing); rpc Watch(stream Nothing) returns (stream Nothing); }
        service Admin { rpc Stop(Nothing) returns (Nothing); }
    "#;

    fn built(build: Build) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("kv.proto"), PROTO).expect("written");
        build
            .out_dir(dir.path())
            .compile(&[dir.path().join("kv.proto")], &[dir.path()])
            .expect("it compiles");
        let code = fs::read_to_string(dir.path().join("kv.v1.rs")).expect("code");
        (dir, code)
    }

    #[test]
    fn clients_and_servers_take_messages_of_any_size() {
        let (dir, code) = built(Build::new());
        assert_eq!(
            code.matches("max_decoding_message_size(usize::MAX)").count(),
            4,
            "two ways to make a client"
        );
        assert_eq!(code.matches("max_decoding_message_size: Some(usize::MAX)").count(), 2);
        assert!(!code.contains("message_size: None,\n                max_encoding"));
        assert!(!code.contains("4MB`\n        #[must_use]\n        pub fn max_decoding"));
        let set = fs::read(dir.path().join("descriptors.bin")).expect("descriptors");
        let set = FileDescriptorSet::decode(&*set).expect("a descriptor set");
        assert_eq!(set.file[0].service.len(), 2);
    }

    #[test]
    fn one_side_alone_can_be_had() {
        let (_dir, code) = built(Build::new().client(false).descriptors("kv.bin"));
        assert!(!code.contains("kv_client") && code.contains("kv_server"));
        let (_dir, code) = built(Build::new().server(false).configure(|tonic| tonic.build_server(true)));
        assert!(code.contains("kv_client") && !code.contains("kv_server"));
    }

    #[test]
    fn a_fault_in_a_source_is_shown_with_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let proto = dir.path().join("bad.proto");
        fs::write(&proto, "syntax = \"proto3\";\nmessage Entry { strin key = 1; }\n").expect("written");
        let error = Build::new().out_dir(dir.path()).compile(&[&proto], &[dir.path()]).expect_err("a fault");
        let shown = format!("{error:?}");
        assert!(shown.contains("bad.proto") && shown.contains("strin") && shown.contains("help:"), "{shown}");
        check(&error, "rpcplugin::base::build_proto");
    }

    #[track_caller]
    fn check(error: &dyn Diagnostic, code: &str) {
        assert_eq!(error.code().expect("a code").to_string(), code);
    }

    #[test]
    fn code_that_cannot_be_written_is_an_error() {
        let (dir, code) = built(Build::new());
        let file = dir.path().join("kv.v1.rs");
        let error = Build::new().out_dir(&file).compile(&[dir.path().join("kv.proto")], &[dir.path()]);
        check(&error.expect_err("a file is no directory"), "rpcplugin::base::build_cannot_write");
        let fault = unlimited(&code, 9, 9).expect_err("not that many");
        check(&fault, "rpcplugin::base::build_generator_changed");
        let around = BuildError::LimitsRemain { path: file, source: fault };
        check(&around, "rpcplugin::base::build_limits_remain");
        check(&BuildError::NoOutDir, "rpcplugin::base::build_no_out_dir");
    }
}
