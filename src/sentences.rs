//! What the core decides and finds, in words for people. Nothing is driven by them: that follows the
//! values themselves.

mod notice;
mod reason;
mod remedy;
