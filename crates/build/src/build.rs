//! Generates code from sources.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic_prost_build::Builder;

use crate::{error::BuildError, message_limit_patch};

/// Generates clients and servers for the services in `protos` into Cargo's `OUT_DIR`, and writes their descriptors to
/// `descriptors.bin`. Imports are relative to `includes`.
///
/// # Errors
/// [`BuildError`].
pub fn compile(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), BuildError> {
    Build::new().compile(protos, includes)
}

/// The options of the code generator.
///
/// ```no_run
/// rpcplugin_build::Build::new()
///     .client(false)
///     .configure(|tonic| tonic.bytes(".kv.v1.Entry.value"))
///     .compile(&["proto/kv.proto"], &["proto"])?;
/// # Ok::<(), rpcplugin_build::BuildError>(())
/// ```
#[must_use = "`compile` generates the code"]
pub struct Build {
    tonic: Builder,
    client: bool,
    server: bool,
    out_dir: Option<PathBuf>,
    descriptors: String,
}

impl Build {
    /// Generates clients and servers into Cargo's `OUT_DIR`.
    pub fn new() -> Self {
        Self {
            // No `connect` function: rpcplugin makes the channels, and the code needs no transport.
            tonic: tonic_prost_build::configure().build_transport(false).emit_rerun_if_changed(false),
            client: true,
            server: true,
            out_dir: None,
            descriptors: "descriptors.bin".to_owned(),
        }
    }

    /// Sets whether to generate clients. Default: true.
    pub fn client(self, client: bool) -> Self {
        Self { client, ..self }
    }

    /// Sets whether to generate servers and their traits. Default: true.
    pub fn server(self, server: bool) -> Self {
        Self { server, ..self }
    }

    /// Sets the directory of the generated files. Default: Cargo's `OUT_DIR`.
    pub fn out_dir(self, directory: impl Into<PathBuf>) -> Self {
        Self { out_dir: Some(directory.into()), ..self }
    }

    /// Sets the file name of the encoded `FileDescriptorSet` for reflection. Default: `descriptors.bin`.
    pub fn descriptors(self, name: impl Into<String>) -> Self {
        Self { descriptors: name.into(), ..self }
    }

    /// Sets other options of tonic's builder. The methods above take precedence over them.
    pub fn configure(self, change: impl FnOnce(Builder) -> Builder) -> Self {
        Self { tonic: change(self.tonic), ..self }
    }

    /// Compiles `protos` and writes the code and the descriptors. Imports are relative to `includes`.
    ///
    /// In a build script, makes Cargo run the script again when a source changes.
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

        // Reflection does not serve comments and positions.
        for file in &mut set.file {
            file.source_code_info = None;
        }
        write(&descriptors, &set.encode_to_vec())
    }

    /// Writes the code for compiled descriptors to `out_dir`.
    ///
    /// # Errors
    /// [`BuildError::Write`] and [`BuildError::PatchFailed`].
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
            let code = message_limit_patch::patch(&code, count(self.client), count(self.server))
                .map_err(|source| BuildError::PatchFailed { path: path.clone(), source })?;
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

/// Returns the number of services of each package with services.
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

#[expect(
    clippy::disallowed_methods,
    reason = "Cargo passes the directory to a build script in this variable"
)]
fn cargos_out_dir() -> Option<PathBuf> {
    std::env::var_os("OUT_DIR").map(PathBuf::from)
}

/// Prints the sources in the include directories for Cargo. The other sources are part of protox.
#[expect(clippy::print_stdout, reason = "a build script prints instructions for Cargo on stdout")]
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
    fn clients_and_servers_accept_messages_of_any_size() {
        let (dir, code) = built(Build::new());
        assert_eq!(
            code.matches("max_decoding_message_size(usize::MAX)").count(),
            4,
            "two constructors for each client"
        );
        assert_eq!(code.matches("max_decoding_message_size: Some(usize::MAX)").count(), 2);
        assert!(!code.contains("message_size: None,\n                max_encoding"));
        assert!(!code.contains("4MB`\n        #[must_use]\n        pub fn max_decoding"));
        let set = fs::read(dir.path().join("descriptors.bin")).expect("descriptors");
        let set = FileDescriptorSet::decode(&*set).expect("a descriptor set");
        assert_eq!(set.file[0].service.len(), 2);
    }

    #[test]
    fn either_side_can_be_generated_alone() {
        let (_dir, code) = built(Build::new().client(false).descriptors("kv.bin"));
        assert!(!code.contains("kv_client") && code.contains("kv_server"));
        let (_dir, code) = built(Build::new().server(false).configure(|tonic| tonic.build_server(true)));
        assert!(code.contains("kv_client") && !code.contains("kv_server"));
    }

    #[test]
    fn an_error_in_a_source_is_shown_with_its_position() {
        let dir = tempfile::tempdir().expect("a directory");
        let proto = dir.path().join("bad.proto");
        fs::write(&proto, "syntax = \"proto3\";\nmessage Entry { strin key = 1; }\n").expect("written");
        let error = Build::new().out_dir(dir.path()).compile(&[&proto], &[dir.path()]).expect_err("an error");
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
        check(&error.expect_err("not a directory"), "rpcplugin::base::build_cannot_write");
        let fault = message_limit_patch::patch(&code, 9, 9).expect_err("not so many");
        check(&fault, "rpcplugin::base::build_generator_changed");
        let around = BuildError::PatchFailed { path: file, source: fault };
        check(&around, "rpcplugin::base::build_limit_not_removed");
        check(&BuildError::NoOutDir, "rpcplugin::base::build_no_out_dir");
    }
}
