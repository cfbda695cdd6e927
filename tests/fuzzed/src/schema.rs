//! The descriptors of the program, and the file that reads them.

#[path = "../../../crates/cli/src/schema/check.rs"]
mod check;
#[path = "../../../crates/cli/src/schema/descriptor.rs"]
mod descriptor;
#[path = "../../../crates/cli/src/schema/features.rs"]
mod features;
#[path = "../../../crates/cli/src/schema/pool.rs"]
mod pool;

use prost::Message as _;
use prost_reflect::DescriptorPool;

use self::{
    check::{Owner, Source},
    descriptor::{File, FileSet},
};

/// Describes an encoded set of files, as those of a plugin.
///
/// # Panics
/// If prost-reflect refuses what the checks accept.
pub(crate) fn describe(set: &[u8]) -> Option<DescriptorPool> {
    let set = FileSet::decode(set).ok()?;
    let files = set.file.iter().filter(|file| descriptor::parts(file) < 1000);
    let files = files.filter_map(|file| File::read(file).ok());
    let sources: Vec<Source> = files.map(|file| Source { owner: Owner::Plugin, file }).collect();
    let described = pool::describe(&sources, None);
    for one in &described.left_out {
        assert!(!one.why.contains("cannot be used"), "{one:?}");
    }
    Some(described.pool)
}
