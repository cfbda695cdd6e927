//! The plugin's life in three states: [`Bound`], [`Announced`], [`Served`].

mod announce;
mod bind;
mod drain;
mod serve;

pub use announce::Announced;
pub use bind::Bound;
pub use serve::Served;

pub(crate) use self::bind::StartedBy;
