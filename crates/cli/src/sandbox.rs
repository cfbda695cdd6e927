//! The sandbox of a plugin: the options that describe it, its lines in a lock file, and its words for people.

mod args;
mod comparison;
mod confinement;
mod denials;
mod explain;
mod grants;
mod limit;
mod strace;

pub(crate) use self::{
    args::SandboxArgs,
    comparison::{excess, words},
    confinement::{SandboxFacts, show_confinement},
    denials::Denials,
    explain::help_for,
    grants::{GrantError, Grants},
    strace::{Strace, Traced},
};
