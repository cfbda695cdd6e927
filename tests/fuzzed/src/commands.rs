//! Commands of the program. The modules have the paths that they have there.

pub(crate) mod replay;
pub(crate) mod tap;
