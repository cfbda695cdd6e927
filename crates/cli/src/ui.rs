//! What the program prints: where, in which form, and in which colours.

pub(crate) mod backtrace;
pub(crate) mod duration;
mod error_json;
pub(crate) mod lines;
pub(crate) mod log_record;
mod out;
#[cfg(feature = "ui")]
pub(crate) mod row;
pub(crate) mod shell_word;
pub(crate) mod size;
pub(crate) mod style;
mod tree;
mod visible_error;
mod wrap;

pub(crate) use self::{
    error_json::{cause_texts, error_as_json},
    out::{Out, StdoutUnwritable},
    tree::Tree,
};
