//! Two brokers that speak to each other, and one that speaks to peers of other kinds.

mod calls;
mod endings;
mod layers;
mod pair;
mod peers;
