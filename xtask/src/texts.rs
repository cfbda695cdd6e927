//! The text files of the repository.

use std::fs;
use std::path::Path;

use crate::workspace::{self, Outcome};

/// A text file.
pub(crate) struct Text {
    /// Relative to the workspace, with forward slashes.
    pub(crate) path: String,
    pub(crate) content: String,
}

/// Directories without files of the repository.
const SKIPPED: &[&str] = &["target", ".git", "__pycache__", "node_modules"];

/// Files are read if they have one of these endings, or are scripts in `.ci`.
const READ: &[&str] =
    &["rs", "md", "toml", "proto", "go", "py", "mod", "txt", "json", "yml", "yaml", "sh", "tf", "svg"];

/// Reads all text files, in the order of their paths.
pub(crate) fn load() -> Outcome<Vec<Text>> {
    let mut texts = Vec::new();
    collect(&workspace::root(), "", &mut texts)?;
    texts.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(texts)
}

fn collect(directory: &Path, prefix: &str, texts: &mut Vec<Text>) -> Outcome {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let relative = format!("{prefix}{name}");
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, &format!("{relative}/"), texts)?;
        } else if READ.contains(&ending.as_str()) || relative.starts_with(".ci/") {
            let content = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            texts.push(Text { path: relative, content });
        }
    }
    Ok(())
}
