//! Descriptions of services and messages from files.

use std::path::{Path, PathBuf};

use miette::IntoDiagnostic as _;
use prost::Message as _;

use super::{
    descriptor::{File, FileSet},
    pool::LeftOut,
};
use crate::error::{CommandError, UsageError};

/// The given files.
#[derive(Debug, Clone)]
pub(crate) struct GivenFiles {
    /// The names of the files, for texts.
    pub(super) name: String,
    pub(super) files: Vec<File>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Compiles .proto files. Imports are searched in `includes`, and then in the directories of the files.
pub(super) fn compile(files: &[PathBuf], includes: &[PathBuf]) -> Result<GivenFiles, CommandError> {
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        let help = "check the path, which is relative to the working directory";
        return Err(UsageError::new(format!("the file {} does not exist", missing.display()), help).into());
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
        let help = "fix the file, or name the directories of its imports with --proto-path; for a file with an edition, use protoc and \
                    --descriptor-set";
        UsageError::new(format!("the .proto file cannot be compiled: {error}"), help)
    })?;
    let names: Vec<String> = files.iter().map(|file| name(file)).collect();
    let set = FileSet::decode(compiler.encode_file_descriptor_set().as_slice()).into_diagnostic()?;
    Ok(given(names.join(", "), &set))
}

/// Reads a descriptor set.
pub(super) fn descriptor_set(file: &Path) -> Result<GivenFiles, CommandError> {
    let unusable = |error: &dyn std::fmt::Display| {
        let help = "write the file with `protoc --include_imports --descriptor_set_out=FILE`";
        UsageError::new(format!("{} is not a descriptor set: {error}", file.display()), help)
    };
    let bytes = std::fs::read(file).map_err(|error| unusable(&error))?;
    let set = FileSet::decode(bytes.as_slice()).map_err(|error| unusable(&error))?;
    let given = given(name(file), &set);
    match given.left_out.as_slice() {
        _ if !given.files.is_empty() => Ok(given),
        [] => Err(unusable(&"it has no files").into()),
        [first, ..] => Err(unusable(&first.why).into()),
    }
}

fn given(name: String, set: &FileSet) -> GivenFiles {
    let mut given = GivenFiles { name, files: Vec::new(), left_out: Vec::new() };
    for bytes in &set.file {
        match File::read(bytes) {
            Ok(file) => given.files.push(file),
            Err((file, why)) => given.left_out.push(LeftOut { file, why }),
        }
    }
    given
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}
