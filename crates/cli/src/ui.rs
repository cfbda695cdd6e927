//! What the program prints: where, in which form, and in which colours.

pub(crate) mod backtrace;
mod causes;
pub(crate) mod duration;
mod error_json;
pub(crate) mod lines;
pub(crate) mod log_record;
mod out;
pub(crate) mod style;
mod tree;
mod visible_error;
mod wrap;

pub(crate) use self::{
    causes::{causes, with_causes},
    error_json::error_as_json,
    out::{Out, StdoutUnwritable},
    tree::Tree,
};
