//! Descriptions of services from files.

use std::path::{Path, PathBuf};

use miette::IntoDiagnostic as _;
use prost_reflect::DescriptorPool;

use super::{Origin, Schema};
use crate::exit::UsageError;

/// Compiles .proto files. Their own directories are where imports are looked for last.
pub(super) fn compile(files: &[PathBuf], includes: &[PathBuf]) -> miette::Result<Schema> {
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        let help = "check the path: it is relative to the working directory";
        return Err(UsageError::new(format!("there is no file {}", missing.display()), help).into());
    }
    let own = files.iter().map(|file| match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    });
    let mut all: Vec<PathBuf> = includes.to_vec();
    for directory in own {
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
    let mut compiler = protox::Compiler::new(&all).into_diagnostic()?;
    compiler.include_imports(true);
    compiler.open_files(files).map_err(|error| {
        let help = "fix the file; --proto-path names the directories in which its imports are";
        UsageError::new(format!("the .proto file cannot be compiled: {error}"), help)
    })?;
    Ok(schema(compiler.descriptor_pool()))
}

/// Reads a compiled set of descriptors.
pub(super) fn descriptor_set(file: &Path) -> miette::Result<Schema> {
    let unusable = |error: &dyn std::fmt::Display| {
        let help = "make it with `protoc --include_imports --descriptor_set_out=FILE`";
        UsageError::new(format!("{} is no set of descriptors: {error}", file.display()), help)
    };
    let bytes = std::fs::read(file).map_err(|error| unusable(&error))?;
    let pool = DescriptorPool::decode(bytes.as_slice()).map_err(|error| unusable(&error))?;
    Ok(schema(pool))
}

fn schema(pool: DescriptorPool) -> Schema {
    let services = pool.services().map(|service| service.full_name().to_owned()).collect();
    Schema { origin: Origin::Files, services, pool }
}
